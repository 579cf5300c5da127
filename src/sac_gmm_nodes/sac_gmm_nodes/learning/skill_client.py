"""Requests episodes from the episode manager and prints each outcome as one line of JSON.

    ros2 run sac_gmm_nodes skill_client train --episodes 100 --first-seed 2000000
    ros2 run sac_gmm_nodes skill_client evaluate --episodes 50 --first-seed 4000000 --films films/

It serves programs that import no ROS, such as `sac-gmm demo`. Ctrl-C cancels the episodes and ends it with code 1.
"""

from __future__ import annotations

import argparse
import json
import sys
import threading
import time
from pathlib import Path

import cv2
import numpy as np
import rclpy
from rclpy.action import ActionClient
from rclpy.action.client import ClientGoalHandle
from rclpy.event_handler import QoSSubscriptionMatchedInfo, SubscriptionEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile
from rclpy.task import Future
from sac_gmm_interfaces.action import AdaptSkill
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState, MixtureModel
from sensor_msgs.msg import Image

from sac_gmm.core.errors import UserError
from sac_gmm.models import save_model
from sac_gmm_nodes.common.conversions import model_of, nanoseconds
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.pictures import picture_array
from sac_gmm_nodes.common.qos import EPISODE, RELIABLE

MODES = {
    "base": EpisodeState.MODE_BASE,
    "train": EpisodeState.MODE_TRAIN,
    "evaluate": EpisodeState.MODE_EVALUATE,
}
_FRAMES_PER_STRIP = 8
_CANCEL_S = 2.0  # after Ctrl-C, time for the episode manager to answer
_MODELS = QoSProfile(
    depth=80, durability=DurabilityPolicy.TRANSIENT_LOCAL
)  # all of them, also for a node that lags behind


class SkillClient(BaseNode):
    """One goal of the `adapt_skill` action, from sending it to its result."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__("skill_client")
        self._options = options
        self._done = 0
        self._successes = 0
        self._films = Films(self, options.films) if options.films is not None else None
        self._tick_times_s: list[float] = []  # the controller's, since the last reported episode
        self.create_subscription(ControllerStatus, "controller_status", self._on_status, RELIABLE)
        self._client = ActionClient(self, AdaptSkill, "adapt_skill")
        self.run_thread(self._run)

    def _run(self) -> None:
        """Send the goal and wait for its end; the main thread's executor does the communication."""
        try:
            self.failed = not self._follow_goal()
        except UserError as error:
            print(f"skill_client: {error}", file=sys.stderr, flush=True)
            self.failed = True
        finally:
            self.stopping.set()

    def _follow_goal(self) -> bool:
        """Return whether all episodes were run, false after an interruption.

        Raises:
            UserError: They cannot be run, or ended early.
        """
        options = self._options
        deadline_s = time.monotonic() + options.timeout_s
        wanted = [(self._client.wait_for_server, "no adapt_skill action", "is the launch file running?")]
        if self._films is not None:
            needed = "topics fixed_camera/image and model are needed"
            wanted.append((self._films.ready.wait, "nothing to film", needed))
        for there, missing, hint in wanted:
            while not there(0.1):
                if self.stopping.is_set():
                    return False
                if time.monotonic() > deadline_s:
                    raise UserError(f"{missing} within {options.timeout_s:g} s: {hint}")
        goal = AdaptSkill.Goal(mode=MODES[options.mode], episodes=options.episodes, first_seed=options.first_seed)
        accepted = threading.Event()
        sent: list[Future] = []

        def send() -> None:  # in the executor's thread: rclpy drops an answer that arrives before the call returns
            if not sent:
                sent.append(self._client.send_goal_async(goal, feedback_callback=self._on_feedback))
                sent[0].add_done_callback(lambda _future: accepted.set())

        timer = self.create_timer(0.02, send, clock=self.steady_clock)
        while not accepted.wait(0.1):
            if self.stopping.is_set() and not accepted.wait(_CANCEL_S):
                return False
        timer.cancel()
        handle: ClientGoalHandle | None = sent[0].result()
        if handle is None or not handle.accepted:
            raise UserError("the episode manager refused: other episodes are running")
        ended = threading.Event()
        result_future = handle.get_result_async()
        result_future.add_done_callback(lambda _future: ended.set())
        while not ended.wait(0.1):
            if self.stopping.is_set():
                self._cancel(handle)
                return False
        response = result_future.result()
        if response is None or not response.result.completed:
            raise UserError(f"the episodes ended early: {response.result.message if response else 'no result'}")
        result = response.result
        _say(
            {
                "event": "done",
                "episodes": result.episodes,
                "successes": result.successes,
                "mean_return": float(np.mean(result.returns)) if result.returns else 0.0,
                "reward_source": result.reward_source,
            }
        )
        return True

    def _cancel(self, handle: ClientGoalHandle) -> None:
        cancelled = threading.Event()
        handle.cancel_goal_async().add_done_callback(lambda _future: cancelled.set())
        cancelled.wait(_CANCEL_S)

    def spin(self, executor: rclpy.executors.Executor) -> None:
        """Run callbacks until the goal has ended; a cancellation still needs them."""
        super().spin(executor)
        while any(thread.is_alive() for thread in self._threads):
            executor.spin_once(timeout_sec=0.05)

    def _on_status(self, message: ControllerStatus) -> None:
        if message.state == ControllerStatus.STATE_ACTIVE:
            self._tick_times_s.append(message.tick_time_s)

    def _on_feedback(self, message: AdaptSkill.Impl.FeedbackMessage) -> None:
        feedback = message.feedback
        tick_times_ms, self._tick_times_s = 1e3 * np.array(self._tick_times_s or [0.0]), []
        _say(
            {
                "event": "episode",
                "mode": self._options.mode,
                "seed": self._options.first_seed + feedback.episode - 1,
                "success": bool(feedback.last_success),
                "return": feedback.last_return,
                "reward_source": feedback.reward_source,
                "duration_s": round(feedback.last_duration_s, 3),
                "tick_ms_median": round(float(np.median(tick_times_ms)), 3),
                "tick_ms_most": round(float(tick_times_ms.max()), 3),
            }
        )


