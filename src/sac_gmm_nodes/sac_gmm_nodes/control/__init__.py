"""Nodes at the rate of the arm: the velocity controller and what connects it to a robot."""
