"""The whole chain, started by the launch file, over real DDS: what listens from another process, and what breaks."""

import os
import signal
import sys
from math import ceil
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.action import ActionClient
from rclpy.qos import QoSProfile
from sac_gmm_interfaces.action import AdaptSkill
from sac_gmm_interfaces.msg import (
    ControllerStatus,
    EpisodeState,
    MethodPace,
    MixtureModel,
    MixtureUpdate,
    MixtureUpdateAnswer,
    Reward,
)
from sac_gmm_interfaces.srv import RunEpisode
from std_msgs.msg import Bool

from sac_gmm.control import Reason, State
from sac_gmm.methods import MacroEnv, method
from sac_gmm.methods.sac_gmm import Gmm, WindowObserver
from sac_gmm.methods.settings import load_settings
from sac_gmm.models import load_model
from sac_gmm.tasks import make_task
from sac_gmm_nodes.common.conversions import nanoseconds, point_array, twist_array
from sac_gmm_nodes.common.qos import EPISODE, LATCHED

pytestmark = pytest.mark.slow
ROOT = Path(__file__).parents[2]
PERIOD_NS = 1e9 / 30
INTERVAL = load_settings(method("sac_gmm"), "door", ROOT / "config" / "methods").interval
ALL = QoSProfile(depth=1000)  # a listener that is held up, on a busy machine, still hears what was said meanwhile


class Chain:
    """The launched graph and everything that it says."""

    def __init__(self, graph, model_file, tmp_path, **arguments):
        self.graph = graph
        self.models = graph.listen("model", MixtureModel, LATCHED)
        self.paces = graph.listen("method_pace", MethodPace, LATCHED)
        self.updates = graph.listen("model_update", MixtureUpdate, ALL)
        self.answers = graph.listen("model_update_answer", MixtureUpdateAnswer, ALL)
        self.statuses = graph.listen("controller_status", ControllerStatus, ALL)
        self.rewards = graph.listen("reward", Reward, ALL)
        self.twists = graph.listen("command/twist", TwistStamped, ALL)
        self.poses = graph.listen("state/pose", PoseStamped, ALL)
        self.velocities = graph.listen("state/twist", TwistStamped, ALL)
        self.episodes = graph.listen("episode_state", EpisodeState, EPISODE)
        self.truths = graph.listen("pybullet_bridge/task_success", Bool, LATCHED)
        self.adapts = arguments.get("adapt") != "false"
        self.paces.clear()  # of an earlier launch in the same test
        given = {"model": model_file, "run_dir": tmp_path / "run", "use_image": "false"} | arguments
        command = [sys.executable, "-m", "sac_gmm.cli.main", "up", "launch/simulation.launch.yaml"]
        graph.run("launch", command + [f"{name}:={value}" for name, value in given.items()])

    def run_episode(self, mode=EpisodeState.MODE_TRAIN, seed=0):
        if self.adapts:  # the listener must have found the adapter, or it misses the first decision
            self.graph.wait(lambda: self.paces, "the adapter's announcement")
        self.graph.wait(lambda: self.statuses and self.statuses[-1].reason != Reason.INACTIVE, "the controller")
        return self.graph.call(RunEpisode, "run_episode", RunEpisode.Request(mode=mode, seed=seed), 120.0)

    def begin_episodes(self, n, mode=EpisodeState.MODE_TRAIN):
        """Send the goal of an action; returns the future of its result."""
        client = ActionClient(self.graph.node, AdaptSkill, "adapt_skill")
        self.graph.wait_to_be_known(client.server_is_ready, "the action server")
        sent = []

        def send():  # in the thread that takes the answers: rclpy drops one that comes before `send_goal_async` returns
            if not sent:
                sent.append(client.send_goal_async(AdaptSkill.Goal(mode=mode, episodes=n, first_seed=5)))

        timer = self.graph.node.create_timer(0.02, send)
        self.graph.wait(lambda: sent and sent[0].done(), "the goal to be accepted")
        timer.cancel()
        return sent[0].result()

    def pid(self, executable):
        """Process id of a launched node, found by its command line and this test's ROS domain."""
        domain = f"ROS_DOMAIN_ID={self.graph.domain}\0".encode()
        for process in Path("/proc").iterdir():
            try:
                command = (process / "cmdline").read_bytes()
                if f"/{executable}\0".encode() in command and domain in (process / "environ").read_bytes() + b"\0":
                    return int(process.name)
            except (OSError, ValueError):
                continue
        return None

    def kill(self, executable):
        self.graph.wait(lambda: self.pid(executable), executable)
        os.kill(self.pid(executable), signal.SIGKILL)

    def stamps(self, messages):
        return np.array([nanoseconds(message.header.stamp) for message in messages])


