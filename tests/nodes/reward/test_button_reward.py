import os
import subprocess
import sys

import pytest
from sac_gmm_interfaces.msg import EpisodeState, Reward
from sensor_msgs.msg import Joy

from sac_gmm_nodes.common.conversions import nanoseconds, stamp_of
from sac_gmm_nodes.common.qos import EPISODE, RELIABLE

pytestmark = pytest.mark.ros
SECOND_NS = 10**9
LIMIT_S = 3600.0  # longer than any test


class World:
    """A joystick and an episode manager in the test's process."""

    def __init__(self, graph, **parameters):
        self.graph = graph
        self.rewards = graph.listen("reward", Reward, RELIABLE)
        self.joy = graph.node.create_publisher(Joy, "joy", RELIABLE)
        self.episodes = graph.node.create_publisher(EpisodeState, "episode_state", EPISODE)
        self.buttons = [0, 0, 0]
        graph.start("button_reward", **({"silence_timeout_s": 60.0} | parameters))
        publishers = (self.joy, self.episodes)
        graph.wait(lambda: all(publisher.get_subscription_count() for publisher in publishers), "button_reward")
        self.repeating = graph.node.create_timer(0.02, lambda: self.joy.publish(Joy(buttons=self.buttons)))

    def episode(self, episode_id, phase=EpisodeState.PHASE_RUNNING, ago_s=0.0, limit_s=LIMIT_S):
        start_ns = self.graph.node.get_clock().now().nanoseconds - round(ago_s * SECOND_NS)
        message = EpisodeState(phase=phase, episode_id=episode_id, time_limit_s=limit_s)
        message.start_stamp = stamp_of(start_ns)
        self.episodes.publish(message)
        return start_ns

    def until(self, said, what):
        self.graph.wait(lambda: any(said(reward) for reward in self.rewards), what)
        return next(reward for reward in self.rewards if said(reward))

    def press(self, button):
        self.buttons = [int(number == button) for number in range(3)]

    def click(self):
        """Press and release the button for success; to be repeated, as it may overtake the news of an episode."""
        self.joy.publish(Joy(buttons=[1, 0, 0]))
        self.joy.publish(Joy(buttons=[0, 0, 0]))
        return True


def test_a_person_s_call_ends_the_episode_that_it_belongs_to(graph):
    world = World(graph, late_window_s=60.0, debounce_s=0.0)
    waiting = world.until(lambda r: r.valid, "a reward before any call")
    assert (waiting.source, waiting.success, waiting.text) == ("button", False, "nobody has called yet")
    none = "success is called while no episode runs: it counts for none"
    graph.wait(lambda: world.click() and none in graph.output("button_reward"), "the log to say so")
    # A joystick without the buttons makes the reward invalid. What it sent before has been taken in then.
    world.buttons = [0]
    world.until(lambda r: "failure_button is 1, but the joystick has 1 buttons" in r.text and not r.valid, "the reason")
    world.press(None)
    since = len(world.rewards)
    graph.wait(lambda: any(r.valid for r in world.rewards[since:]), "a valid reward again")
    for episode_id, (button, name) in enumerate(((1, "failed"), (2, "discard"), (0, "success")), start=1):
        start_ns = world.episode(episode_id)
        begun = world.until(lambda r, k=episode_id: r.episode_id == k, "the episode to be heard of")
        assert not (begun.success or begun.failed or begun.discard), "not of the episode before"
        world.press(button)
        reward = world.until(lambda r, n=name, k=episode_id: getattr(r, n) and r.episode_id == k, name)
        assert [reward.failed, reward.discard, reward.success] == [name == n for n in ("failed", "discard", "success")]
        assert reward.valid and reward.value == float(name == "success") and nanoseconds(reward.header.stamp) > start_ns
    # Its time is over: nothing is told of that until a person may no longer call, and a late call counts for it.
    world.press(None)
    start_ns = world.episode(9, ago_s=60.0, limit_s=50.0)
    graph.wait(
        lambda: world.click() and any(r.success and r.episode_id == 9 for r in world.rewards), "the late success"
    )
    late = [r for r in world.rewards if r.episode_id == 9]
    assert {nanoseconds(r.header.stamp) for r in late} == {start_ns + 50 * SECOND_NS}
    assert all(r.success for r in late), "nothing before it"
    assert "success is called for episode 9, " in graph.output("button_reward")
    assert graph.stop("button_reward") == 0


def test_a_silent_joystick_is_an_invalid_reward(graph):
    world = World(graph, silence_timeout_s=0.5)
    world.until(lambda r: r.valid, "a valid reward")
    graph.node.destroy_timer(world.repeating)
    silent = world.until(lambda r: not r.valid, "an invalid one")
    assert silent.text.startswith("no reading on /joy for 0.5 s: check the joystick") and not silent.success


def test_keys_of_the_terminal_are_calls_and_without_a_terminal_there_are_none(graph):
    rewards = graph.listen("reward", Reward, RELIABLE)
    command = [sys.executable, "-m", "sac_gmm_nodes.reward.button_reward", "--ros-args", "-p", "device:=keys"]
    without = subprocess.run(
        command, env=graph.env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120
    )
    assert without.returncode == 2 and "there is no terminal for keys here" in without.stderr
    ours, terminal = os.openpty()
    with open(graph.folder / "button_reward.log", "ab") as log:
        graph.processes["button_reward"] = subprocess.Popen(
            command, env=graph.env, stdin=terminal, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
        )
    called = "failure is called while no episode runs"
    graph.wait(lambda: os.write(ours, b"f") and called in graph.output("button_reward"), "the key")
    graph.wait(lambda: any(reward.valid for reward in rewards), "a reward, although no joystick is there")
    assert graph.stop("button_reward") == 0
    os.close(ours)
    os.close(terminal)


def test_two_calls_of_one_button_are_refused_in_one_sentence(graph):
    process = graph.start("button_reward", success_button=1)
    assert process.wait(60) == 2
    del graph.processes["button_reward"]
    said = graph.output("button_reward")
    assert "two calls have one button (success 1, failure 1" in said and "Traceback" not in said
