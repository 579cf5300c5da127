"""Demonstrations in rosbag2 files: reading, writing, salvaging, trimming. Needs no ROS."""
