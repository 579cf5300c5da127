"""What moves the arm, at its own rate: the velocity controller, the guard, and their links to a robot.

Nodes: `gmm_controller`, `guard`, `joy_teleop`, `calibrate_speed`.
Helpers: `motion_node`, `motion_hooks`, `control_loop`, `episode`, `adapter_wait`, `motion_requests`, `motion_reports`,
`model_reports`, `deadman`, `commanders`, `command_input`, `reset_motion`, `robot_link`, `joint_link`, `joint_input`,
`driver_axes`, `wrench_input`, `reason_log`.
"""
