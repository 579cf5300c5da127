import math

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from sac_gmm_interfaces.msg import EpisodeState
from scripted_joystick import CLOSE, CONFIRM, HOLD, OPEN, ScriptedJoystick
from std_msgs.msg import Bool, Empty, Float64

from sac_gmm_nodes.common.conversions import twist_array
from sac_gmm_nodes.common.qos import COMMAND, EPISODE, RELIABLE

pytestmark = pytest.mark.ros


class Teleop:
    """A node with its joystick, and an ear on what it asks for."""

    def __init__(self, graph, **parameters):
        self.graph, self.joystick = graph, ScriptedJoystick(graph)
        self.twists = graph.listen("desired_twist", TwistStamped, COMMAND)
        self.grippers = graph.listen("desired_gripper", Float64, COMMAND)
        self.deadmen = graph.listen("deadman", Bool, RELIABLE)
        graph.start("joy_teleop", **parameters)

    def held(self):
        return bool(self.deadmen) and self.deadmen[-1].data

    def asks_for(self, *twist):
        return bool(self.twists) and np.allclose(twist_array(self.twists[-1]), twist)

    def released(self, because):
        """Wait until it counts as released for this reason, and asks for nothing."""
        words = f"the deadman counts as released: {because}"
        self.graph.wait(lambda: words in self.graph.output("joy_teleop"), words)
        self.graph.wait(lambda: not self.held() and self.asks_for(0, 0, 0, 0, 0, 0), "zeros")


def test_it_asks_for_what_the_joystick_says_while_its_button_is_held(graph):
    teleop = Teleop(graph, silence_timeout_s=60.0, max_speed_m_s=0.2, reversed_axes="[0]", base_frame="base")
    joystick = teleop.joystick
    joystick.press(HOLD)
    joystick.push(1, 1.0)
    teleop.released("button 5 was down from the beginning: release it once")
    joystick.press()
    teleop.released("button 5 is up")
    joystick.press(HOLD)
    graph.wait(lambda: teleop.held() and teleop.asks_for(0.2, 0, 0, 0, 0, 0), "the speed that was set")
    assert teleop.twists[-1].header.frame_id == "base"
    joystick.axes = [1.0, 0.0, *[0.0] * 6]
    graph.wait(lambda: teleop.asks_for(0, -0.2, 0, 0, 0, 0), "the reversed axis")
    assert not teleop.grippers, "nobody has asked for anything"
    for button, position in ((CLOSE, 1.0), (OPEN, -1.0)):
        joystick.press(HOLD, button)
        graph.wait(lambda at=position: teleop.grippers and teleop.grippers[-1].data == at, "the gripper")

    joystick.axes = [1.0] * 3
    teleop.released("it has 3 axes, and 5 are needed")
    joystick.axes = [0.0, 0.0, 0.0, 0.0, math.nan, 0.0]
    teleop.released("axis 4 is nan, not a number")
    joystick.axes = [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]
    teleop.released("button 5 was down from the beginning")
    joystick.hold(teleop.held)
    graph.wait(lambda: teleop.asks_for(0, 0, 0.2, 0, 0, 0), "motion again")
    assert graph.stop("joy_teleop") == 0
    graph.wait(lambda: not teleop.held() and teleop.asks_for(0, 0, 0, 0, 0, 0), "its last word to be a release")


def test_a_joystick_that_is_silent_or_unplugged_counts_as_released(graph):
    teleop = Teleop(graph)
    teleop.joystick.push(1, 1.0)
    teleop.joystick.hold(teleop.held)
    teleop.joystick.silent = True
    teleop.released("/joy (published by /listener) has been silent for 0.25 s: is the joystick plugged in?")
    graph.node.destroy_publisher(teleop.joystick.publisher)
    teleop.released("nobody publishes /joy: plug the joystick in")


def test_a_deadman_that_does_not_drive_is_pressed_anew_for_each_episode(graph):
    teleop = Teleop(graph, drive=False, silence_timeout_s=60.0, unchanged_timeout_s=600.0)
    episodes = graph.node.create_publisher(EpisodeState, "episode_state", EPISODE)
    confirmed = graph.listen("reset_done", Empty, RELIABLE)
    teleop.joystick.hold(teleop.held)
    episodes.publish(EpisodeState(episode_id=4, phase=EpisodeState.PHASE_RUNNING))
    episodes.publish(EpisodeState(episode_id=4, phase=EpisodeState.PHASE_ENDED))
    words = "the deadman counts as released: the episode has ended"
    graph.wait(lambda: words in graph.output("joy_teleop") and not teleop.held(), words)
    teleop.joystick.press(HOLD, CONFIRM)
    graph.wait(lambda: confirmed, "the task to be put back")
    assert not teleop.held(), "it is still the press of the last episode"
    teleop.joystick.press()
    teleop.joystick.hold(teleop.held)
    assert not teleop.twists and graph.node.count_publishers("desired_twist") == 0, "something else moves the arm"


def test_an_unknown_joystick_ends_the_node_with_a_sentence(graph):
    assert graph.start("joy_teleop", joystick="mouse").wait(120.0) == 2
    assert "parameter joystick = 'mouse': expected one of: gamepad, spacemouse" in graph.output("joy_teleop")
