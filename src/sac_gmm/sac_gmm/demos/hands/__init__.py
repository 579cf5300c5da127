"""Demonstrations shown by a hand before a camera."""
