"""The simulated robot beside others: on the topics of a real one, or with two commanders."""

import pytest
import rclpy
import robot_interfaces
from geometry_msgs.msg import PoseStamped, Twist, TwistStamped
from std_msgs.msg import String

from sac_gmm_nodes.common.qos import COMMAND, RELIABLE

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def refusal(graph, name, **parameters):
    """What a simulated robot says that ends at once."""
    process = graph.start(name, executable="pybullet_bridge", **parameters)
    graph.processes.pop(name)
    assert process.wait(120.0) == 2, graph.output(name)
    said = graph.output(name)
    assert "Traceback" not in said and "export ROS_DOMAIN_ID" in said
    return said


def test_a_rehearsal_beside_a_driver_is_refused_and_names_it(graph):
    graph.env |= robot_interfaces.environment()
    driver = rclpy.create_node("lbr_driver", context=graph.node.context)
    driver.create_publisher(String, "lbr/state", RELIABLE)  # of whatever type: its name is enough
    said = refusal(graph, "rehearsal", driver="only")
    assert "PybulletBridge: /lbr/state is published by /lbr_driver: a robot is there already" in said
    driver.destroy_node()


def test_two_that_command_the_arm_are_refused_and_named(graph):
    others = [rclpy.create_node(name, context=graph.node.context) for name in ("one", "other")]
    others[0].create_publisher(Twist, "lbr/command/twist", COMMAND)
    others[1].create_publisher(TwistStamped, "command/twist", COMMAND)
    assert "/one and /other both command the arm" in refusal(graph, "two_commanders", driver="also")
    for other in others:
        other.destroy_node()


def test_a_second_simulation_is_refused(graph):
    first = rclpy.create_node("pybullet_bridge", context=graph.node.context)
    first.create_publisher(PoseStamped, "state/pose", RELIABLE)
    assert "/state/pose is published by another /pybullet_bridge" in refusal(graph, "second", lockstep=True)
    first.destroy_node()


def test_a_robot_that_comes_later_ends_the_simulation(graph):
    poses = graph.listen("state/pose", PoseStamped, RELIABLE)
    simulation = graph.start("pybullet_bridge", lockstep=True)
    graph.wait(lambda: poses, "the first state")
    arm = rclpy.create_node("arm_driver", context=graph.node.context)
    arm.create_publisher(PoseStamped, "state/pose", RELIABLE)
    graph.processes.pop("pybullet_bridge")
    assert simulation.wait(120.0) == 2
    assert "/state/pose is published by /arm_driver: a robot is there already" in graph.output("pybullet_bridge")
    arm.destroy_node()
