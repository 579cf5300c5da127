"""Drives episodes: reset -> run -> score, the same way on the robot and in simulation.

    ros2 run sac_gmm_nodes episode_manager
    ros2 service call /run_episode sac_gmm_interfaces/srv/RunEpisode "{mode: 0, seed: 1}"
    sac-gmm adapt --episodes 9

An episode succeeds if the reward says so, and for no other reason. It ends early, as a failure, if the reward says
that the task has failed, and is run again if the reward has it discarded. Its time limit counts the rewards' stamps,
which are those of the pictures, so that it is the same in a simulation at any speed. If the arm may not move, an
episode does not begin, or is abandoned: that is not a failure of the skill.

Episodes are coroutines in a single thread: while a service or an action waits, messages are still delivered. (Calls
that wait in threads of a `MultiThreadedExecutor` block it for up to a second at a time.)
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rclpy.action import ActionServer, CancelResponse, GoalResponse
from rclpy.action.server import ServerGoalHandle
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.executors import Executor
from sac_gmm_interfaces.action import AdaptSkill
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState, MixtureModel, Reward
from sac_gmm_interfaces.srv import ResetTask, RunEpisode
from std_msgs.msg import String

from sac_gmm.control import Reason
from sac_gmm.core.errors import UserError
from sac_gmm_nodes.common.conversions import counts_in, header, is_judged_in, nanoseconds, reached, stamp_of
from sac_gmm_nodes.common.node import BaseNode, Turn, run_node
from sac_gmm_nodes.common.pace import PaceListener
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE, SENSOR
from sac_gmm_nodes.learning.controller_watch import ControllerWatch

_TELL_EVERY_S = 2.0
_PASSING_S = 1.0  # what is missing for no longer than this is not told to those who listen
_END_S = 2.0  # for current calls to be answered when the node ends
_GRACE_S = 2.0  # wall time at the end of an episode in which an invalid reward may become valid
_NEWS_S = 2.5  # how long a controller status stays valid; in lock-step there is one a second between episodes
# Reasons that an episode clears: it is an episode, it brings its own target, and the old fault is reset at its start.
_READY = (
    *(Reason.NONE, Reason.NO_EPISODE, Reason.NO_TARGET, Reason.NOT_A_NUMBER),
    *(Reason.NO_COMMAND, Reason.STALE_COMMAND),
)
_MODES = (EpisodeState.MODE_BASE, EpisodeState.MODE_TRAIN, EpisodeState.MODE_EVALUATE)


@dataclass(frozen=True)
class _Outcome:
    success: bool
    episode_return: float
    duration_s: float


class _DiscardedError(UserError):
    """The source of reward said that the episode shall not count."""


class _CancelledError(Exception):
    """The requested episodes were cancelled, or the node is shutting down."""


class EpisodeManager(BaseNode):
    """Runs one episode at a time, requested by a service or, for several in a row, by an action."""

    def __init__(self) -> None:
        super().__init__("episode_manager")
        self._time_limit_s = self.real("time_limit_s", 10.0, 0.1, 600.0, "s", "longest episode, by the states' stamps")
        self._ready_timeout_s = self.real(
            "ready_timeout_s", 60.0, 0.5, 3600.0, "s", "wall time to wait for robot, controller and reward"
        )
        self._silence_timeout_s = self.real(
            "silence_timeout_s", 30.0, 0.5, 3600.0, "s", "wall time without a new reward before an episode is given up"
        )
        self._idle_timeout_s = self.real(
            "idle_timeout_s",
            5.0,
            0.5,
            600.0,
            "s",
            "time without motion, by the pictures' stamps, before an episode is given up",
        )
        self._target_noise_std_m = self.real(
            "target_noise_std_m", -1.0, -1.0, 0.1, "m", "noise on the detected target per axis; -1: the task's own"
        )
        self._training_noise_std_m = self.real(
            "training_noise_std_m",
            -1.0,
            -1.0,
            0.1,
            "m",
            "the same in training episodes; -1: what the method announces",
        )
        self._expect_adapter = self.flag("expect_adapter", False, "start no episode before the adapter is there")
        self._expect_runner = self.flag(
            "expect_runner", False, "start no episode before skill_runner is there; its guard has no model"
        )

        calls = ReentrantCallbackGroup()  # a waiting call must not keep the others from being answered
        self._states = self.create_publisher(EpisodeState, "episode_state", EPISODE)
        self._pace = PaceListener(self)
        self.create_subscription(Reward, "reward", self._on_reward, RELIABLE)
        self.create_subscription(MixtureModel, "model", self._on_model, LATCHED)
        self.create_subscription(ControllerStatus, "controller_status", self._on_status, SENSOR)
        self.create_subscription(String, "reset_status", self._on_reset_status, LATCHED)
        self._controller = ControllerWatch(self)
        self._reset_task = self.create_client(ResetTask, "reset_task", callback_group=calls)
        self.create_service(RunEpisode, "run_episode", self._on_run_episode, callback_group=calls)
        self._action = ActionServer(
            self,
            AdaptSkill,
            "adapt_skill",
            self._on_adapt_skill,
            goal_callback=self._on_goal,
            handle_accepted_callback=self._on_accepted,
            cancel_callback=lambda _goal: CancelResponse.ACCEPT,
            callback_group=calls,
        )

        self._busy = False  # with one episode, or with all those of an action
        self._model_seen = False
        self._reset_says = ""  # what whoever resets the task does or waits for
        self._status: ControllerStatus | None = None
        self._status_at_s = 0.0
        self._moved_ns = 0  # stamp of the last reward when the controller last reported that it moves the arm
        self._rewarded_ns = 0  # stamp of the last reward
        self._valid_ns = 0  # stamp of the last valid reward
        self._why_invalid = ""
        self._rewarded_at_s = time.monotonic()
        self._success_ns: int | None = None  # stamp of the reward that ended the episode as done
        self._failed_ns: int | None = None  # stamp of the one that ended it as failed
        self._discarded = ""  # what the source said that had it discarded; empty if it was not
        self._start_ns = self._end_ns = 0  # of the episode, the end by its time limit
        self._return = 0.0  # sum of its rewards' values so far
        self._state = EpisodeState(phase=EpisodeState.PHASE_IDLE)
        self._states.publish(self._state)

    def spin(self, executor: Executor) -> None:
        """Run until asked to stop; then answer the calls in progress."""
        super().spin(executor)
        end_s = time.monotonic() + _END_S
        while self._busy and time.monotonic() < end_s:
            executor.spin_once(timeout_sec=0.05)

    def close(self) -> None:
        """Announce that no episode is running."""
        self._publish(EpisodeState.PHASE_IDLE, text="the episode manager has shut down")

    # Episodes --------------------------------------------------------------------------------------------------

    async def _run(
        self,
        mode: int,
        seed: int,
        context: Sequence[float],
        cancelled: Callable[[], bool],
        await_controller: bool = True,
    ) -> _Outcome:
        """Run one episode.

        Args:
            mode: One of `EpisodeState.MODE_*`.
            seed: Of the scene.
            context: Of the episode; empty: drawn from the seed.
            cancelled: Whether it is no longer wanted.
            await_controller: Wait `ready_timeout_s` for a controller that is down, rather than some seconds.

        Raises:
            UserError: Something it needs did not arrive in time.
            _CancelledError: `cancelled()` became true.
        """

        def check() -> None:
            if cancelled() or self.stopping.is_set():
                raise _CancelledError

        await self._wait_until_ready(check, await_controller)
        self._state.episode_id += 1
        self._state.mode, self._state.seed, self._state.time_limit_s = mode, seed, self._time_limit_s
        self._state.context, self._state.reward_source = list(context), ""
        self._publish(EpisodeState.PHASE_RESETTING)
        try:
            start_ns = await self._reset(mode, seed, context, check)
            self._start_ns, self._rewarded_at_s = start_ns, time.monotonic()
            self._success_ns, self._failed_ns, self._discarded = None, None, ""
            self._moved_ns = start_ns
            self._return, self._end_ns = 0.0, start_ns + round(self._time_limit_s * 1e9)
            self._rewarded_ns = self._valid_ns = 0  # of the previous episode: the clock may have been set back since
            self._state.start_stamp = stamp_of(start_ns)
            self._publish(EpisodeState.PHASE_RUNNING, stamp_ns=start_ns)
            await self._wait_for_the_end(self._end_ns, check)
        except (UserError, _CancelledError) as error:
            self._publish(EpisodeState.PHASE_IDLE, text=str(error) or "cancelled")
            raise
        success, failed = self._success_ns is not None, self._failed_ns is not None
        judged_ns = self._success_ns if success else self._failed_ns
        stopped_ns = self._end_ns if judged_ns is None else judged_ns
        seen = "the reward source saw it succeed" if success else "the reward source saw it fail"
        self._publish(
            EpisodeState.PHASE_ENDED,
            stamp_ns=stopped_ns,
            success=success,
            timed_out=not (success or failed),
            text=seen if success or failed else "the time ran out",
        )
        return _Outcome(success, self._return, (stopped_ns - start_ns) / 1e9)

    async def _wait_until_ready(self, check: Callable[[], None], await_controller: bool) -> None:
        def missing() -> list[str]:
            down = self._controller.why_down()
            absent = {
                "the reset_task service (robot or simulation)": not self._reset_task.service_is_ready(),
                down: bool(down),
                "the controller's model": not down and not self._expect_runner and not self._has_model,
                "the adapter": self._expect_adapter and self.count_publishers("model_update") == 0,
                "the adapter's pace (method_pace)": self._expect_adapter and self._pace.latest is None,
                "skill_runner": self._expect_runner and self.count_publishers("desired_twist") == 0,
                "the pace of skill_runner (method_pace)": self._expect_runner and self._pace.latest is None,
                "a source of reward": self.count_publishers("reward") == 0,
            }
            held = "" if down else self._why_held()
            return [what for what, is_absent in absent.items() if is_absent] + ([held] if held else [])

        began_s = time.monotonic()
        end_s = began_s + self._ready_timeout_s
        while what := missing():
            check()
            if why := self._controller.given_up(end_s if await_controller else began_s):
                raise UserError(f"no episode without {why}")
            if time.monotonic() >= end_s:
                raise UserError(f"still missing after {self._ready_timeout_s:g} s: {', '.join(what)}")
            self.get_logger().info(f"waiting for {', '.join(what)}", throttle_duration_sec=_TELL_EVERY_S)
            if time.monotonic() - began_s > _PASSING_S:
                self._tell(f"waiting for {', '.join(what)}")
            await Turn()

    @property
    def _has_model(self) -> bool:
        return self._model_seen and self.count_publishers("model") > 0

    def _tell(self, text: str) -> None:
        """Publish the state again with another text, for whoever asked for the episode."""
        if text != self._state.text:
            self._state.text = text
            self._states.publish(self._state)

    def _why_held(self) -> str:
        """Why the controller would not move the arm in an episode; empty if it gives no reason."""
        status = self._status
        if status is None or time.monotonic() - self._status_at_s > _NEWS_S or status.reason in _READY:
            return ""
        return f"a controller that may move the arm ({Reason(status.reason).name}: {status.remedy})"

    def _check_motion(self) -> None:
        """Abandon an episode in which the arm does not move: its score would say nothing about the skill.

        Raises:
            UserError: The controller has not reported moving the arm for too long.
        """
        status, since_ns = self._status, self._rewarded_ns - self._moved_ns
        if status is None or since_ns < self._idle_timeout_s * 1e9:
            return
        why = f"{Reason(status.reason).name}: {status.remedy}" if status.reason else "it says nothing: look at its log"
        raise UserError(f"the controller has not moved the arm for {since_ns / 1e9:.1f} s ({why})")

    def _noise_std_m(self, mode: int) -> float:
        """Noise on the detected target in an episode; -1: the task's own."""
        if mode == EpisodeState.MODE_TRAIN and self._training_noise_std_m >= 0:
            return self._training_noise_std_m
        self._pace.catch_up()
        if (pace := self._pace.latest) is not None:
            announced = {
                EpisodeState.MODE_BASE: pace.base_noise_std_m,
                EpisodeState.MODE_TRAIN: pace.training_noise_std_m,
            }
            if announced.get(mode, -1.0) >= 0:  # false for NaN
                return announced[mode]
        return self._target_noise_std_m

    async def _reset(self, mode: int, seed: int, context: Sequence[float], check: Callable[[], None]) -> int:
        """Have the scene reset, and take over the context; return the stamp of the first state, in nanoseconds."""
        request = ResetTask.Request(seed=seed, target_noise_std_m=self._noise_std_m(mode), context=list(context))
        self._reset_says = ""
        future = self._reset_task.call_async(request)
        end_s = time.monotonic() + self._ready_timeout_s
        try:
            while not future.done():
                check()
                if time.monotonic() >= end_s:
                    said = f" ({self._reset_says})" if self._reset_says else ""
                    raise UserError(
                        f"reset_task did not answer within {self._ready_timeout_s:g} s{said}: see its node, or raise "
                        "ready_timeout_s"
                    )
                if self._reset_says:
                    self._tell(f"waiting for the reset: {self._reset_says}")
                await Turn()
        finally:
            self._reset_task.remove_pending_request(future)
        response = future.result()
        if response is None or not response.success:
            raise UserError(f"reset_task failed: {'' if response is None else response.message}")
        self._state.context = response.context
        start_ns = nanoseconds(response.stamp)
        if start_ns == 0:  # with stamp 0, every picture would come after the end
            raise UserError("reset_task answered with stamp 0: it must give the time at which the episode begins")
        return start_ns

    async def _wait_for_the_end(self, end_ns: int, check: Callable[[], None]) -> None:
        """Wait until the reward reports success or failure, or its pictures have reached the time limit.

        An invalid reward does not mean that the task failed: without a valid reward at the end, nothing may be learned
        from the episode.

        Raises:
            UserError: It was given up, or the source of reward discarded it.
        """
        over_at_s: float | None = None
        while self._undecided and not self._discarded and not reached(self._valid_ns, end_ns):
            check()
            if why := self._controller.resting():
                raise UserError(f"the episode is given up, for want of {why}")
            if reached(self._rewarded_ns, end_ns):
                over_at_s = over_at_s or time.monotonic()
                if time.monotonic() - over_at_s >= _GRACE_S:
                    raise UserError(f"at the end of the episode the reward is not valid: {self._why_invalid}")
            else:
                self._check_motion()
            if time.monotonic() - self._rewarded_at_s >= self._silence_timeout_s:
                raise UserError(
                    f"no reward for a new picture for {self._silence_timeout_s:g} s: "
                    "the camera, its reward, or the simulation is gone"
                )
            await Turn()
        if self._discarded:
            raise _DiscardedError(f"the episode does not count: {self._discarded}")

    @property
    def _undecided(self) -> bool:
        """Whether the source of reward has not yet seen how the episode ends."""
        return self._success_ns is None and self._failed_ns is None

    def _publish(
        self, phase: int, stamp_ns: int | None = None, success: bool = False, timed_out: bool = False, text: str = ""
    ) -> None:
        state, stamp = self._state, stamp_of(self._rewarded_ns if stamp_ns is None else stamp_ns)
        state.header = header(stamp)
        state.phase, state.success, state.timed_out, state.text = phase, success, timed_out, text
        state.episode_return = self._return if phase == EpisodeState.PHASE_ENDED else 0.0
        state.end_stamp = stamp if phase == EpisodeState.PHASE_ENDED else stamp_of(0)
        self._states.publish(state)

    # Callbacks -------------------------------------------------------------------------------------------------

    def _on_reward(self, message: Reward) -> None:
        stamp_ns = nanoseconds(message.header.stamp)
        new = stamp_ns != self._rewarded_ns
        if new:
            self._rewarded_ns, self._rewarded_at_s = stamp_ns, time.monotonic()
        if not math.isfinite(message.value):
            message.valid, message.text = False, f"its value is {message.value}, not a finite number"
        if not is_judged_in(self._state.episode_id, message):
            # A judge that lags behind has a picture of this episode, but has not yet heard that the last one is over.
            self._why_invalid = f"it was judged in episode {message.episode_id}, not {self._state.episode_id}"
        elif message.valid:
            self._valid_ns = stamp_ns
        else:
            self._why_invalid = message.text
        waiting = self._state.phase == EpisodeState.PHASE_RUNNING and self._undecided and not self._discarded
        if not waiting or not counts_in(message, self._state.episode_id, self._start_ns):
            return
        self._state.reward_source = message.source
        if message.discard:
            self._discarded = message.text or "its source of reward discarded it"
            return
        if new and self._start_ns < stamp_ns <= self._end_ns:  # nothing has been done yet at the start
            self._return += message.value
        if message.success:
            self._success_ns = stamp_ns
        elif message.failed:
            self._failed_ns = stamp_ns

    def _on_reset_status(self, message: String) -> None:
        self._reset_says = message.data

    def _on_model(self, _message: MixtureModel) -> None:
        self._model_seen = True

    def _on_status(self, message: ControllerStatus) -> None:
        self._status, self._status_at_s = message, time.monotonic()
        if message.reason == Reason.NONE:
            self._moved_ns = max(self._rewarded_ns, self._start_ns)

    async def _on_run_episode(self, request: RunEpisode.Request, response: RunEpisode.Response) -> RunEpisode.Response:
        if request.mode not in _MODES:
            response.message = f"mode {request.mode} is not known: expected one of {_MODES}"
            return response
        if self._busy:
            response.message = "another episode is running"
            return response
        self._busy = True
        try:
            outcome = await self._run(
                request.mode, request.seed, request.context, lambda: False, await_controller=False
            )
            response.success, response.task_success = True, outcome.success
            response.reward_source, response.episode_return = self._state.reward_source, outcome.episode_return
            response.duration_s = outcome.duration_s
        except UserError as error:
            response.message = str(error)
        except _CancelledError:
            response.message = "the episode manager is ending"
        finally:
            self._busy = False
        return response

    def _on_goal(self, goal: AdaptSkill.Goal) -> GoalResponse:
        why = ""
        if self._busy:
            why = "other episodes are running"
        elif goal.mode not in _MODES:
            why = f"mode {goal.mode} is not known: expected one of {_MODES}"
        elif goal.episodes == 0:
            why = "episodes is 0: ask for at least one"
        if why:
            self.get_logger().warning(f"adapt_skill refused: {why}")
        return GoalResponse.REJECT if why else GoalResponse.ACCEPT

    def _on_accepted(self, goal_handle: ServerGoalHandle) -> None:
        self._busy = True  # from now on, not only once its coroutine has started
        goal_handle.execute()

    async def _on_adapt_skill(self, goal_handle: ServerGoalHandle) -> AdaptSkill.Result:
        goal, result = goal_handle.request, AdaptSkill.Result()
        outcomes: list[_Outcome] = []

        def cancelled() -> bool:
            return bool(goal_handle.is_cancel_requested)

        try:
            while len(outcomes) < goal.episodes:
                seed = goal.first_seed + len(outcomes)
                try:
                    outcomes.append(await self._run(goal.mode, seed, goal.context, cancelled))
                except _DiscardedError as error:
                    self.get_logger().info(f"{error}; it is run again")
                    continue
                goal_handle.publish_feedback(
                    AdaptSkill.Feedback(
                        episode=len(outcomes),
                        successes=sum(outcome.success for outcome in outcomes),
                        last_success=outcomes[-1].success,
                        last_return=outcomes[-1].episode_return,
                        reward_source=self._state.reward_source,
                        last_duration_s=outcomes[-1].duration_s,
                    )
                )
            result.completed = True
            goal_handle.succeed()
        except UserError as error:
            result.message = str(error)
            self.get_logger().error(result.message)
            goal_handle.abort()
        except _CancelledError:
            result.message = "cancelled"
            if goal_handle.is_cancel_requested:
                goal_handle.canceled()
            else:
                goal_handle.abort()
        finally:
            self._busy = False
        result.episodes = len(outcomes)
        result.successes = sum(outcome.success for outcome in outcomes)
        result.reward_source = self._state.reward_source
        result.outcomes = [outcome.success for outcome in outcomes]
        result.returns = [outcome.episode_return for outcome in outcomes]
        result.durations_s = [outcome.duration_s for outcome in outcomes]
        return result


def main() -> None:
    """Run the node."""
    run_node(EpisodeManager)


if __name__ == "__main__":
    main()
