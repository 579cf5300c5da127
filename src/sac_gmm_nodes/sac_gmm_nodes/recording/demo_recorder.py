"""Records demonstrations: one rosbag2 folder per episode, started and stopped by services.

    ros2 run sac_gmm_nodes demo_recorder --ros-args -p folder:=demos/door -p extra_topics:="camera/color camera/depth"

Messages are written as the bytes in which they arrive. A bag gets its name only when it is complete, and never
replaces another. It holds everything from start to stop or, with `follow_episodes`, the running part of one episode.
In that case a start is answered only once states and episode announcements are arriving, so that nothing of the
episode is missed.

However the program ends, everything older than half a second is in the file: `sac-gmm demos salvage` makes a bag of it.
"""

from __future__ import annotations

import time
from functools import partial
from pathlib import Path

from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sac_gmm_interfaces.msg import EpisodeState
from sac_gmm_interfaces.srv import StartRecording, StopRecording

from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeInfo, EpisodeRecorder
from sac_gmm.demos.bags.message_types import (
    BULKY_TYPES,
    COMMAND_TWIST,
    COMPRESSED_IMAGE,
    EPISODE_TOPICS,
    IMAGE,
    LATCHED_TOPICS,
    STATE_POSE,
)
from sac_gmm_nodes.common.conversions import nanoseconds
from sac_gmm_nodes.common.node import BaseNode, Turn, run_node
from sac_gmm_nodes.common.optional_messages import message_type
from sac_gmm_nodes.common.polling import take_what_waits
from sac_gmm_nodes.common.qos import EPISODE, LATCHED

_EPISODE_STATE = "episode_state"
_CATCH_UP_S = 1.0
QUEUE = 200  # messages that may wait while the disk is busy
QUEUE_BULKY = 60  # the same for pictures: two seconds of a camera
_COMPRESSED = ("compressed", "compressedDepth")  # the last names of image_transport's topics
_DISCOVERY_S = 0.25  # period at which publishers of the extra topics are looked for


