"""A person with a gamepad: joystick, guard, simulated arm and recorder, as teleoperate.launch.yaml starts them."""

import sys
import time

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from scripted_joystick import DISCARD, PATIENCE_S, RECORD, ScriptedJoystick
from std_msgs.msg import Bool

from sac_gmm.demos import find_bags, read_demonstration
from sac_gmm_nodes.common.conversions import point_array, twist_array
from sac_gmm_nodes.common.qos import RELIABLE

pytestmark = [pytest.mark.ros, pytest.mark.slow]
UP_DOWN = 4  # axis


class Person:
    """Holds the gamepad, and sees the arm."""

    def __init__(self, graph, folder):
        self.graph, self.joystick = graph, ScriptedJoystick(graph)
        self.poses = graph.listen("state/pose", PoseStamped, RELIABLE)
        self.twists = graph.listen("state/twist", TwistStamped, RELIABLE)
        self.deadmen = graph.listen("deadman", Bool, RELIABLE)
        arguments = ["launch/teleoperate.launch.yaml", "joystick:=gamepad", f"folder:={folder}"]
        graph.run("launch", [sys.executable, "-m", "sac_gmm.cli.main", "up", *arguments])
        graph.wait(lambda: self.poses and self.twists and self.deadmen, "arm and joystick")

    def held(self):
        return self.deadmen[-1].data

    def tip(self):
        return point_array(self.poses[-1].pose.position)

    def move(self, share, done, what):
        """Push the stick until `done()`, pressing again what a busy machine has let go."""
        self.joystick.push(UP_DOWN, share)
        self.joystick.hold(self.held, done, what)

    def press(self, button, words):
        """Press a button until this is said, once more than before; on a busy machine a press may be missed."""
        before, pressed_s = self.output().count(words), 0.0

        def answered():
            nonlocal pressed_s
            if time.monotonic() - pressed_s > PATIENCE_S:
                pressed_s = time.monotonic()
                self.joystick.press(*([] if self.joystick.buttons[button] else [button]))
            return self.output().count(words) > before

        self.graph.wait(answered, words)
        self.joystick.press()

    def output(self):
        return self.graph.output("launch")

    def rests(self):
        """Wait until the arm rests."""
        seen = len(self.twists)
        self.graph.wait(
            lambda: len(self.twists) > seen + 3 and np.linalg.norm(twist_array(self.twists[-1])[:3]) < 2e-3, "rest"
        )


def test_a_demonstration_is_recorded_with_a_gamepad(graph, tmp_path):
    folder = tmp_path / "bags"
    person = Person(graph, folder)
    person.press(RECORD, "recording ")
    start = person.tip()
    person.move(1.0, lambda: person.tip()[2] > start[2] + 0.1, "the way up")
    person.joystick.press()
    person.rests()
    person.press(RECORD, " samples")
    [bag] = find_bags([folder])
    recorded = read_demonstration(bag)
    assert recorded.task == "door"
    way_m = recorded.position_m[-1] - recorded.position_m[0]
    assert way_m[2] > 0.05, "up, as the stick was pushed"
    np.testing.assert_allclose(way_m[:2], 0.0, atol=0.01)

    person.press(RECORD, "recording ")
    person.move(-1.0, lambda: twist_array(person.twists[-1])[2] < -0.03, "the way down")
    person.joystick.silent = True
    graph.wait(lambda: "/joy (published by /listener) has been silent" in person.output(), "why it is released")
    person.rests()
    person.joystick.silent = False
    person.press(DISCARD, "discarded")
    assert find_bags([folder]) == [bag], "the second one was discarded"
    assert graph.stop("launch") == 0