def test_a_whole_episode_is_heard_from_another_process(graph, model_file, tmp_path):
    chain = Chain(graph, model_file, tmp_path)
    outcome = chain.run_episode()
    assert outcome.success, outcome.message
    assert outcome.duration_s == pytest.approx(10.0)
    assert not outcome.task_success
    graph.wait(lambda: chain.episodes[-1].phase == EpisodeState.PHASE_ENDED, "the end of the episode")
    ended = chain.episodes[-1]
    start, end = nanoseconds(ended.start_stamp), nanoseconds(ended.end_stamp)
    assert ended.timed_out and ended.mode == EpisodeState.MODE_TRAIN

    # Commands with the stamps of the states that they answer. Only the newest is kept for a listener, so a slow one
    # may miss some.
    def commands():
        return [message for message in list(chain.twists) if start <= nanoseconds(message.header.stamp) <= end]

    graph.wait(lambda: len(set(chain.stamps(commands()))) > 200, "the commands of the episode")
    moving = commands()
    steps = np.rint((chain.stamps(moving) - start) / PERIOD_NS).astype(int)
    assert set(steps) <= set(range(301))
    twists = np.array([twist_array(message) for message in moving])
    changes = np.linalg.norm(np.diff(twists[:, :3], axis=0), axis=1)[np.diff(steps) == 1]
    assert changes.max() <= 2.0 / 30 + 1e-9
    assert np.linalg.norm(twists[:, :3], axis=1).max() <= 0.25 + 1e-9

    # One decision every `INTERVAL` steps, each answered and in force.
    decisions = np.arange(ceil(300 / INTERVAL))
    graph.wait(lambda: len(chain.answers) >= len(decisions) <= len(chain.updates), "the last decision and its answer")
    assert [update.decision for update in chain.updates] == list(decisions)
    assert [answer.decision for answer in chain.answers] == list(decisions)
    assert all(answer.accepted for answer in chain.answers)
    np.testing.assert_allclose(chain.stamps(chain.updates) - start, decisions * INTERVAL * PERIOD_NS, atol=2)
    graph.wait(lambda: chain.models[-1].version == chain.updates[-1].new_version, "the last version, as published")

    def due():
        return {status.decision for status in list(chain.statuses) if status.decision_due}

    graph.wait(lambda: due() >= set(decisions), "the statuses, which a busy listener hears later than the answers")
    assert due() == set(decisions)

    # A reward for every picture of the fixed camera, and it agrees with the truth.
    counted = [reward for reward in chain.rewards if nanoseconds(reward.header.stamp) >= start]
    assert {round((stamp - start) / PERIOD_NS) for stamp in chain.stamps(counted)} >= set(range(3, 301, 6))
    assert not any(reward.success for reward in counted)
    assert not chain.truths[-1].data
    for messages in (chain.models, chain.updates, chain.answers, moving, counted):
        assert all(nanoseconds(message.header.stamp) >= 0 for message in messages)
    assert graph.stop("launch") == 0
    assert "Traceback" not in graph.output("launch")


