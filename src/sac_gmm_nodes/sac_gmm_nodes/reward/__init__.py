"""Nodes that say whether the task is done."""
