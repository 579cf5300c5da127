"""The velocity controller, at the rate of the arm, and its links to a robot.

Nodes: `gmm_controller`, `calibrate_speed`.
Helpers: `control_loop`, `episode`, `adapter_wait`, `motion_requests`, `controller_reports`, `deadman`, `robot_link`,
`joint_link`, `joint_input`, `driver_axes`, `wrench_input`, `reason_log`.
"""