@pytest.mark.parametrize(("task", "source"), [("lever", "lamp"), ("peg", "switch")])
def test_every_task_is_adapted_at_its_own_pace_and_paid_by_its_own_sensor(graph, model_file, tmp_path, task, source):
    skill = load_settings(method("sac_gmm"), task, ROOT / "config" / "methods").skill
    chain = Chain(graph, model_file, tmp_path, task=task, use_image="true", learner="sync", time_limit_s="1.6")
    outcome = chain.run_episode()
    assert outcome.success, outcome.message
    decisions = np.arange(ceil(48 / skill.interval))
    graph.wait(lambda: len(chain.answers) >= len(decisions), "the last decision and its answer")
    start = nanoseconds(chain.episodes[-1].start_stamp)
    assert [update.decision for update in chain.updates] == list(decisions)
    np.testing.assert_allclose(chain.stamps(chain.updates) - start, decisions * skill.interval * PERIOD_NS, atol=2)
    assert all(answer.accepted for answer in chain.answers)
    assert [pace.decision_interval for pace in chain.paces] == [skill.interval]
    assert chain.paces[0].blend_s == skill.blend_s
    assert {reward.source for reward in chain.rewards} == {source}
    assert any(reward.valid for reward in chain.rewards) and not any(reward.success for reward in chain.rewards)
    assert graph.stop("launch") == 0


def test_a_training_run_repeats(graph, model_file, tmp_path):
    n_decisions = 3 * ceil(90 / INTERVAL)
    runs = []
    for attempt in range(2):
        chain = Chain(graph, model_file, tmp_path / str(attempt), seed=3, time_limit_s=3.0)
        for seed in range(3):
            outcome = chain.run_episode(seed=seed)
            assert outcome.success, outcome.message
        graph.wait(lambda chain=chain: chain.updates[-1].new_version >= n_decisions, "the last update")
        runs.append({update.new_version: update.checksum for update in chain.updates})
        assert graph.stop("launch") == 0
        chain.updates.clear()
    assert len(set(runs[0].values())) == len(runs[0]) == n_decisions
    assert runs[0] == runs[1]


@pytest.mark.ros
def test_the_controller_goes_on_without_the_adapter(graph, model_file, tmp_path):
    chain = Chain(graph, model_file, tmp_path)
    goal = chain.begin_episodes(2)
    result = goal.get_result_async()
    graph.wait(lambda: chain.answers and chain.answers[-1].decision >= 2, "a few decisions")
    chain.kill("sac_adapter")
    killed_at = chain.statuses[-1].step, chain.statuses[-1].episode_id
    graph.wait(
        lambda: (
            (chain.statuses[-1].episode_id == killed_at[1] and chain.statuses[-1].step > killed_at[0] + 60)
            or chain.statuses[-1].episode_id > killed_at[1]
        ),
        "motion without the adapter",
    )
    graph.wait(result.done, "the end of both episodes")
    assert result.result().result.completed
    assert result.result().result.episodes == 2
    after = [s for s in chain.statuses if (s.episode_id, s.step) > (killed_at[1], killed_at[0] + 1)]
    assert after
    assert all(status.state == State.ACTIVE for status in after)
    graph.wait(lambda: chain.pid("sac_adapter"), "the adapter to come back")


@pytest.mark.ros
def test_the_arm_stops_without_the_controller(graph, model_file, tmp_path):
    chain = Chain(graph, model_file, tmp_path, adapt="false")
    chain.begin_episodes(1, EpisodeState.MODE_BASE)
    graph.wait(lambda: chain.statuses and chain.statuses[-1].step > 20, "motion")
    chain.kill("gmm_controller")
    graph.wait(lambda: "no command/twist for the state" in graph.output("launch"), "the bridge to notice")
    last = chain.stamps(chain.twists)[-1]
    graph.wait(lambda: chain.stamps(chain.velocities)[-1] > last + 1e9, "a second without commands")
    velocities = list(chain.velocities)
    ages = (chain.stamps(velocities) - last) / 1e9
    speeds = np.array([np.linalg.norm(twist_array(message)[:3]) for message in velocities])
    assert speeds[ages < 0.05].max() > 0.02  # it was moving
    assert speeds[ages > 0.199].max() < 0.015  # and is at rest within 0.2 s of simulated time


