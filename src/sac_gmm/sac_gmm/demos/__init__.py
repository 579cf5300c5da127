"""Demonstrations: recorded motions with the target they were made for, in rosbag2 files; needs no ROS."""

from sac_gmm.demos.bag_reader import find_bags, read_demonstration
from sac_gmm.demos.bag_writer import EpisodeBagWriter, EpisodeInfo, header_stamp_ns, write_demonstration
from sac_gmm.demos.demonstration import Demonstration
from sac_gmm.demos.quality import (
    DemonstrationReport,
    SetReport,
    StreamReport,
    check_demonstration,
    check_set,
    check_stream,
)
from sac_gmm.demos.recorder import EpisodeRecorder, Recording
from sac_gmm.demos.training import to_training_set

__all__ = [
    "Demonstration",
    "DemonstrationReport",
    "EpisodeBagWriter",
    "EpisodeInfo",
    "EpisodeRecorder",
    "Recording",
    "SetReport",
    "StreamReport",
    "check_demonstration",
    "check_set",
    "check_stream",
    "find_bags",
    "header_stamp_ns",
    "read_demonstration",
    "to_training_set",
    "write_demonstration",
]
