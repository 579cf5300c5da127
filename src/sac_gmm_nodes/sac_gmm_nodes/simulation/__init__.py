"""Nodes that stand in for a robot, a camera or a person."""
