import math
from pathlib import Path

import numpy as np
import pytest
import rclpy
from geometry_msgs.msg import PoseStamped, TwistStamped, WrenchStamped
from sac_gmm_interfaces.msg import EpisodeState, MethodPace
from sensor_msgs.msg import Image, JointState

from sac_gmm.control import SafetyLimits
from sac_gmm.methods import method, open_skill
from sac_gmm.models import Regressor, load_model
from sac_gmm.rl import load_checkpoint, read_extra
from sac_gmm_nodes.common.conversions import (
    header,
    joint_message,
    nanoseconds,
    pose_message,
    stamp_of,
    twist_array,
    twist_message,
    wrench_message,
)
from sac_gmm_nodes.common.pictures import image_message
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[3]
NO_TURN = np.array([0.0, 0.0, 0.0, 1.0])
FRAME = "lbr_link_0"
STEPS = 20  # of an episode; by default the agent decides at steps 0 and 16
NAMES = [f"joint_{number}" for number in range(7)]


class World:
    """Robot and episode manager in the test's process, in step with the runner."""

    def __init__(self, graph, **parameters):
        self.graph = graph
        node = graph.node
        self.twists = graph.listen("desired_twist", TwistStamped, RELIABLE)
        self.paces = graph.listen("method_pace", MethodPace, LATCHED)
        self.poses = node.create_publisher(PoseStamped, "state/pose", RELIABLE)
        self.velocities = node.create_publisher(TwistStamped, "state/twist", RELIABLE)
        self.joints = node.create_publisher(JointState, "joint_states", RELIABLE)
        self.wrenches = node.create_publisher(WrenchStamped, "wrench", RELIABLE)
        self.targets = node.create_publisher(PoseStamped, "target_pose", LATCHED)
        self.episodes = node.create_publisher(EpisodeState, "episode_state", EPISODE)
        self.periods = self.episode_id = 0
        self.start(**parameters)

    def start(self, **parameters):
        self.graph.wait(lambda: not self.graph.node.count_publishers("desired_twist"), "the end of the runner before")
        self.paces.clear()
        self.graph.start("skill_runner", **parameters)
        heard = [self.poses, self.velocities, self.joints, self.wrenches, self.targets, self.episodes]
        self.graph.wait(lambda: all(p.get_subscription_count() for p in heard), "the runner")
        self.graph.wait(lambda: self.paces and self.graph.node.count_publishers("desired_twist"), "its announcement")

    def begin(self, mode):
        self.episode_id += 1
        self.first = self.periods + 1
        state = EpisodeState(mode=mode, episode_id=self.episode_id, time_limit_s=STEPS / 30)
        state.phase, state.start_stamp = EpisodeState.PHASE_RUNNING, self.stamp(0)
        self.targets.publish(pose_message(np.zeros(3), NO_TURN, header(self.stamp(0), FRAME)))
        self.episodes.publish(state)
        return state

    def end(self, state, success):
        state.phase, state.success, state.timed_out = EpisodeState.PHASE_ENDED, success, not success
        state.end_stamp = self.stamp(STEPS)
        self.episodes.publish(state)

    def episode(self, mode, success=False):
        """Play one episode in lock-step; return the twists (STEPS, 6) that the runner asked for."""
        state = self.begin(mode)
        asked = [self.answer(step) for step in range(STEPS)]
        self.say_state(STEPS)
        self.end(state, success)
        return np.array(asked)

    def answer(self, step):
        self.say_state(step)
        stamp = self.stamp(step)
        self.graph.wait(lambda: self.twists and self.twists[-1].header.stamp == stamp, f"an answer to step {step}")
        return twist_array(self.twists[-1])

    def position_m(self, step):
        return np.array([0.0, 0.0, 0.1 - 0.002 * step])

    def say_state(self, step):
        self.periods = self.first + step
        head = header(self.stamp(step), FRAME)
        self.velocities.publish(twist_message(np.zeros(6), head))
        self.joints.publish(joint_message(NAMES, np.zeros(7), head))
        self.wrenches.publish(wrench_message(np.full(6, float(step)), head))
        self.poses.publish(pose_message(self.position_m(step), NO_TURN, head))

    def stamp(self, step):
        return stamp_of(round((self.first + step) * 1e9 / 30))


