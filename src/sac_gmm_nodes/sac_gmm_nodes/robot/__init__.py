"""What a laboratory needs around the arm for an episode.

Nodes: `marker_target`.
Helpers: `target_topic`.
"""
