"""What a laboratory needs around the arm for an episode.

Nodes: `marker_target`, `home_reset`, `teach_home`.
Helpers: `target_topic`, `arm_mover`.
"""
