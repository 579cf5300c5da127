"""Dynamical systems: velocity fields fitted to demonstrations, and the certificates of their stability."""
