"""Soft actor-critic with small networks, for an agent that decides a few times a second."""
