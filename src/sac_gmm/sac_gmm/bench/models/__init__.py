"""Benchmarks of mixtures, their regression and their fitting."""
