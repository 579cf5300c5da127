"""Demonstrations made by a hand in front of a camera."""