@pytest.mark.ros
def test_episodes_can_be_cancelled(graph, model_file, tmp_path):
    chain = Chain(graph, model_file, tmp_path, adapt="false")
    goal = chain.begin_episodes(1000, EpisodeState.MODE_BASE)
    result = goal.get_result_async()
    graph.wait(lambda: chain.statuses and chain.statuses[-1].step > 5, "motion")
    cancelled = goal.cancel_goal_async()
    graph.wait(cancelled.done, "the cancellation")
    graph.wait(result.done, "the result")
    assert result.result().result.message == "cancelled"
    assert not result.result().result.completed
    graph.wait(lambda: chain.episodes[-1].phase == EpisodeState.PHASE_IDLE, "rest")
    # The next episode works as if nothing had been.
    assert chain.run_episode(EpisodeState.MODE_BASE).success


def test_lockstep_repeats_itself_and_agrees_with_one_process(graph, model_file, tmp_path):
    chain = Chain(graph, model_file, tmp_path, adapt="false", time_limit_s="4.0")
    paths = []
    for episode_id in (1, 2):
        assert chain.run_episode(EpisodeState.MODE_BASE, seed=3).success
        ended = (episode_id, EpisodeState.PHASE_ENDED)
        graph.wait(
            lambda ended=ended: (chain.episodes[-1].episode_id, chain.episodes[-1].phase) == ended, "the episode's end"
        )
        start = nanoseconds(chain.episodes[-1].start_stamp)
        path = {}

        def heard(path=path, start=start):
            for message in list(chain.poses):
                step = round((nanoseconds(message.header.stamp) - start) / PERIOD_NS)
                if step >= 0:
                    path[step] = point_array(message.pose.position)
            return len(path) > 100  # a listener may miss some

        graph.wait(heard, "the way of the arm")  # on a busy machine it is read after the answer of the service
        paths.append(path)

    task = make_task("door")
    env = MacroEnv(task, Gmm(load_model(model_file), interval=1), WindowObserver(0))
    env.reset(seed=3)
    expected = [task.arm.position_m.copy()]
    for _ in range(120):
        env.step(np.zeros(0))
        expected.append(task.arm.position_m.copy())

    for path in paths:
        error = max(np.abs(position - expected[step]).max() for step, position in path.items())
        assert error < 1e-6


@pytest.mark.ros
def test_in_real_time_decisions_are_made_on_fresh_pictures(graph, model_file, tmp_path):
    chain = Chain(graph, model_file, tmp_path, lockstep="false", use_image="true", time_limit_s="3.8")
    outcome = chain.run_episode()
    assert outcome.success, outcome.message
    assert outcome.duration_s == pytest.approx(3.8)
    graph.wait(lambda: any(state.phase == EpisodeState.PHASE_ENDED for state in chain.episodes), "the episode's end")
    end_ns = max(nanoseconds(state.end_stamp) for state in chain.episodes)

    def asked():
        return [status for status in chain.statuses if status.decision_due]

    def made():
        return [update.decision for update in chain.updates]

    def last():
        """The last decision that is due well before the end: nothing may overtake it."""
        stamps = {status.decision: nanoseconds(status.header.stamp) for status in asked()}
        return max((decision for decision, stamp in stamps.items() if end_ns - stamp > 5 * PERIOD_NS), default=None)

    # A busy machine gives up deadlines: fewer decisions are due in 3.8 seconds, and one may be overtaken by the next.
    graph.wait(lambda: last() in made(), "the last decision that the controller asks for")
    assert sorted(set(made())) == made() and len(made()) <= ceil(114 / INTERVAL)
    assert set(made()) <= {status.decision for status in asked()}
    graph.wait(lambda: len(chain.answers) >= len(chain.updates), "an answer to every decision")
    assert all(answer.accepted for answer in chain.answers)
    ticks = np.diff([status.tick for status in chain.statuses])
    changes = np.linalg.norm(np.diff([twist_array(message)[:3] for message in chain.twists], axis=0), axis=1)
    assert changes.max() <= 2.0 / 30 * (1 + np.sum(ticks != 1)) + 1e-9
    assert graph.stop("launch") == 0
