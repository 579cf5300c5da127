"""Nodes that put the graph under load and measure it.

Nodes: `loop_bench`, `recording_load`, `discovery_probe`.
"""
