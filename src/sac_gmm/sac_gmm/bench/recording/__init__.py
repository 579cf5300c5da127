"""Benchmarks of bags, and of demonstrations made by hand."""
