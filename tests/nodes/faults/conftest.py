"""What the fault suite shares: an arm that follows, and a watch on the command topic.

Every case breaks one thing for real, then says what the arm did and what the status said: a row of docs/faults.md.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from geometry_msgs.msg import PoseStamped
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.qos import QoSProfile
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState, MixtureModel, MixtureUpdate, MixtureUpdateAnswer
from std_msgs.msg import Bool
from tests.nodes.commands import ACCELERATION, JERK, MANY, PERIOD_S, Commands
from tests.nodes.conftest import Graph

from sac_gmm.control import State
from sac_gmm.models import GaussianMixture, SkillModel, load_model, save_model
from sac_gmm_nodes.common.conversions import header, pose_message, stamp_of
from sac_gmm_nodes.common.qos import COMMAND, EPISODE, LATCHED, RELIABLE

STATE_TIMEOUT_S = 0.25  # longer than a busy machine keeps the arm of `Rig` waiting for the processor
NO_TURN = np.array([0.0, 0.0, 0.0, 1.0])


@dataclass
class Stop:
    """How the arm came to rest, by the status of every tick."""

    ticks: int
    way_m: float
    speed_m_s: float  # at the first tick with a reason
    period_s: float

    def __str__(self) -> str:
        time_ms = 1e3 * self.ticks * self.period_s
        return f"from {self.speed_m_s:.2f} m/s to rest in {time_ms:.0f} ms and {1e3 * self.way_m:.1f} mm"

    @property
    def bound_s(self) -> float:
        """The longest that a stop within the limits takes: braking, and the smoothing of the jerk on top."""
        return self.speed_m_s / ACCELERATION + 2 * ACCELERATION / JERK + 2 * self.period_s


def stop_of(statuses: list[ControllerStatus], reason: int, period_s: float = PERIOD_S) -> Stop:
    """The stop for a reason: from the first status that gives it to the first at rest."""
    first = next(i for i, status in enumerate(statuses) if status.reason == reason)
    speeds = np.array([_speed(status) for status in statuses[first:]])
    assert (speeds == 0).any(), "the arm did not come to rest"
    rest = int(np.argmax(speeds == 0))
    ticks = statuses[first + rest].tick - statuses[first].tick
    before = _speed(statuses[max(first - 1, 0)])
    return Stop(int(ticks), float(speeds[:rest].sum() * period_s), before, period_s)


def _speed(status: ControllerStatus) -> float:
    return float(np.linalg.norm([status.velocity.x, status.velocity.y, status.velocity.z]))


class ArmRig:
    """A node that moves the arm in its own process, and an arm in the test's, which goes exactly where it is told.

    Args:
        folder: For the output of the node.
        mover: The node's executable.
        parameters: The node's parameters.
    """

    def __init__(self, folder: Path, mover: str, **parameters: object) -> None:
        self.graph = graph = Graph(folder)
        self.mover = mover
        self.commands = Commands(graph)
        self.statuses = graph.listen("controller_status", ControllerStatus, MANY)
        node = graph.node
        self.poses = node.create_publisher(PoseStamped, "state/pose", COMMAND)
        self.episodes = node.create_publisher(EpisodeState, "episode_state", EPISODE)
        self.deadman_topic = node.create_publisher(Bool, "deadman", RELIABLE)
        self.position = np.array([0.5, 0.0, 0.5])
        self.streaming, self.not_a_number, self.deadman = True, False, True
        self.now_ns = 10**9
        self._ended = threading.Event()
        self._arm = threading.Thread(target=self._follow, daemon=True)
        graph.start(
            mover,
            workspace_min_m="[0.25, -0.45, 0.05]",
            workspace_max_m="[0.80, 0.45, 0.80]",
            slow_down_band_m=0.03,
            **parameters,
        )

    def _follow(self) -> None:
        due = time.monotonic()
        tick = 0
        while not self._ended.is_set():
            due += PERIOD_S
            time.sleep(max(due - time.monotonic(), 0.0))
            tick += 1
            last = self.commands[-1] if self.commands else None
            if last is not None and time.monotonic() - last.at_s < 0.2:  # the driver's own time-out
                self.position = self.position + PERIOD_S * last.velocity
            if self.deadman and tick % 4 == 0:
                self.deadman_topic.publish(Bool(data=True))
            self._act(tick)
            if self.streaming:
                self.now_ns += 10_000_000
                position = np.full(3, np.nan) if self.not_a_number else self.position
                self.poses.publish(pose_message(position, NO_TURN, header(stamp_of(self.now_ns), "lbr_link_0")))

    def _act(self, tick: int) -> None:
        """Do what else is due in every period of the arm."""

    def transition(self, label: str) -> bool:
        """Ask for a transition of the life cycle."""
        request = ChangeState.Request()
        request.transition.label = label
        return self.graph.call(ChangeState, f"{self.mover}/change_state", request).success

    def lifecycle_state(self) -> str:
        return self.graph.call(GetState, f"{self.mover}/get_state", GetState.Request()).current_state.label

    def start(self) -> None:
        """Bring the node up."""
        assert self.transition("configure")
        assert self.transition("activate")
        self._arm.start()

    def wait_for(self, condition, what: str) -> ControllerStatus:
        """Wait for a status that comes from now on."""
        start = len(self.statuses)

        def found() -> ControllerStatus | None:
            return next((status for status in list(self.statuses)[start:] if condition(status)), None)

        self.graph.wait(found, what)
        status = found()
        assert status is not None
        return status

    def stop_for(self, reason: int, since: int) -> Stop:
        """Wait until the arm has come to rest for a reason, given after status number `since`; check how it did."""
        self.graph.wait(
            lambda: any(s.reason == reason and _speed(s) == 0 for s in self.statuses[since:]), "rest for a reason"
        )
        stop = stop_of(self.statuses[since - 1 :], reason)
        assert stop.ticks * stop.period_s <= stop.bound_s, f"{stop.ticks} ticks from {stop.speed_m_s} m/s"
        assert stop.way_m <= stop.speed_m_s * stop.bound_s + 1e-9
        return stop

    def close(self) -> None:
        self._ended.set()
        if self._arm.ident is not None:
            self._arm.join()
        self.graph.close()


class Rig(ArmRig):
    """The controller, its skill and a target."""

    def __init__(self, folder: Path, model_file: Path) -> None:
        self.model_file = folder / "skill.npz"
        self.good = model_file.read_bytes()
        self.model_file.write_bytes(self.good)
        self.base = load_model(model_file)
        super().__init__(
            folder,
            "gmm_controller",
            model_file=self.model_file,
            state_timeout_s=STATE_TIMEOUT_S,
            deadman=True,
            deadman_timeout_s=0.5,
            start_ramp_s=0.05,
        )
        graph, node = self.graph, self.graph.node
        self.models = graph.listen("model", MixtureModel, LATCHED)
        self.answers: list[MixtureUpdateAnswer] = []
        self.answered = threading.Condition()
        node.create_subscription(MixtureUpdateAnswer, "model_update_answer", self._on_answer, MANY)
        self.targets = node.create_publisher(PoseStamped, "target_pose", LATCHED)
        self.updates = node.create_publisher(MixtureUpdate, "model_update", QoSProfile(depth=100))
        self.target = np.array([0.5, 0.0, 0.3])
        self.episode = 0

    def _on_answer(self, answer: MixtureUpdateAnswer) -> None:
        with self.answered:
            self.answers.append(answer)
            self.answered.notify_all()

    def begin_slowly(self) -> int:
        """As `begin`, where the arm is held to a tenth of its speed."""
        return self.begin(moving_m_s=0.004)

    def begin(self, target=(0.5, 0.0, 0.3), start=(0.5, 0.0, 0.5), moving_m_s: float = 0.07) -> int:
        """A new episode in which the arm moves; gives the number of commands so far."""
        self.streaming, self.not_a_number, self.deadman = True, False, True
        self.episodes.publish(EpisodeState(phase=EpisodeState.PHASE_ENDED, episode_id=self.episode))
        self.wait_for(lambda status: status.state != State.ACTIVE and _speed(status) == 0, "rest before the episode")
        self.target, self.position = np.array(target, float), np.array(start, float)
        self.episode += 1
        now = stamp_of(self.now_ns)
        self.targets.publish(pose_message(self.target, NO_TURN, header(now, "lbr_link_0")))
        running = EpisodeState(phase=EpisodeState.PHASE_RUNNING, episode_id=self.episode, time_limit_s=600.0)
        running.start_stamp = now
        first = len(self.commands)
        self.episodes.publish(running)
        self.wait_for(lambda status: status.episode_id == self.episode and _speed(status) > moving_m_s, "motion")
        return first


@pytest.fixture(scope="module")
def rig(tmp_path_factory, model_file):
    rig = Rig(tmp_path_factory.mktemp("rig"), model_file)
    try:
        rig.start()
        yield rig
    finally:
        rig.close()


@pytest.fixture(scope="session")
def racing_model(tmp_path_factory) -> Path:
    """A skill that asks for 10 m/s downwards wherever it is."""
    means = np.zeros((1, 6))
    means[0, 5] = -10.0
    mixture = GaussianMixture(np.ones(1), means, np.diag([4e-3] * 3 + [1e-3] * 3)[None])
    path = tmp_path_factory.mktemp("racing") / "racing.npz"
    save_model(path, SkillModel("gmm", mixture, np.zeros(3)))
    return path
