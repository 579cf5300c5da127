"""Training runs: episodes, seeds, worker processes."""
