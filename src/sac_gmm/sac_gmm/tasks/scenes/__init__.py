"""Scenes of the tasks in this package."""
