"""Sensors of the simulated tasks: cameras, touch, and the groups of an observation."""
