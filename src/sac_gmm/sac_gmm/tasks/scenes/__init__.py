"""The scenes of the tasks that come with the package."""
