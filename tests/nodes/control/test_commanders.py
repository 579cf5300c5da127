"""Who else publishes on the topics of an arm."""

import pytest
import rclpy
from geometry_msgs.msg import Twist

from sac_gmm_nodes.common.qos import RELIABLE
from sac_gmm_nodes.control.commanders import Commanders

pytestmark = pytest.mark.ros
TOPICS = ["/lbr/command/twist", "/lbr/command/joint_position"]


@pytest.fixture
def other(graph):
    nodes = []

    def node(name):
        nodes.append(rclpy.create_node(name, context=graph.context))
        return nodes[-1]

    yield node
    for made in nodes:
        made.destroy_node()


def test_others_are_named_and_the_node_itself_is_left_out(graph, other):
    commanders = Commanders(graph.node, TOPICS, own=1)
    graph.node.create_publisher(Twist, TOPICS[0], RELIABLE)
    graph.wait(lambda: graph.node.count_publishers(TOPICS[0]), "its own publisher")
    commanders.look()
    assert not commanders.others and commanders.objection == commanders.words == ""

    other("replay").create_publisher(Twist, TOPICS[1], RELIABLE)
    graph.wait(lambda: commanders.look() or commanders.others, "another commander")
    assert commanders.objection.startswith("/replay publishes on /lbr/command/joint_position too: stop all but one")
    assert commanders.words == " (published by /replay)"


def test_another_node_of_the_same_name_is_another(graph, other):
    commanders = Commanders(graph.node, TOPICS, own=1)
    for node in (graph.node, other(graph.node.get_name())):
        node.create_publisher(Twist, TOPICS[0], RELIABLE)
    graph.wait(lambda: commanders.look() or commanders.names == ["/listener"], "its double")


def test_one_that_has_gone_is_forgotten(graph, other):
    commanders, replay = Commanders(graph.node, TOPICS), other("replay")
    publisher = replay.create_publisher(Twist, TOPICS[0], RELIABLE)
    graph.wait(lambda: commanders.look() or commanders.others, "another commander")
    replay.destroy_publisher(publisher)
    graph.wait(lambda: commanders.look() or not commanders.others, "nobody else")
