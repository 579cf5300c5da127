"""The `sac-gmm` command."""
