"""Nodes that watch: RViz markers, the live page, the life cycle of the others."""
