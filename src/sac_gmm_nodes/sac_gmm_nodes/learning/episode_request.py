"""One request for episodes, from asking the episode manager to its result, with what is missing while nothing moves."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from action_msgs.srv import CancelGoal
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.task import Future
from sac_gmm_interfaces.action import AdaptSkill
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState

from sac_gmm.control import Reason
from sac_gmm.core.errors import UserError
from sac_gmm_nodes.common.qos import EPISODE, RELIABLE

MODES = {
    "base": EpisodeState.MODE_BASE,
    "train": EpisodeState.MODE_TRAIN,
    "evaluate": EpisodeState.MODE_EVALUATE,
}
_CANCEL_S = 2.0  # after a stop, time for the episode manager to answer
# Discovery is not mutual at once: an episode manager that we have just found may not know us yet, and its answer would
# be lost.
_ACQUAINTANCE_S = 0.5
_ANSWER_S = 20.0  # for the episode manager to accept or refuse a request
_MISSING_S = 3.0  # nothing has moved for this long: say what is missing
_REPEAT_S = 10.0  # how often the same is said again
_LOOK_S = 0.1


@dataclass(frozen=True)
class Episode:
    """How one episode went.

    Attributes:
        seed: Seed of its scene.
        success: Whether the source of reward saw the task done.
        episode_return: Sum of the rewards' values.
        duration_s: Until success or the time limit.
        reward_source: What judged it.
    """

    seed: int
    success: bool
    episode_return: float
    duration_s: float
    reward_source: str


class EpisodeRequests:
    """Asks a running graph for episodes. The node's callbacks must run in another thread than `run`.

    Args:
        node: It gets the action's client and two subscriptions.
        stopping: Set to end a request early.
    """

    def __init__(self, node: Node, stopping: threading.Event) -> None:
        self._node = node
        self._stopping = stopping
        self._client = ActionClient(node, AdaptSkill, "adapt_skill")
        self._state: EpisodeState | None = None
        self._status: ControllerStatus | None = None
        self._moved_s = time.monotonic()  # when something last went on
        self._steps = (0, 0)  # episode and step that the controller last told
        node.create_subscription(EpisodeState, "episode_state", self._on_state, EPISODE)
        node.create_subscription(ControllerStatus, "controller_status", self._on_status, RELIABLE)

    def run(
        self,
        mode: str,
        episodes: int,
        first_seed: int,
        context: Sequence[float] = (),
        *,
        on_episode: Callable[[Episode], None],
        on_missing: Callable[[str], None],
        timeout_s: float | None = None,
    ) -> AdaptSkill.Result | None:
        """Run episodes and return their result; None if it was stopped.

        Args:
            mode: A key of `MODES`.
            episodes: How many.
            first_seed: Episode i has the seed `first_seed` + i.
            context: Context of all of them; empty: drawn from the seeds.
            on_episode: Called after each.
            on_missing: Called with what is missing, while nothing moves.
            timeout_s: How long to wait for an episode manager; None: for ever.

        Raises:
            UserError: They cannot be run, or ended early.
        """
        self._moved_s = time.monotonic()
        if not self._wait_for_server(on_missing, timeout_s):
            return None
        goal = AdaptSkill.Goal(mode=MODES[mode], episodes=episodes, first_seed=first_seed, context=list(context))

        def on_feedback(message: AdaptSkill.Impl.FeedbackMessage) -> None:
            feedback = message.feedback
            on_episode(
                Episode(
                    seed=first_seed + feedback.episode - 1,
                    success=bool(feedback.last_success),
                    episode_return=feedback.last_return,
                    duration_s=round(feedback.last_duration_s, 3),
                    reward_source=feedback.reward_source,
                )
            )

        handle = self._send(goal, on_feedback)
        if handle is None:
            return None
        if not handle.accepted:
            raise UserError(
                "the episode manager refused: other episodes are running; `sac-gmm adapt --stop` ends them"
                if episodes
                else "the episode manager refused: ask for one episode or more"
            )
        ended = threading.Event()
        result = handle.get_result_async()
        result.add_done_callback(lambda _future: ended.set())
        say = _Repeating(on_missing)
        while not ended.wait(_LOOK_S):
            if self._stopping.is_set():
                self._cancel(handle)
                return None
            say(self._missing())
        response = result.result()
        if response is None or not response.result.completed:
            raise UserError(f"the episodes ended early: {response.result.message if response else 'no result'}")
        return response.result

    def stop_all(self, timeout_s: float = 5.0) -> int:
        """Stop the episodes that anybody asked for; return how many requests that ended.

        Raises:
            UserError: There is no episode manager.
        """
        client = self._node.create_client(CancelGoal, "adapt_skill/_action/cancel_goal")
        known = client.service_is_ready()
        if not client.wait_for_service(timeout_s):
            raise UserError(_no_manager())
        if not known:
            time.sleep(_ACQUAINTANCE_S)
        question = _Question(self._node, lambda: client.call_async(CancelGoal.Request()))
        if not question.answered.wait(timeout_s):
            raise UserError(f"the episode manager did not answer within {timeout_s:g} s: look at its terminal")
        response = question.answer()
        return 0 if response is None else len(response.goals_canceling)

    def _wait_for_server(self, on_missing: Callable[[str], None], timeout_s: float | None) -> bool:
        """Return False if it was stopped meanwhile."""
        since_s = time.monotonic()
        known = self._client.server_is_ready()
        say = _Repeating(on_missing)
        while not self._client.wait_for_server(_LOOK_S):
            if self._stopping.is_set():
                return False
            waited_s = time.monotonic() - since_s
            if timeout_s is not None and waited_s > timeout_s:
                raise UserError(f"after {timeout_s:g} s: {_no_manager()}")
            say(_no_manager() if waited_s >= _MISSING_S else "")
        return known or not self._stopping.wait(_ACQUAINTANCE_S)

    def _send(
        self, goal: AdaptSkill.Goal, on_feedback: Callable[[AdaptSkill.Impl.FeedbackMessage], None]
    ) -> ClientGoalHandle | None:
        question = _Question(self._node, lambda: self._client.send_goal_async(goal, feedback_callback=on_feedback))
        end_s = time.monotonic() + _ANSWER_S
        while not question.answered.wait(_LOOK_S):
            if self._stopping.is_set() and not question.answered.wait(_CANCEL_S):
                return None
            if time.monotonic() > end_s:
                raise UserError(
                    f"the episode manager did not answer within {_ANSWER_S:g} s: look at its terminal; if it runs "
                    "episodes all the same, `sac-gmm adapt --stop` ends them"
                )
        return question.answer()

    def _cancel(self, handle: ClientGoalHandle) -> None:
        cancelled = threading.Event()
        handle.cancel_goal_async().add_done_callback(lambda _future: cancelled.set())
        cancelled.wait(_CANCEL_S)

    def _missing(self) -> str:
        """Why nothing moves; empty while something does, or did a moment ago."""
        state, status = self._state, self._status
        if time.monotonic() - self._moved_s < _MISSING_S or state is None:
            return ""
        if state.phase != EpisodeState.PHASE_RUNNING:
            return state.text if state.text.startswith("waiting") else "waiting for the scene to be reset (reset_task)"
        if status is None:
            return "nothing is heard from the controller (controller_status): is it running?"
        if status.reason != Reason.NONE:
            return f"the controller holds the arm ({Reason(status.reason).name}: {status.remedy})"
        if status.decision_due:
            return "the controller waits for the adapter's decision: it may be learning; see the adapter's log"
        return "the episode runs, but no control step is taken: see the logs of the robot or simulation"

    def _on_state(self, message: EpisodeState) -> None:
        if self._state is None or (message.episode_id, message.phase) != (self._state.episode_id, self._state.phase):
            self._moved_s = time.monotonic()
        self._state = message

    def _on_status(self, message: ControllerStatus) -> None:
        steps = message.episode_id, message.step
        if message.reason == Reason.NONE and steps != self._steps:
            self._moved_s = time.monotonic()
        self._status, self._steps = message, steps


class _Question:
    """A call that is sent in the executor's thread: rclpy drops an answer that arrives before the call returns.

    Attributes:
        answered: Set when the answer is there.
    """

    def __init__(self, node: Node, call: Callable[[], Future]) -> None:
        self.answered = threading.Event()
        self._call = call
        self._sent: Future | None = None
        self._timer = node.create_timer(0.02, self._send, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def answer(self) -> Any:
        """The answer, once there is one."""
        assert self._sent is not None
        self._timer.cancel()
        return self._sent.result()

    def _send(self) -> None:
        if self._sent is None:
            self._sent = self._call()
            self._sent.add_done_callback(lambda _future: self.answered.set())


class _Repeating:
    """Passes a text on when it is new, and again from time to time."""

    def __init__(self, say: Callable[[str], None]) -> None:
        self._say = say
        self._text, self._said_s = "", 0.0

    def __call__(self, text: str) -> None:
        if text and (text != self._text or time.monotonic() - self._said_s > _REPEAT_S):
            self._say(text)
            self._said_s = time.monotonic()
        self._text = text


def _no_manager() -> str:
    domain = os.environ.get("ROS_DOMAIN_ID", "0")
    return (
        f"no episode manager offers adapt_skill in ROS_DOMAIN_ID {domain}: start the nodes, such as with "
        "`ros2 launch sac_gmm_bringup simulation.launch.yaml model:=…`, in the same domain"
    )
