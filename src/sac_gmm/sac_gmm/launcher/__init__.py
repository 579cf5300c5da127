"""A stand-in for `ros2 launch`, which the ROS 2 wheels lack: reads YAML launch files and runs their nodes."""
