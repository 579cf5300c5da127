"""Benchmarks: our code and a peer measured in the same run, sorted by subject like `benchmarks/results`."""
