"""Benchmarks: ours and a peer measured in the same run, sorted by subject like `benchmarks/results`."""
