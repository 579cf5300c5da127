"""Thin ROS 2 nodes over the `sac_gmm` library."""

from sac_gmm_nodes.common.early import prepare

prepare()
