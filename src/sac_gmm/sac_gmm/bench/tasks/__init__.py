"""Benchmarks of the simulated tasks."""
