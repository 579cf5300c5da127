"""The reset of the arm in a rehearsal: simulated LBR, controller and home_reset, each a process, and an ear on the arm.

One graph for all of it, in the order of a day: teach the start, let the skill move the arm, bring it back.
"""

from __future__ import annotations

import sys

import numpy as np
import pytest
import robot_interfaces
from geometry_msgs.msg import PoseStamped, TwistStamped, Vector3, Wrench, WrenchStamped
from sac_gmm_interfaces.msg import EpisodeState
from sac_gmm_interfaces.srv import ResetTask
from std_msgs.msg import Empty, String
from tests.nodes.commands import following
from tests.nodes.test_lbr import LIMITS, RATE_HZ, Lab

from sac_gmm.control import Reason, State
from sac_gmm.control.home import Home, load_home, save_home
from sac_gmm.control.reset_way import StartSettings
from sac_gmm_nodes.common.conversions import header, nanoseconds, point_array, stamp_of, twist_message
from sac_gmm_nodes.common.qos import LATCHED, RELIABLE

pytestmark = [pytest.mark.ros, pytest.mark.slow]
BOX_M = (0.01, 0.01, 0.005)
TOLERANCE_M = 0.002
ASK = "close the door, then press button 2"
SPEED_M_S = 0.04
TURN_RAD_S = 0.3


class Day(Lab):
    """`Lab`, whose episodes are the test's, and whose arm is brought back by `home_reset`."""

    def __init__(self, graph, model_file, home_file):
        graph.env |= robot_interfaces.environment()
        self.home_file = home_file
        self.start_reset(graph)  # all at once: each takes seconds to start
        teach = [sys.executable, "-m", "sac_gmm.cli.main", "robot", "teach-home", str(home_file), "--timeout-s", "600"]
        graph.run("teach", teach)
        # Slow, so that a machine that lags behind does not seem to be an arm that does not follow.
        super().__init__(graph, model_file, {"serve_reset": False}, episode=False, max_speed_m_s=0.05)
        self.targets = graph.listen("target_pose", PoseStamped, LATCHED)
        self.wrenches = graph.node.create_publisher(WrenchStamped, "wrench", RELIABLE)
        self.done = graph.node.create_publisher(Empty, "reset_done", RELIABLE)
        self.resets = graph.node.create_client(ResetTask, "reset_task")
        self.said = graph.listen("reset_status", String, LATCHED)
        self.number = 0

    def start_reset(self, graph):
        graph.start(
            "home_reset",
            home_file=self.home_file,  # which is yet to be taught
            start_box_m=str(list(BOX_M)),
            ask=f'"{ASK}"',
            use_sim_time=True,
            reset_speed_m_s=SPEED_M_S,
            reset_acceleration_m_s2=1.0,
            tolerance_m=TOLERANCE_M,
            silence_timeout_s=60.0,
            progress_timeout_s=60.0,
            hold_timeout_s=2.0,
        )

    def episode(self, phase, start_ns=0):
        self.number += phase == EpisodeState.PHASE_RUNNING
        message = EpisodeState(phase=phase, episode_id=self.number, start_stamp=stamp_of(start_ns), time_limit_s=3600.0)
        self.episodes.publish(message)

    def let_the_skill_move(self, way_m=0.02):
        """An episode in which the skill takes the arm somewhere else."""
        self.episode(EpisodeState.PHASE_RUNNING, nanoseconds(self.poses[-1].header.stamp))
        self.moving("the skill to move the arm")
        begun = self.position()
        self.graph.wait(lambda: np.linalg.norm(self.position() - begun) > way_m, "the arm on its way")
        self.episode(EpisodeState.PHASE_ENDED)
        self.wait("the end of the episode", reason=Reason.NO_EPISODE, state=State.IDLE)

    def reset(self, seed, confirm=True):
        """What a reset answers; a person confirms, again and again, once that is asked for."""
        future = self.resets.call_async(ResetTask.Request(seed=seed))

        def answered():
            if confirm and self.said and self.said[-1].data == ASK:
                self.done.publish(Empty())
            return future.done()

        self.graph.wait(answered, f"the answer of the reset with seed {seed}")
        return future.result()

    def check_commands(self, start):
        """What the arm was sent since, by the skill or by the reset, is within the limits of the controller."""
        count = len(self.heard)
        twists = np.array(self.heard[start:count])
        assert np.isfinite(twists).all()
        follows = following(self.numbers[start:count], self.sent_s[start:count])
        change = np.diff(twists[:, :3], axis=0) * RATE_HZ
        assert np.linalg.norm(twists[:, :3], axis=1).max() <= LIMITS.max_speed_m_s + 1e-9
        assert np.linalg.norm(change[follows], axis=1).max() <= LIMITS.max_acceleration_m_s2 + 1e-6
        assert np.linalg.norm(twists[0, :3]) <= LIMITS.max_acceleration_m_s2 / RATE_HZ + 1e-9, "the first is no jump"
        assert not twists[-1].any(), "the last is a zero"
        return twists


