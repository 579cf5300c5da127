"""Thin ROS 2 nodes over the `sac_gmm` library."""
