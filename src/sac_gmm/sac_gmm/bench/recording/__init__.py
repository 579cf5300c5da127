"""Benchmarks of bags and of demonstrations shown by hand."""
