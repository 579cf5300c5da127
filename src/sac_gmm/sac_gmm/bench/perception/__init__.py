"""Benchmarks of marker detection and hand tracking."""
