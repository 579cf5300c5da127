"""Requests episodes from the episode manager and prints each outcome as one line of JSON.

    ros2 run sac_gmm_nodes skill_client train --episodes 100 --first-seed 2000000
    ros2 run sac_gmm_nodes skill_client evaluate --episodes 50 --first-seed 4000000 --films films/

It serves programs that import no ROS, such as `sac-gmm adapt` and `sac-gmm demo`; from Python, use
`sac_gmm_nodes.client`. While nothing moves, a line says what is missing. Ctrl-C cancels the episodes and
ends it with code 1.
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
from rclpy.event_handler import QoSRequestedIncompatibleQoSInfo, QoSSubscriptionMatchedInfo, SubscriptionEventCallbacks
from rclpy.qos import DurabilityPolicy, QoSProfile
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState, MixtureModel
from sensor_msgs.msg import Image

from sac_gmm.core.errors import UserError
from sac_gmm.models import save_model
from sac_gmm_nodes.common.conversions import model_of, nanoseconds
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.pictures import rgb_array
from sac_gmm_nodes.common.qos import EPISODE, RELIABLE, SENSOR
from sac_gmm_nodes.learning.episode_request import MODES, Episode, EpisodeRequests

_FRAMES_PER_STRIP = 8
_MODELS = QoSProfile(
    depth=80, durability=DurabilityPolicy.TRANSIENT_LOCAL
)  # all of them, also for a node that lags behind


class SkillClient(BaseNode):
    """One request for episodes, from sending it to its result; or a stop of those that run."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__("skill_client")
        self._options = options
        self._films = Films(self, options.films) if options.films is not None else None
        self._tick_times_s: list[float] = []  # the controller's, since the last reported episode
        self.create_subscription(ControllerStatus, "controller_status", self._on_status, RELIABLE)
        self._requests = EpisodeRequests(self, self.stopping)
        self.run_thread(self._run)

    def _run(self) -> None:
        """Send the request and wait for its end; the main thread's executor does the communication."""
        try:
            if self._options.mode == "stop":
                _say({"event": "stopped", "requests": self._requests.stop_all()})
            else:
                self.failed = not self._follow()
        except UserError as error:
            print(f"skill_client: {error}", file=sys.stderr, flush=True)
            self.failed = True
        finally:
            self.stopping.set()

    def _follow(self) -> bool:
        """Return whether all episodes were run, false after an interruption.

        Raises:
            UserError: They cannot be run, or ended early.
        """
        options = self._options
        deadline_s = time.monotonic() + options.timeout_s
        while self._films is not None and not self._films.ready.wait(0.1):
            if self.stopping.is_set():
                return False
            if time.monotonic() > deadline_s:
                raise UserError(
                    f"nothing to film within {options.timeout_s:g} s: topics fixed_camera/image and model are needed"
                )
        result = self._requests.run(
            options.mode,
            options.episodes,
            options.first_seed,
            on_episode=self._on_episode,
            on_missing=lambda text: _say({"event": "missing", "text": text}),
            timeout_s=options.timeout_s,
        )
        if result is None:
            return False
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

    def spin(self, executor: rclpy.executors.Executor) -> None:
        """Run callbacks until the request has ended; a cancellation still needs them."""
        super().spin(executor)
        while any(thread.is_alive() for thread in self._threads):
            executor.spin_once(timeout_sec=0.05)

    def _on_status(self, message: ControllerStatus) -> None:
        if message.state == ControllerStatus.STATE_ACTIVE:
            self._tick_times_s.append(message.tick_time_s)

    def _on_episode(self, episode: Episode) -> None:
        tick_times_ms, self._tick_times_s = 1e3 * np.array(self._tick_times_s or [0.0]), []
        _say(
            {
                "event": "episode",
                "mode": self._options.mode,
                "seed": episode.seed,
                "success": episode.success,
                "return": episode.episode_return,
                "reward_source": episode.reward_source,
                "duration_s": episode.duration_s,
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
        self._node, self._takes_any = node, False
        self._listen(RELIABLE)
        node.create_subscription(EpisodeState, "episode_state", self._on_state, EPISODE)
        node.create_subscription(MixtureModel, "model", self._on_model, _MODELS)

    def _listen(self, qos: QoSProfile) -> None:
        events = SubscriptionEventCallbacks(matched=self._on_camera_matched, incompatible_qos=self._on_best_effort)
        self._node.create_subscription(Image, "fixed_camera/image", self._on_image, qos, event_callbacks=events)

    def _on_best_effort(self, _info: QoSRequestedIncompatibleQoSInfo) -> None:
        """In real time, and on a robot, a camera does not send every picture reliably."""
        if not self._takes_any:
            self._takes_any = True
            self._listen(SENSOR)

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
            pictures = [rgb_array(image) for image in chosen]
            strip = np.hstack([picture for picture in pictures if picture.shape == pictures[0].shape])
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
    modes = "base: the fitted skill; train: explore and learn; evaluate; stop: end the episodes that run"
    parser.add_argument("mode", choices=(*MODES, "stop"), help=modes)
    parser.add_argument("--episodes", type=int, default=1, help="number of episodes")
    parser.add_argument("--first-seed", type=int, default=0, help="episode i has the seed FIRST_SEED + i")
    parser.add_argument("--films", type=Path, help="folder for a strip of pictures of every episode")
    parser.add_argument("--timeout-s", type=float, default=60.0, help="how long to wait for the episode manager, s")
    options = parser.parse_args(rclpy.utilities.remove_ros_args()[1:])
    run_node(lambda: SkillClient(options))


if __name__ == "__main__":
    main()
