"""Foundations: errors, files, settings, geometry, runs. Imports nothing else from the project."""
