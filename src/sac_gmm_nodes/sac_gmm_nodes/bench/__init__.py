"""Nodes that put the graph under load and measure it."""
