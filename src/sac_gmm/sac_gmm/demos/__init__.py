"""Demonstrations: recorded motions and the target each was made for, stored in rosbag2 files. Needs no ROS."""

from sac_gmm.demos.bags.bag_reader import TopicNames, find_bags, read_demonstration
from sac_gmm.demos.bags.bag_writer import EpisodeBagWriter, EpisodeInfo, header_stamp_ns, write_demonstration
from sac_gmm.demos.bags.salvage import Salvage, find_unfinished, salvage, unfinished
from sac_gmm.demos.bags.trim import separate, trim
from sac_gmm.demos.demonstration import Demonstration
from sac_gmm.demos.export import export, plot
from sac_gmm.demos.quality import (
    DemonstrationReport,
    SetReport,
    StreamReport,
    check_demonstration,
    check_set,
    check_stream,
)
from sac_gmm.demos.recorder import EpisodeRecorder, Recording
from sac_gmm.demos.samples import motion_span, to_training_set

__all__ = [
    "Demonstration",
    "DemonstrationReport",
    "EpisodeBagWriter",
    "EpisodeInfo",
    "EpisodeRecorder",
    "Recording",
    "Salvage",
    "SetReport",
    "StreamReport",
    "TopicNames",
    "check_demonstration",
    "check_set",
    "check_stream",
    "export",
    "find_bags",
    "find_unfinished",
    "header_stamp_ns",
    "motion_span",
    "plot",
    "read_demonstration",
    "salvage",
    "separate",
    "to_training_set",
    "trim",
    "unfinished",
    "write_demonstration",
]
