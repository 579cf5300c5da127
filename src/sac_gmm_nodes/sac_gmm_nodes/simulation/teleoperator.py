"""A scripted operator of the simulated robot: records a number of demonstrations, then exits.

For each demonstration it starts a recording, has the scene reset, moves the arm through `command/twist` with the
variation of a human hand, and ends the recording. A demonstration whose reward was never seen is discarded and repeated
with the next seed; the simulation's own verdict (`task_success`) counts as well, as a person would see it. It announces
its episodes on `episode_state`, and so replaces controller and episode manager.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from geometry_msgs.msg import PoseStamped, TwistStamped
from rclpy.client import Client
from rclpy.executors import Executor
from sac_gmm_interfaces.msg import EpisodeState, Reward
from sac_gmm_interfaces.srv import ResetTask, StartRecording, StopRecording
from std_msgs.msg import Bool, Header

from sac_gmm.core.errors import UserError
from sac_gmm.demos.bags.bag_file import refuse_existing
from sac_gmm.tasks import TASKS, ScriptedTeleoperator
from sac_gmm_nodes.common.conversions import header, nanoseconds, pays, point_array, stamp_of, twist_message
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.qos import COMMAND, EPISODE, LATCHED, RELIABLE, stream

_PATIENCE_S = 60.0  # wall time for the other nodes to come up, and for any progress


class Teleoperator(BaseNode):
    """Demonstrates the task `episodes` times."""

    def __init__(self) -> None:
        super().__init__("teleoperator")
        self._task = self.text("task", "door", "what to demonstrate", tuple(TASKS))
        self._episodes = self.whole("episodes", 5, 1, 1000, "demonstrations to record")
        self._first_seed = self.whole("first_seed", 0, 0, 2**31 - 10_000, "seed of the first scene and motion")
        self._folder = Path(
            self.text("folder", "runs/demos", "where the bags go, as <task>_00, <task>_01, …")
        ).resolve()
        for number in range(self._episodes):
            refuse_existing(self._bag(number))  # before anything has moved
        self._noise_m = self.real(
            "target_noise_std_m", 0.0, 0.0, 0.1, "m", "noise on the detected target; a person sees where the target is"
        )
        self._time_limit_s = self.real("time_limit_s", 20.0, 1.0, 600.0, "s", "longest demonstration")
        self._rest_s = self.real("rest_s", 0.8, 0.0, 10.0, "s", "how long the hand rests at the end of the motion")
        # Unthrottled, a simulation that waits for nobody else outruns the recorder on a busy machine.
        self._haste = self.real(
            "real_time_factor", 4.0, 0.1, 1000.0, "", "fastest pace in simulated time per wall time"
        )
        self._listeners = self.whole("command_listeners", 2, 1, 10, "listeners to wait for: the robot and the recorder")
        self._only_successes = self.flag("only_successes", True, "discard demonstrations without a reward")
        qos = stream(self.flag("reliable_state", False, "take every state, as lock-step needs"))
        wait_for_hand = self.flag(
            "wait_for_hand", False, "answer a state only once the recorder has looked at the picture of the hand there"
        )

        self._command = self.create_publisher(TwistStamped, "command/twist", COMMAND)
        self._episode = self.create_publisher(EpisodeState, "episode_state", EPISODE)
        self.create_subscription(PoseStamped, "target_pose", self._on_target, LATCHED)
        self.create_subscription(PoseStamped, "state/pose", self._on_pose, qos)
        self.create_subscription(Reward, "reward", self._on_reward, RELIABLE)
        self.create_subscription(Bool, "task_success", self._on_success, LATCHED)
        if wait_for_hand:
            self.create_subscription(Header, "hand/looked_at", self._on_looked_at, RELIABLE)
        self._reset_task = self.create_client(ResetTask, "reset_task")
        self._start_recording = self.create_client(StartRecording, "start_recording")
        self._stop_recording = self.create_client(StopRecording, "stop_recording")

        self._target: PoseStamped | None = None
        self._hand: ScriptedTeleoperator | None = None  # while an episode is running
        self._looked_ns = -1 if wait_for_hand else None  # stamp of the picture looked at last; None: not waited for
        self._unseen: PoseStamped | None = None  # the state whose picture is waited for
        self._start_ns = 0
        self._seen_ns = 0  # stamp of the last state
        self._last_ns = 0  # stamp of the last state that was answered
        self._twist = np.zeros(6)  # the answer to that state
        self._answered_s = 0.0  # wall time of that answer
        self._resting_since_ns: int | None = None
        self._rewarded = False
        self._episode_id = 0

    def spin(self, executor: Executor) -> None:
        """Record all demonstrations, one after another."""
        self._announce(EpisodeState(), EpisodeState.PHASE_IDLE)  # shows the recorder that we are listening to it
        for client in (self._reset_task, self._start_recording, self._stop_recording):
            self._wait(executor, client.service_is_ready, f"service {client.srv_name}")
        listening = self._command.get_subscription_count
        self._wait(executor, lambda: listening() >= self._listeners, f"{self._listeners} listeners on command/twist")
        recorded = 0
        for attempt in range(3 * self._episodes):
            recorded += self._demonstrate(executor, recorded, self._first_seed + attempt)
            if recorded == self._episodes or self.stopping.is_set():
                return
        raise UserError(
            f"only {recorded} of {self._episodes} demonstrations succeeded in {3 * self._episodes} attempts: look at "
            "the reward (is the marker seen?) or record all with only_successes:=false"
        )

    def close(self) -> None:
        """Leave the arm at rest."""
        self._hand = None
        self._send(np.zeros(6), self._last_ns)

    def _demonstrate(self, executor: Executor, number: int, seed: int) -> bool:
        """Record one demonstration; return whether it was kept."""
        path = self._bag(number)
        operator = f"scripted, seed {seed}"
        self._call(
            executor,
            self._start_recording,
            StartRecording.Request(path=str(path), task=self._task, operator_name=operator),
        )
        self._episode_id = seed + 1
        episode = EpisodeState(episode_id=self._episode_id, seed=seed, time_limit_s=self._time_limit_s)
        self._announce(episode, EpisodeState.PHASE_RESETTING)
        reset = self._call(executor, self._reset_task, ResetTask.Request(seed=seed, target_noise_std_m=self._noise_m))
        episode.start_stamp = reset.stamp
        self._start_ns = self._last_ns = self._seen_ns = nanoseconds(reset.stamp)
        self._wait(executor, lambda: self._target_ns() >= self._start_ns, "the target of the new episode")
        self._resting_since_ns = None
        self._rewarded = False
        self._last_ns -= 1  # the first state should be answered
        self._hand = ScriptedTeleoperator(self._task, seed)
        self._announce(episode, EpisodeState.PHASE_RUNNING)
        self._wait(
            executor,
            lambda: self._over() and self._seen_ns > self._last_ns,  # the effect of the last command belongs to it
            "the next state",
            progress=lambda: self._last_ns,
        )
        self._hand = None
        approved = not self._only_successes or self._approved(executor)
        episode.end_stamp = stamp_of(self._seen_ns)
        episode.success = self._rewarded
        self._announce(episode, EpisodeState.PHASE_ENDED)
        if self.stopping.is_set():
            approved = False
        answer = self._call(executor, self._stop_recording, StopRecording.Request(discard=not approved))
        self.get_logger().info(answer.message if approved else f"seed {seed} did not succeed: repeating")
        return approved

    def _bag(self, number: int) -> Path:
        return self._folder / f"{self._task}_{number:02d}"

    def _over(self) -> bool:
        elapsed_s = (self._last_ns - self._start_ns) / 1e9
        rested = self._resting_since_ns is not None and self._last_ns - self._resting_since_ns >= self._rest_s * 1e9
        return rested or elapsed_s >= self._time_limit_s - 0.1  # the bridge stops at the limit itself

    def _approved(self, executor: Executor) -> bool:
        """Whether the reward was seen; the last pictures may still be in transit."""
        end_s = time.monotonic() + 2.0
        while not self._rewarded and time.monotonic() < end_s and not self.stopping.is_set():
            executor.spin_once(timeout_sec=0.05)
        return self._rewarded

    def _on_target(self, message: PoseStamped) -> None:
        self._target = message

    def _target_ns(self) -> int:
        return -1 if self._target is None else nanoseconds(self._target.header.stamp)

    def _on_pose(self, message: PoseStamped) -> None:
        if self._looked_ns is not None and nanoseconds(message.header.stamp) > self._looked_ns:
            self._unseen = message
        else:
            self._answer(message)

    def _on_looked_at(self, message: Header) -> None:
        self._looked_ns = nanoseconds(message.stamp)
        unseen = self._unseen
        if unseen is not None and nanoseconds(unseen.header.stamp) <= self._looked_ns:
            self._unseen = None
            self._answer(unseen)

    def _answer(self, message: PoseStamped) -> None:
        """Answer every new state of the running episode with a command."""
        stamp_ns = nanoseconds(message.header.stamp)
        self._seen_ns = max(self._seen_ns, stamp_ns)
        if self._hand is None or self._target is None:
            return
        if stamp_ns == self._last_ns:  # repeated because the answer was lost
            self._send(self._twist, stamp_ns)
        if stamp_ns <= self._last_ns or self._over():
            return
        dt_s = max(stamp_ns - max(self._last_ns, self._start_ns), 0) / 1e9
        relative_m = point_array(message.pose.position) - point_array(self._target.pose.position)
        twist = self._hand.twist(relative_m, dt_s)
        self._last_ns = stamp_ns
        time.sleep(max(self._answered_s + dt_s / self._haste - time.monotonic(), 0.0))
        self._answered_s = time.monotonic()
        if self._hand.done and self._resting_since_ns is None:
            self._resting_since_ns = stamp_ns
        self._twist = twist
        self._send(twist, stamp_ns)

    def _on_reward(self, message: Reward) -> None:
        self._rewarded = self._rewarded or pays(message, self._episode_id, self._start_ns)

    def _on_success(self, message: Bool) -> None:
        self._rewarded = self._rewarded or message.data

    def _send(self, twist: np.ndarray, stamp_ns: int) -> None:
        frame_id = "" if self._target is None else self._target.header.frame_id
        self._command.publish(twist_message(twist, header(stamp_of(stamp_ns), frame_id)))

    def _announce(self, episode: EpisodeState, phase: int) -> None:
        episode.phase = phase
        episode.mode = EpisodeState.MODE_BASE
        episode.header.stamp = stamp_of(self._last_ns)
        self._episode.publish(episode)

    def _call(self, executor: Executor, client: Client, request: Any) -> Any:
        """Call a service and return its answer.

        Raises:
            UserError: The request was refused.
        """
        future = client.call_async(request)
        self._wait(executor, future.done, f"the answer of {client.srv_name}")
        answer = future.result()
        if not answer.success:
            raise UserError(answer.message)
        return answer

    def _wait(
        self,
        executor: Executor,
        done: Callable[[], bool],
        what: str,
        progress: Callable[[], object] = lambda: None,
    ) -> None:
        """Run callbacks until `done()`, for as long as `progress()` keeps changing.

        Raises:
            UserError: Nothing happened for a minute.
            KeyboardInterrupt: The node was asked to stop.
        """
        last, since_s = progress(), time.monotonic()
        while not done():
            if self.stopping.is_set():
                raise KeyboardInterrupt
            executor.spin_once(timeout_sec=0.1)
            if progress() != last:
                last, since_s = progress(), time.monotonic()
            if time.monotonic() - since_s > _PATIENCE_S:
                raise UserError(f"{what} did not arrive within {_PATIENCE_S:g} s: is the simulation running?")


def main() -> None:
    """Entry point."""
    run_node(Teleoperator)


if __name__ == "__main__":
    main()
