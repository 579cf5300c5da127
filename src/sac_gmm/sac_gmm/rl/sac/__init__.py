"""Soft actor-critic for the small networks of an agent that decides a few times a second."""
