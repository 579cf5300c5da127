"""The link of the plain topics: which states it takes."""

from __future__ import annotations

import time

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from rclpy.serialization import serialize_message
from sac_gmm_interfaces.msg import ControllerStatus

from sac_gmm.control import Reason
from sac_gmm_nodes.common.conversions import header, pose_message, read_pose, stamp_of
from sac_gmm_nodes.common.qos import COMMAND, RELIABLE, SENSOR
from sac_gmm_nodes.control.robot_link import RobotLink

pytestmark = pytest.mark.ros
NO_TURN = np.array([0.0, 0.0, 0.0, 1.0])


@pytest.mark.parametrize("frame_id", ["", "a", "base", "lbr_link_0", "a" * 31])
def test_the_frame_of_a_pose_is_read_off_its_bytes(frame_id):
    message = pose_message(np.zeros(3), NO_TURN, header(stamp_of(5), frame_id))
    assert read_pose(serialize_message(message))[0] == frame_id


@pytest.mark.parametrize("delivered", [False, True])
def test_a_state_in_another_frame_is_no_state(graph, delivered):
    """The same numbers, taken for those of the base frame, would have the arm driven to another place."""
    readings = []
    link = RobotLink(graph.node, "lbr_link_0", RELIABLE, readings.append if delivered else None)
    poses = graph.node.create_publisher(PoseStamped, "state/pose", RELIABLE)

    def said(stamp, frame):
        poses.publish(pose_message(np.array([0.1, 0.2, 0.3]), NO_TURN, header(stamp_of(stamp), frame)))
        return link.poll()

    graph.wait(lambda: said(1, "lbr_link_0"), "a state in the base frame")
    for frame in ("world", ""):
        for _ in range(20):
            assert said(2, frame).stamp_ns == 1
    graph.wait(lambda: said(3, "lbr_link_0").stamp_ns == 3, "another state in the base frame")
    assert [reading.stamp_ns for reading in readings] == ([1, 3] if delivered else [])


def test_a_state_is_not_pushed_out_by_what_another_publishes_on_the_topic(graph):
    link = RobotLink(graph.node, "lbr_link_0", SENSOR)
    poses = graph.node.create_publisher(PoseStamped, "state/pose", COMMAND)
    graph.wait(lambda: poses.get_subscription_count() and link._publishers.names, "the link")
    stamp = 0

    def all_taken():
        nonlocal stamp
        stamp += 1
        for frame in ("lbr_link_0", "map", "map"):
            poses.publish(pose_message(np.array([0.1, 0.2, 0.3]), NO_TURN, header(stamp_of(stamp), frame)))
        time.sleep(0.05)  # until all three have arrived
        reading = link.poll()
        return reading is not None and reading.stamp_ns == stamp

    graph.wait(all_taken, "the state before the others")
    complaint = link.complaint(Reason.STALE_STATE)
    assert "/state/pose is in the frame 'map'" in complaint and "(published by /listener)" in complaint
    assert link.complaint(Reason.PAUSED) == ""


def test_a_position_that_is_no_number_is_named(graph):
    link = RobotLink(graph.node, "base", RELIABLE)
    poses = graph.node.create_publisher(PoseStamped, "state/pose", RELIABLE)
    message = pose_message(np.array([float("nan"), 0.2, float("inf")]), NO_TURN, header(stamp_of(1), "base"))
    graph.wait(lambda: (poses.publish(message), link.poll())[1] is not None, "a state")
    graph.wait(lambda: link._publishers.names, "its publisher")
    complaint = link.complaint(Reason.NOT_A_NUMBER)
    assert complaint.startswith("x, z of /state/pose (published by /listener) came as no number: mend its publisher")
    link.clear()
    assert link.complaint(Reason.NOT_A_NUMBER) == ""


def test_without_a_publisher_that_is_what_is_said(graph):
    assert "nobody publishes /state/pose" in RobotLink(graph.node, "base", SENSOR).complaint(Reason.NO_STATE)


@pytest.mark.slow
def test_the_controller_says_in_which_frame_it_wants_states(graph, model_file):
    poses = graph.node.create_publisher(PoseStamped, "state/pose", RELIABLE)
    statuses = graph.listen("controller_status", ControllerStatus, RELIABLE)
    message = pose_message(np.array([0.5, 0.0, 0.4]), NO_TURN, header(stamp_of(1), "world"))
    graph.node.create_timer(0.02, lambda: poses.publish(message))
    graph.start("gmm_controller", model_file=model_file, autostart=True)
    words = "/state/pose is in the frame 'world', not in the base frame 'lbr_link_0'"
    graph.wait(lambda: words in graph.output("gmm_controller"), "an error that names both frames")
    graph.wait(lambda: statuses and statuses[-1].reason == Reason.NO_STATE, "a controller without a state")
