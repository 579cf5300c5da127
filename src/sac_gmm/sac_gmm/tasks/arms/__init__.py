"""Simulated arms and grippers."""