class Films:
    """Keeps the fixed camera's view of each episode as one strip of pictures, and the skill active at its end."""

    def __init__(self, node: BaseNode, folder: Path) -> None:
        self._folder = folder
        self._frames: list[tuple[int, Image]] = []
        self._running = False
        self._models: list[MixtureModel] = []
        self._camera_found = False
        self.ready = threading.Event()  # set once camera and controller are found: the first episode must be complete
        folder.mkdir(parents=True, exist_ok=True)
        found = SubscriptionEventCallbacks(matched=self._on_camera_matched)
        node.create_subscription(Image, "fixed_camera/image", self._on_image, RELIABLE, event_callbacks=found)
        node.create_subscription(EpisodeState, "episode_state", self._on_state, EPISODE)
        node.create_subscription(MixtureModel, "model", self._on_model, _MODELS)

    def _on_camera_matched(self, status: QoSSubscriptionMatchedInfo) -> None:
        self._camera_found = status.current_count > 0
        self._tell_ready()

    def _tell_ready(self) -> None:
        if self._camera_found and self._models:
            self.ready.set()

    def _on_image(self, message: Image) -> None:
        if self._running:
            self._frames.append((nanoseconds(message.header.stamp), message))

    def _on_model(self, message: MixtureModel) -> None:
        self._models.append(message)
        self._tell_ready()

    def _on_state(self, message: EpisodeState) -> None:
        if message.phase == EpisodeState.PHASE_ENDED and self._frames:
            end_ns = nanoseconds(message.end_stamp)
            kept = [image for stamp_ns, image in self._frames if stamp_ns <= end_ns] or [self._frames[0][1]]
            chosen = [kept[i] for i in np.linspace(0, len(kept) - 1, _FRAMES_PER_STRIP).round().astype(int)]
            strip = np.hstack([picture_array(image) for image in chosen])
            outcome = "success" if message.success else "failure"
            path = self._folder / f"{message.seed}_{outcome}.jpg"
            cv2.imwrite(str(path), cv2.cvtColor(strip, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, 85])
            # By its stamp: the next episode's base skill may arrive before the news that this one has ended.
            window_ns = range(nanoseconds(message.start_stamp), end_ns + 1)
            of_episode = [m for m in self._models if m.version > 0 and nanoseconds(m.header.stamp) in window_ns]
            if of_episode:
                save_model(path.with_suffix(".npz"), model_of(of_episode[-1]))
            self._models = [m for m in self._models if nanoseconds(m.header.stamp) > end_ns]
        self._running = message.phase in (EpisodeState.PHASE_RESETTING, EpisodeState.PHASE_RUNNING)
        if message.phase != EpisodeState.PHASE_RUNNING:
            self._frames.clear()


def _say(event: dict[str, object]) -> None:
    print(json.dumps(event), flush=True)


def main() -> None:
    """Run the client."""
    parser = argparse.ArgumentParser(
        "skill_client", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("mode", choices=MODES, help="base: the fitted skill; train: explore and learn; evaluate")
    parser.add_argument("--episodes", type=int, required=True, help="number of episodes")
    parser.add_argument("--first-seed", type=int, required=True, help="episode i has the seed FIRST_SEED + i")
    parser.add_argument("--films", type=Path, help="folder for a strip of pictures of every episode")
    parser.add_argument("--timeout-s", type=float, default=60.0, help="how long to wait for the episode manager, s")
    options = parser.parse_args(rclpy.utilities.remove_ros_args()[1:])
    run_node(lambda: SkillClient(options))


if __name__ == "__main__":
    main()
