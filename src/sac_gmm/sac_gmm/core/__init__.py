"""The ground that everything stands on: errors, files, settings, geometry, runs. Imports nothing of the project."""