def test_plain_sac_practises_after_demonstrations_of_the_fitted_skill(graph, model_file, tmp_path):
    fixed = {"model_file": model_file, "method": "sac", "run_dir": tmp_path / "run", "lockstep": True}
    world = World(graph, **fixed, learner="sync")
    (pace,) = world.paces
    assert (pace.decision_interval, pace.control_rate_hz) == (method("sac").settings().interval, 30.0)
    assert pace.model_id == load_model(model_file).model_id
    assert pace.base_noise_std_m == 0.0, "demonstrations have an exact target"
    assert math.isnan(pace.training_noise_std_m)

    shown = world.episode(EpisodeState.MODE_BASE)
    act = method("sac").base_action(load_model(model_file))
    expected = [0.25 * act({"vector": world.position_m(step).astype(np.float32)}) for step in (0, 16)]
    np.testing.assert_allclose(shown[[0, 15, 16, 19], :3], np.repeat(expected, 2, axis=0), atol=1e-6)
    assert not shown[:, 3:].any() and {twist.header.frame_id for twist in world.twists} == {FRAME}
    explored = world.episode(EpisodeState.MODE_TRAIN, success=True)
    assert explored.any() and (explored[0] != shown[0]).any()
    world.episode(EpisodeState.MODE_EVALUATE)
    assert len({nanoseconds(twist.header.stamp) for twist in world.twists}) == 3 * STEPS
    assert graph.stop("skill_runner") == 0

    checkpoint = tmp_path / "run" / "agent.checkpoint"
    rows = load_checkpoint(checkpoint).algorithm.replay.state_dict()
    assert rows["steps"].tolist() == [16, 4, 16, 4], "what is evaluated is not learned from"
    assert rows["reward"] == pytest.approx([0, 0, 0, method("sac").settings().discount ** 3])
    assert rows["terminated"].tolist() == [False] * 3 + [True]
    np.testing.assert_allclose(0.25 * rows["action"][2:], explored[[0, 16], :3], atol=1e-7)
    assert read_extra(checkpoint)["episodes"] == {"base": 1, "train": 1}
    skill = open_skill(str(tmp_path / "run"), "door")
    assert (skill.method.name, skill.about["episodes_trained"], skill.limits) == ("sac", 1, SafetyLimits())
    assert skill.prior.model_id == load_model(model_file).model_id


def test_in_real_time_every_state_is_answered_and_a_late_picture_holds_nothing_up(graph, model_file, tmp_path):
    config = ROOT / "config" / "methods"
    given = {"model_file": model_file, "method": "residual_gmm", "task": "door", "config_folder": config}
    (tmp_path / "policy.bin").write_text("of somebody else")
    world = World(graph, **given, learner="sync", run_dir=tmp_path)
    assert world.paces[0].decision_interval == 4
    pictures = graph.node.create_publisher(Image, "wrist_camera/image", RELIABLE)
    world.begin(EpisodeState.MODE_BASE)
    world.say_state(0)
    waits = "nothing is decided: waiting for wrist_camera/image;"
    graph.wait(lambda: world.say_state(0) or waits in graph.output("skill_runner"), "what is missing")
    assert not world.twists, "nothing is asked for before the first decision"
    picture = image_message(np.zeros((64, 64, 3), np.uint8), header(world.stamp(0)))
    # Each said again until it is heard: who asks for the latest alone may have missed it.
    graph.wait(lambda: pictures.publish(picture) or world.twists, "the first answer")
    for step in range(1, 10):  # two more decisions are due
        count = len(world.twists)
        graph.wait(lambda step=step, count=count: world.say_state(step) or len(world.twists) > count, f"step {step}")
    field = Regressor(load_model(model_file).mixture)
    expected = {tuple(field(world.position_m(step))) for step in range(10)}
    asked = {tuple(twist_array(twist)[:3]) for twist in world.twists}
    assert asked == expected, "in base episodes it is the fitted skill"

    guard = rclpy.create_node("guard", context=graph.context)
    for name, value in (("max_speed_m_s", 0.1), ("max_acceleration_m_s2", 2.0), ("max_jerk_m_s3", 40.0)):
        guard.declare_parameter(name, value)
    graph.spin_too(guard)
    assert graph.processes["skill_runner"].wait(120.0) == 2
    why = "the guard allows less than the skill needs: max_speed_m_s: the skill was trained with 0.25 m/s"
    assert why in graph.output("skill_runner")
    assert "already holds another's policy.bin" in graph.output("skill_runner")
    assert (tmp_path / "policy.bin").read_text() == "of somebody else"
