"""Training runs: base skills, episodes, worker processes."""