class DemoRecorder(BaseNode):
    """Records the episode topics into bags."""

    def __init__(self) -> None:
        super().__init__("demo_recorder")
        self._folder = Path(self.text("folder", ".", "folder of bags with a relative path")).expanduser()
        reliable = self.flag("reliable_state", False, "ask for every state, as lock-step needs")
        follow = self.flag("follow_episodes", False, "record only while episode_state says that an episode is running")
        self._extra = _extra_topics(
            self.text("extra_topics", "", "more topics, with spaces between them: images, or TOPIC:pkg/msg/Type")
        )
        compression = self.text(
            "compression",
            "auto",
            "compression of the bags; auto: none where there are images",
            ("auto", "zstd", "none"),
        )
        bulky = any(kind in BULKY_TYPES for kind in self._extra.values())
        compress = not bulky if compression == "auto" else compression == "zstd"
        self._recorder = EpisodeRecorder(follow, EPISODE_TOPICS | self._extra, compress=compress)
        self._missing = {topic: message_type(kind) for topic, kind in self._extra.items()}
        qos = QoSProfile(
            depth=QUEUE, reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        )
        self._inputs = [
            self.create_subscription(
                message_type(kind),
                topic.removeprefix("/"),  # relative, so that a namespace applies; the bag keeps the plain name
                partial(self._on_message, topic),
                LATCHED if topic in LATCHED_TOPICS else qos,
                raw=True,
            )
            for topic, kind in EPISODE_TOPICS.items()
        ]
        self._follow = follow
        self._heard: set[str] = set()  # topics on which something has arrived
        self._wait_s = self.real(
            "wait_s", 20.0, 0.1, 600.0, "s", "with follow_episodes, time to wait for a first state"
        )
        if follow:
            episodes = self.create_subscription(EpisodeState, _EPISODE_STATE, self._on_episode, EPISODE)
            self._inputs.insert(0, episodes)  # read first, so that the running episode is known before its messages
        waits = ReentrantCallbackGroup()  # a start that waits for messages must not block them
        self._find_extra_topics()
        self.create_timer(_DISCOVERY_S, self._find_extra_topics, clock=self.steady_clock)
        self.create_service(StartRecording, "start_recording", self._on_start, callback_group=waits)
        self.create_service(StopRecording, "stop_recording", self._on_stop, callback_group=waits)

    def _find_extra_topics(self) -> None:
        """Subscribe to extra topics as their publishers appear, with the reliability these offer: none must be lost."""
        for topic, kind in list(self._missing.items()):
            name = topic.removeprefix("/")
            offers = [info.qos_profile for info in self.get_publishers_info_by_topic(name)]
            if not offers:
                continue
            reliable = all(offer.reliability == ReliabilityPolicy.RELIABLE for offer in offers)
            latched = all(offer.durability == DurabilityPolicy.TRANSIENT_LOCAL for offer in offers)
            qos = QoSProfile(
                depth=QUEUE_BULKY if self._extra[topic] in BULKY_TYPES else QUEUE,
                reliability=ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT,
                durability=DurabilityPolicy.TRANSIENT_LOCAL if latched else DurabilityPolicy.VOLATILE,
            )
            self._inputs.append(self.create_subscription(kind, name, partial(self._on_message, topic), qos, raw=True))
            del self._missing[topic]

    def _take_what_waits(self) -> None:
        """Process what has already arrived: a service request may overtake messages sent before it."""
        for subscription in self._inputs:
            take_what_waits(subscription, QUEUE)

    async def _hear_everything(self) -> None:
        """Wait until something has arrived on each topic that is published without being requested.

        Raises:
            UserError: There is no state, or nobody announces episodes.
        """

        def missing() -> list[str]:
            published = (topic for topic in EPISODE_TOPICS if self.count_publishers(topic.removeprefix("/")))
            return sorted({STATE_POSE, _EPISODE_STATE, *published} - self._heard - {COMMAND_TWIST})

        end_s = time.monotonic() + self._wait_s
        while missing() and time.monotonic() < end_s:
            self.get_logger().info(f"waiting for {', '.join(missing())}", throttle_duration_sec=2.0)
            await Turn()
        if {STATE_POSE, _EPISODE_STATE} - self._heard:
            raise UserError(
                f"nothing arrived on {' and '.join(missing())} within {self._wait_s:g} s: start the robot or the "
                "simulation, and what announces episodes"
            )
        if missing():
            self.get_logger().warning(f"{', '.join(missing())}: published, but nothing arrived; recording without")

    def _on_message(self, topic: str, data: bytes) -> None:
        self._heard.add(topic)
        try:
            self._recorder.take(topic, data)
        except UserError as error:
            self.get_logger().error(f"the recording has stopped: {error}")

    def _on_episode(self, message: EpisodeState) -> None:
        self._heard.add(_EPISODE_STATE)
        try:
            if message.phase == EpisodeState.PHASE_RUNNING:
                self._recorder.episode_running(nanoseconds(message.start_stamp))
            elif message.phase == EpisodeState.PHASE_ENDED:
                self._recorder.episode_ended(nanoseconds(message.end_stamp))
            else:
                self._recorder.episode_waiting()
        except UserError as error:
            self.get_logger().error(f"the recording has stopped: {error}")

    async def _on_start(
        self, request: StartRecording.Request, response: StartRecording.Response
    ) -> StartRecording.Response:
        try:
            if not request.path.strip():
                raise UserError("the path of the bag is empty: name the new bag, e.g. demos/door/door_00")
            path = self._folder / Path(request.path).expanduser()
            if self._missing:
                raise UserError(f"nobody publishes {', '.join(self._missing)} yet: start the cameras first")
            self._recorder.start(path, EpisodeInfo(request.task, request.operator_name))
            if self._follow:
                try:
                    await self._hear_everything()
                except UserError:
                    self._recorder.stop(discard=True)
                    raise
            response.success, response.message = True, f"recording {path}"
            self.get_logger().info(response.message)
        except UserError as error:
            response.success, response.message = False, str(error)
            self.get_logger().error(response.message)
        return response

    async def _on_stop(
        self, request: StopRecording.Request, response: StopRecording.Response
    ) -> StopRecording.Response:
        self._take_what_waits()
        end_s = time.monotonic() + _CATCH_UP_S  # the request may also overtake messages still in transit
        while self._follow and not (request.discard or self._recorder.caught_up) and time.monotonic() < end_s:
            await Turn()
        try:
            recording = self._recorder.stop(request.discard)
            response.success, response.message = True, "discarded"
            if recording is not None:
                response.success = recording.report is not None
                response.message = recording.summary()
                response.path = str(recording.path)
                response.n_samples = recording.n_samples
            self.get_logger().info(response.message)
        except UserError as error:
            response.success, response.message = False, str(error)
            self.get_logger().error(response.message)
        return response

    def close(self) -> None:
        """Leave an unfinished recording where it can be found."""
        left = self._recorder.abandon()
        if left is not None:
            self.get_logger().warning(f"stopped in the middle of a recording: the data so far is in {left}")


def _extra_topics(text: str) -> dict[str, str]:
    """Topic -> type for a request such as `a/image b/info:sensor_msgs/msg/CameraInfo`.

    Raises:
        UserError: A type is not installed, or a topic is one of the episode's own.
    """
    topics: dict[str, str] = {}
    for word in text.replace(",", " ").split():
        name, _, kind = word.partition(":")
        topic = "/" + name.strip("/")
        if topic in EPISODE_TOPICS or topic in topics or topic == "/":
            raise UserError(f"parameter extra_topics: {topic} is already recorded")
        topics[topic] = kind or (COMPRESSED_IMAGE if topic.rpartition("/")[2] in _COMPRESSED else IMAGE)
        message_type(topics[topic])
    return topics


def main() -> None:
    """Entry point."""
    run_node(DemoRecorder)


if __name__ == "__main__":
    main()
