"""Watching: RViz markers, the live page, and the life cycle of the other nodes.

Nodes: `skill_monitor`, `live_view`, `lifecycle_manager`.
Helper: `markers`.
"""
