"""Judging whether the task is done.

Nodes: `aruco_reward`, `lamp_reward`, `switch_reward`, `button_reward`, `threshold_reward`, `simulation_reward`;
`task_reward` starts the one of a task.
Helpers: `reward_node`, `image_reward`.
"""