def test_a_day_of_resets(graph, model_file, tmp_path, table):
    home_file = tmp_path / "home.json"
    day = Day(graph, model_file, home_file)
    graph.wait(lambda: day.poses, "the tip's pose")
    day.wait("no episode", reason=Reason.NO_EPISODE)

    # The start is taught by a program of its own, on the running graph.
    graph.wait(home_file.exists, "the file of the start pose")
    assert graph.processes.pop("teach").wait(120.0) == 0
    home = load_home(home_file)
    assert home.base_frame == "lbr_link_0" and len(home.joint_names) == 7
    np.testing.assert_allclose(home.position_m, day.position(), atol=0.001)

    # Brought back to starts that vary with the seed, and are the same for the same seed.
    graph.wait_to_be_known(day.resets.service_is_ready, "home_reset")
    starts = {seed: StartSettings(start_box_m=BOX_M).start(home.position_m, seed) for seed in (1, 2)}
    assert np.linalg.norm(starts[1] - starts[2]) > 3 * TOLERANCE_M
    for seed in (1, 2):
        day.let_the_skill_move()
        heard = len(day.heard)
        answer = day.reset(seed)
        assert answer.success, answer.message
        assert "from its start" in answer.message and ASK in answer.message
        assert nanoseconds(answer.stamp) > 0
        assert np.linalg.norm(day.position() - starts[seed]) < 2.5 * TOLERANCE_M
        day.silence()
        twists = day.check_commands(heard)
        assert np.linalg.norm(twists[:, :3], axis=1).max() <= SPEED_M_S + 1e-6
        assert np.linalg.norm(twists[:, 3:], axis=1).max() <= TURN_RAD_S + 1e-6
        texts = [message.data for message in day.said]
        assert texts.index("going back the way it came") < texts.index("going to the start") < texts.index(ASK)
        day.said.clear()
    places = {tuple(point_array(target.pose.position)) for target in day.targets}
    assert len(places) >= 2, "the target is detected anew in every episode"

    # A start outside the box is refused before anything moves, and so is a reset while an episode runs.
    heard = len(day.heard)
    outside = Home(home.base_frame, np.array([0.5, 0.0, 0.01]), home.quaternion_xyzw)
    save_home(home_file, outside, overwrite=True)
    answer = day.reset(1)
    assert not answer.success and "is outside the workspace box" in answer.message and "teach another" in answer.message
    save_home(home_file, home, overwrite=True)
    assert len(day.heard) == heard
    table.add("a reset: the start is outside the workspace box", "is not moved at all", "the answer of reset_task")
    day.episode(EpisodeState.PHASE_RUNNING, nanoseconds(day.poses[-1].header.stamp))
    day.moving("the skill")
    answer = day.reset(1)
    assert not answer.success and "an episode is running" in answer.message
    table.add("a reset while an episode is running", "goes on moving", "the answer of reset_task")
    day.moving("the skill, undisturbed")

    # Whoever asks for a reset's motion in an episode stops the arm; when it is quiet, the skill goes on.
    intruder = graph.node.create_publisher(TwistStamped, "reset/desired_twist", RELIABLE)
    twist = np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0])

    def intrude():
        intruder.publish(twist_message(twist, header(stamp_of(nanoseconds(day.poses[-1].header.stamp)), "lbr_link_0")))
        return day.statuses[-1].reason == Reason.SECOND_SENDER

    graph.wait(intrude, "the stop")
    assert "asks for the motion of a reset while an episode is running" in day.statuses[-1].remedy
    stop = "ramps to rest; goes on when nobody asks any more"
    table.add("a reset's motion is asked for while an episode is running", stop, "SECOND_SENDER")
    graph.node.destroy_publisher(intruder)
    day.moving("the skill again")
    day.episode(EpisodeState.PHASE_ENDED)
    day.silence()

    # The driver's session is lost on the way: the arm rests, and the answer says why.
    future = day.resets.call_async(ResetTask.Request(seed=1))
    graph.wait(lambda: day.said and day.said[-1].data == "going to the start", "the way to the start")
    day.fault("session")
    graph.wait(future.done, "the answer")
    answer = future.result()
    assert not answer.success and "SESSION_LOST" in answer.message and "LBRServer" in answer.message
    day.silence()
    stop = "ramps to rest, then silence; the reset is given up after hold_timeout_s"
    table.add("the LBR: the FRI session drops during a reset", stop, "SESSION_LOST, and the answer of reset_task")
    day.fault("none")
    graph.wait(lambda: day.states[-1].session_state == 4, "the session commanding again")
    day.resume()

    # Something presses at the tip: the arm rests at once.
    pressed = WrenchStamped(wrench=Wrench(force=Vector3(z=-90.0)))
    future = day.resets.call_async(ResetTask.Request(seed=1))
    graph.wait(lambda: day.wrenches.publish(pressed) or future.done(), "the answer")
    assert not future.result().success and "blocked: 90 N at the tip, more than 40 N" in future.result().message
    day.silence()
    table.add("a reset: a force of 90 N at the tip", "ramps to rest, then silence", "the answer of reset_task")

    # And it can be reset again, from where it was left.
    answer = day.reset(2)
    assert answer.success, answer.message
    assert np.linalg.norm(day.position() - starts[2]) < 2.5 * TOLERANCE_M
    assert graph.stop("home_reset") == 0
    for name in ("home_reset", "gmm_controller"):
        assert "Traceback" not in graph.output(name)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "parameter home_file is empty: give the file that `sac-gmm robot teach-home` writes, or demonstrations"),
        ({"demonstrations": "/nowhere"}, "/nowhere"),
        ({"home_file": "home.json", "max_force_n": -1.0}, "parameter max_force_n = -1 is out of range"),
    ],
)
def test_what_it_cannot_begin_with_is_refused_in_one_sentence(graph, parameters, sentence):
    process = graph.start("home_reset", **parameters)
    assert process.wait(120.0) == 2
    del graph.processes["home_reset"]
    assert sentence in graph.output("home_reset") and "Traceback" not in graph.output("home_reset")
