"""Records demonstrations that a person gives with a hand in front of a camera: one bag per episode.

Its states are idle -> recording <-> paused -> saving -> idle. Services, words on a topic and, in a terminal, keys
change them. A bag gets its name only when it is complete, and never replaces another; `sac-gmm demos salvage` recovers
what a crash leaves behind. The diagnostics report how well the hand is seen.

This file is long because everything in it works on that one state machine; the parameters and the camera handling are
in `hand_parameters` and `hand_sight`.
"""

from __future__ import annotations

import queue
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from pathlib import Path

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.clock import Clock, ClockType
from rclpy.event_handler import QoSSubscriptionMatchedInfo, SubscriptionEventCallbacks
from rclpy.qos import QoSProfile, ReliabilityPolicy
from rclpy.serialization import deserialize_message, serialize_message
from sac_gmm_interfaces.msg import EpisodeState
from sac_gmm_interfaces.srv import StartRecording, StopRecording
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger

from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeInfo, unfinished
from sac_gmm.demos.hands.hand_bag import CAMERA_DEPTH, CAMERA_IMAGE
from sac_gmm.demos.hands.hand_recorder import HandRecording, RecorderState, next_episode_path
from sac_gmm.demos.recorder import set_back_problem
from sac_gmm.perception.hands import HandPose
from sac_gmm.perception.hands.live import LiveQuality
from sac_gmm_nodes.common.conversions import header, nanoseconds, point_array, pose_message
from sac_gmm_nodes.common.keyboard import Keyboard
from sac_gmm_nodes.common.node import BaseNode, Turn, run_node
from sac_gmm_nodes.common.pictures import AnyImage, image_message, image_transport, picture_topic, rgb_array
from sac_gmm_nodes.common.polling import take_what_waits
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE
from sac_gmm_nodes.recording.hand_parameters import hand_recorder
from sac_gmm_nodes.recording.hand_sight import DepthPairing, HandSight

_QUEUE = 30  # pictures that may wait: a second's worth
_PATIENCE_S = 20.0  # for a first picture, if no person decides when an episode begins
_CATCH_UP_S = 1.0  # for pictures in transit when an episode that is followed has ended
_START_UP_S = 5.0  # no picture is not yet an error while the camera's driver may be starting
_KEYS = {"p": "pause", "r": "resume", "s": "save", "d": "discard"}  # and the space bar: the next sensible action


class HandDemoRecorder(BaseNode):
    """Turns pictures into bags."""

    def __init__(self) -> None:
        super().__init__("hand_demo_recorder")
        self._folder = Path(self.text("folder", "demos", "folder of bags with a relative path")).expanduser()
        self._task = self.text("task", "", "name of the task, if the start request gives none")
        self._operator = self.text("operator", "", "operator, if the start request names none")
        self._silence_s = self.real(
            "silence_timeout_s", 2.0, 0.1, 60.0, "s", "time without a picture after which the camera is lost"
        )
        self._auto = self.flag("auto_episode", False, "start with the first hand, save when the pictures end, and exit")
        self._mixed = self.flag(
            "allow_mixed", False, "add to a folder whose episodes were recorded with other settings"
        )
        self._follow = self.flag("follow_episodes", False, "take only pictures of the episode that episode_state names")
        reliable = self.flag("reliable_images", False, "take every picture, as a simulation sends them")
        use_depth = self.flag("use_depth", False, "there is a depth image, registered to the colour image")
        keep_images = self.flag("record_images", False, "store the pictures in the bag, too")
        transport = image_transport(self)
        self._image_kind = Image if transport == "raw" else CompressedImage
        self._picture_topic = picture_topic(self, "camera/image", transport)
        self._sight = HandSight(self)
        self._use_depth = use_depth and self._sight.takes_depth
        # The frame that the pictures must have, if a file says which camera it is for.
        self._recorder, self._expected_frame = hand_recorder(
            self, record_images=keep_images, record_depth=use_depth, use_depth=self._use_depth
        )
        self._keep_images = keep_images
        self._pairing = DepthPairing(self._use_depth)
        self._without_depth = 0  # pictures in a row without a distance, although depth was requested
        self._why_no_depth = ""
        self._early: deque[tuple[AnyImage, Image | None]] = deque(maxlen=_QUEUE)
        self._live = LiveQuality()
        self._target: PoseStamped | None = None
        self._window: tuple[int, int | None] | None = None if self._follow else (0, None)  # stamps in ns
        self._looked_ns = 0  # stamp of the picture that was looked at last
        # Stamps of pictures outside the window, and how to write them: the news that their episode is running may
        # arrive after its first pictures.
        self._outside: deque[tuple[int, Callable[[], None]]] = deque(maxlen=_QUEUE)
        self._trouble = ""  # why the last picture was unusable
        self._complaint = ""
        self._any_picture = self._was_seen = self._finished = False
        self._began_s = time.monotonic()
        self._last_picture_s = self._began_s + _START_UP_S
        self._last_saved = ""
        self._why_idle = ""  # where the first hand begins an episode and did not

        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        pictures = QoSProfile(depth=_QUEUE, reliability=policy)
        self._inputs = [
            self.create_subscription(CameraInfo, "camera/camera_info", self._on_info, pictures),
            self.create_subscription(
                self._image_kind,
                self._picture_topic,
                self._on_image,
                pictures,
                raw=True,
                event_callbacks=SubscriptionEventCallbacks(matched=self._on_camera_matched),
            ),
        ]
        if use_depth:
            self._inputs.append(self.create_subscription(Image, "camera/depth", self._on_depth, pictures, raw=True))
        self._inputs.append(self.create_subscription(PoseStamped, "target_pose", self._on_target, LATCHED))
        if self._follow:
            episodes = self.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)
            self._inputs.insert(0, episodes)  # read first, so that the running episode is known before its messages
        self._state = self.create_publisher(String, "~/state", LATCHED)
        self._hand = self.create_publisher(PoseStamped, "hand/pose", RELIABLE)
        self._looked_at = self.create_publisher(Header, "hand/looked_at", EPISODE)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        waits = ReentrantCallbackGroup()  # a start that waits for pictures must not block them
        self.create_service(StartRecording, "~/start_episode", self._on_start, callback_group=waits)
        self.create_service(StopRecording, "~/stop_episode", self._on_stop, callback_group=waits)
        for word in ("pause", "resume", "save", "discard"):
            self.create_service(Trigger, f"~/{word}", partial(self._on_trigger, word))
        self.create_subscription(String, "~/control", self._on_control, RELIABLE)
        steady = Clock(clock_type=ClockType.STEADY_TIME)
        self.create_timer(1.0, self._report, clock=steady)
        self.create_timer(min(self._silence_s / 2.0, 0.2), self._on_silence, clock=steady)
        self._keyboard = Keyboard()
        if self.flag("keyboard", False, "keys: space starts, pauses and resumes; s saves, d discards"):
            if self._keyboard.start():
                self.create_timer(0.05, self._on_keys, clock=steady)
            else:
                self.get_logger().warning("there is no terminal for keys here: use the services or ~/control")
        self._say_state()
        self._mention_leftovers()

    # What comes in ---------------------------------------------------------------------------------------------------

    def _on_camera_matched(self, status: QoSSubscriptionMatchedInfo) -> None:
        """Tell a film that its pictures are heard from now on: what it sends before is lost."""
        if status.current_count_change > 0:
            self._looked_at.publish(Header())

    def _on_image(self, data: bytes) -> None:
        self._last_picture_s = time.monotonic()
        message: AnyImage = deserialize_message(data, self._image_kind)
        if self._expected_frame not in ("", message.header.frame_id):
            self.get_logger().warning(
                f"the pictures are of '{message.header.frame_id}', but extrinsics_file is for "
                f"'{self._expected_frame}': does it belong to this camera?"
            )
            self._expected_frame = ""  # reported once
        if self._keep_images:
            self._keep(message, data)
        self._look(self._pairing.picture(message))

    def _keep(self, message: AnyImage, data: bytes) -> None:
        """Have the picture written to the bag: as it came, or unpacked, because its topic there holds images."""
        if isinstance(message, CompressedImage):
            try:
                data = bytes(serialize_message(image_message(rgb_array(message), message.header)))
            except UserError:
                return  # looking at it tells why
        self._write(nanoseconds(message.header.stamp), partial(self._recorder.attach, CAMERA_IMAGE, data))

    def _on_depth(self, data: bytes) -> None:
        message: Image = deserialize_message(data, Image)
        if self._keep_images:
            self._write(nanoseconds(message.header.stamp), partial(self._recorder.attach, CAMERA_DEPTH, data))
        self._look(self._pairing.depth(message))

    def _on_info(self, message: CameraInfo) -> None:
        self._sight.calibrate(message)
        early, self._early = list(self._early), deque(maxlen=_QUEUE)
        self._look(early)

    def _look(self, ready: list[tuple[AnyImage, Image | None]]) -> None:
        for message, depth in ready:
            if not self._sight.calibrated and time.monotonic() - self._began_s < _START_UP_S:
                self._early.append((message, depth))  # the calibration may arrive a moment after the first pictures
                continue
            self._any_picture = True
            stamp_ns = nanoseconds(message.header.stamp)
            began_s = time.perf_counter()
            pose: HandPose | None = None
            try:
                pose = self._sight.look(message, depth)
                self._trouble = self._complaint = ""
            except UserError as error:
                self._trouble = str(error)
                self._complain()
            self._was_seen = pose is not None
            if self._use_depth:
                self._watch_depth(depth, pose)
            self._live.update(stamp_ns, None if pose is None else pose.position_m, time.perf_counter() - began_s)
            if pose is not None:
                quaternion = Rotation.from_matrix(pose.rotation).as_quat()
                self._hand.publish(pose_message(pose.position_m, quaternion, message.header))
                if self._auto and not self._finished and self._recorder.state is RecorderState.IDLE:
                    _, self._why_idle = self._command("start")
            self._looked_ns = stamp_ns
            self._write(stamp_ns, partial(self._recorder.take, stamp_ns, pose))
            self._looked_at.publish(message.header)  # so that a film or a simulation can wait for this node
            # The time that this took is no silence: whoever waits for this node sends the next picture only now.
            self._last_picture_s = max(self._last_picture_s, time.monotonic())

    def _watch_depth(self, depth: Image | None, pose: HandPose | None) -> None:
        if pose is not None and pose.size_from == "depth":
            self._without_depth = 0
        elif depth is None:
            self._without_depth += 1
            topic = self.resolve_topic_name("camera/depth")
            self._why_no_depth = f"no depth matching the pictures arrives on {topic}: check the topic and its stamps"
        elif pose is not None:
            self._without_depth += 1
            self._why_no_depth = "the depth image has no values at the hand: is it registered to the colour image?"

    def _within(self, stamp_ns: int) -> bool:
        if self._window is None:
            return False
        begin_ns, end_ns = self._window
        return begin_ns <= stamp_ns and (end_ns is None or stamp_ns <= end_ns)

    @property
    def _caught_up(self) -> bool:
        """Whether the episode that is followed has ended, and its last picture has been looked at."""
        return self._window is not None and self._window[1] is not None and self._looked_ns >= self._window[1]

    def _write(self, stamp_ns: int, write: Callable[[], None]) -> None:
        """Write what belongs to the episode; keep the rest for a moment."""
        if not self._within(stamp_ns):
            self._outside.append((stamp_ns, write))
            return
        try:
            write()
        except UserError as error:
            self.get_logger().error(f"the recording has stopped: {error}")
            self._say_state()

    def _on_target(self, message: PoseStamped) -> None:
        self._target = message

    def _on_episode(self, message: EpisodeState) -> None:
        if message.phase == EpisodeState.PHASE_RUNNING:
            self._window = (nanoseconds(message.start_stamp), None)
            early, self._outside = list(self._outside), deque(maxlen=_QUEUE)
            for stamp_ns, write in early:
                self._write(stamp_ns, write)
        elif message.phase == EpisodeState.PHASE_ENDED and self._window is not None:
            self._window = (self._window[0], nanoseconds(message.end_stamp))
        elif message.phase != EpisodeState.PHASE_ENDED:
            self._window = None

    def _on_silence(self) -> None:
        """Without pictures a recording pauses by itself: the recording so far is kept, and no motion is invented."""
        if self._follow or time.monotonic() - self._last_picture_s < self._silence_s:
            return
        self._take_what_waits()  # a busy node may lag behind with its pictures
        if time.monotonic() - self._last_picture_s < self._silence_s:
            return
        topic = self.resolve_topic_name(self._picture_topic)
        if self._auto and self._recorder.state is RecorderState.RECORDING:
            self._finished = True
            done, _ = self._command("save")
            self._end(failed=not done)
            return
        if self._auto and self._recorder.state is RecorderState.IDLE:
            if self._any_picture:
                self._end(failed=not self._last_saved, why=self._trouble or self._why_idle or self._no_hand())
                return
            if time.monotonic() - self._began_s > _PATIENCE_S and not self.count_publishers(self._picture_topic):
                self._end(failed=True, why=f"nobody publishes pictures on {topic}")
                return
        if self.count_publishers(self._picture_topic):
            self._trouble = f"no picture on {topic} for {self._silence_s:g} s: check the camera and its cable"
        else:
            self._trouble = f"nobody publishes pictures on {topic}: start the camera's driver"
        self._complain()
        if self._recorder.state is RecorderState.RECORDING:
            self._recorder.pause()
            self.get_logger().error("the recording is paused; resume it when the camera is back, or save or discard it")
            self._say_state()

    def _end(self, failed: bool, why: str = "") -> None:
        """End the node: with `auto_episode` the pictures decide when."""
        if failed and why:
            self.get_logger().error(f"nothing was recorded: {why}")
        self.failed = failed
        self.stopping.set()

    def _complain(self) -> None:
        """Log each problem once."""
        if self._trouble.split(":")[0] != self._complaint:
            self._complaint = self._trouble.split(":")[0]
            self.get_logger().error(self._trouble)

    # Requests by a person --------------------------------------------------------------------------------------------

    async def _on_start(
        self, request: StartRecording.Request, response: StartRecording.Response
    ) -> StartRecording.Response:
        try:
            if self._follow:
                await self._see_something()
            self._look(self._pairing.flush())  # what was shown before does not belong to the episode
            path = self._start(request.path.strip(), request.task, request.operator_name)
            response.success, response.message = True, f"recording {path}"
            self.get_logger().info(response.message)
        except UserError as error:
            response.success, response.message = False, str(error)
            self.get_logger().error(response.message)
        return response

    async def _on_stop(
        self, request: StopRecording.Request, response: StopRecording.Response
    ) -> StopRecording.Response:
        end_s = time.monotonic() + _CATCH_UP_S  # the request may overtake pictures, and the news of the end
        while self._follow and not (request.discard or self._caught_up) and time.monotonic() < end_s:
            await Turn()
        try:
            recording = None if request.discard else self._save()
            response.success, response.message = True, "discarded"
            if recording is None:
                self._recorder.discard()
            else:
                response.success = recording.report is not None
                response.message = recording.summary()
                response.path = str(recording.path)
                response.n_samples = recording.motion.time_s.size
            self.get_logger().info(response.message)
        except UserError as error:
            response.success, response.message = False, str(error)
            self.get_logger().error(response.message)
        self._say_state()
        return response

    def _on_control(self, message: String) -> None:
        self._asked(message.data)

    def _on_trigger(self, word: str, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        response.success, response.message = self._asked(word)
        return response

    def _asked(self, word: str) -> tuple[bool, str]:
        """Carry out a user's command, after the pictures that were already waiting for their depth."""
        self._look(self._pairing.flush())
        return self._command(word)

    def _command(self, word: str) -> tuple[bool, str]:
        """Carry out a command word; return whether it succeeded, and a message."""
        try:
            if word == "start":
                said = f"recording {self._start('', '', '')}"
            elif word == "save":
                said = self._save().summary()
            elif word in ("pause", "resume", "discard"):
                if word == "resume" and self._trouble:
                    raise UserError(f"cannot resume: {self._trouble}")
                getattr(self._recorder, word)()
                said = {"pause": "paused", "resume": "recording", "discard": "discarded"}[word]
            else:
                raise UserError(f"'{word}' is not a command: use start, pause, resume, save or discard")
            done = True
            self.get_logger().info(said)
        except UserError as error:
            done, said = False, str(error)
            self.get_logger().error(said)
        self._say_state()
        return done, said

    def _on_keys(self) -> None:
        while True:
            try:
                key = self._keyboard.keys.get_nowait()
            except queue.Empty:
                return
            following = {RecorderState.IDLE: "start", RecorderState.RECORDING: "pause", RecorderState.PAUSED: "resume"}
            word = following.get(self._recorder.state, "") if key == " " else _KEYS.get(key, "")
            if word:
                self._asked(word)

    async def _see_something(self) -> None:
        """Wait for a first good picture: the episode manager does not wait for the camera."""
        end_s = time.monotonic() + _PATIENCE_S
        while (self._trouble or not self._any_picture) and time.monotonic() < end_s:
            await Turn()

    def _start(self, path: str, task: str, operator: str) -> Path:
        if self._trouble:
            raise UserError(f"cannot record: {self._trouble}")
        if self._early:
            topic = self.resolve_topic_name("camera/camera_info")
            raise UserError(f"cannot record: no calibration has arrived on {topic}; start the camera's driver")
        if not self._any_picture:
            topic = self.resolve_topic_name(self._picture_topic)
            raise UserError(f"cannot record: no picture has arrived on {topic}; start the camera's driver")
        task = task or self._task
        bag = self._folder / Path(path).expanduser() if path else next_episode_path(self._folder, task)
        self._recorder.setup.update(self._sight.setup())
        self._recorder.start(bag, EpisodeInfo(task, operator or self._operator), allow_mixed=self._mixed)
        self._live.reset()
        self._say_state()
        return bag

    def _save(self) -> HandRecording:
        """Complete the bag.

        Raises:
            UserError: There is nothing to save, or the target is given in another frame.
        """
        self._take_what_waits()
        target, said_by = None, ""
        if self._target is not None:
            base = self._recorder.setup["base_frame"]
            if self._target.header.frame_id != base:
                raise UserError(
                    f"the target is given in '{self._target.header.frame_id}', but the hand in '{base}': set base_frame"
                    " and the camera's extrinsics; the recording continues"
                )
            target, said_by = point_array(self._target.pose.position), self.resolve_topic_name("target_pose")
        self._state.publish(String(data=RecorderState.SAVING.value))
        recording = self._recorder.save(target, said_by, self._sight.unseen.why())
        self._last_saved = recording.summary()
        return recording

    def _take_what_waits(self) -> None:
        """Process what has arrived: a service request may overtake messages sent before it."""
        for subscription in self._inputs:
            take_what_waits(subscription, _QUEUE)
        self._look(self._pairing.flush())

    # Reports ---------------------------------------------------------------------------------------------------------

    def _say_state(self) -> None:
        self._state.publish(String(data=self._recorder.state.value))

    def _report(self) -> None:
        live = self._live.report()
        level, text = DiagnosticStatus.OK, self._recorder.state.value
        if self._trouble:
            level, text = DiagnosticStatus.ERROR, self._trouble
        elif self._recorder.set_back:
            level, text = DiagnosticStatus.ERROR, f"{text}: {set_back_problem(self._recorder.set_back, 'pictures')}"
        elif self._without_depth >= _QUEUE:
            level, text = DiagnosticStatus.ERROR, f"{text}: {self._why_no_depth}"
        elif self._any_picture and not self._was_seen:
            level, text = DiagnosticStatus.WARN, f"{text}: the hand is not seen: {self._sight.unseen.why()}"
        elif self._sight.repeated:
            level, text = DiagnosticStatus.WARN, f"{text}: {self._sight.repeated}"
        values = {"state": self._recorder.state.value, "episode_frames": self._recorder.frames, **live.as_dict()}
        values.update(self._sight.palm())
        if self._last_saved:
            values["last_saved"] = self._last_saved
        status = DiagnosticStatus(
            level=level,
            name=self.get_name(),
            message=text,
            hardware_id="camera",
            values=[KeyValue(key=key, value=str(value)) for key, value in values.items()],
        )
        self._diagnostics.publish(DiagnosticArray(header=header(self.get_clock().now().to_msg()), status=[status]))

    def _no_hand(self) -> str:
        return f"no hand was seen: {self._sight.unseen.why()}"

    def _mention_leftovers(self) -> None:
        parent = self._folder / (self._task or "untitled")
        left = [str(path) for path in unfinished(parent)] if parent.is_dir() else []
        if left:
            names = ", ".join(left)
            self.get_logger().warning(
                f"there are unfinished recordings in {names}: `sac-gmm demos salvage` makes bags of them"
            )

    def close(self) -> None:
        """Leave an unfinished recording where it can be found."""
        self._keyboard.close()
        left = self._recorder.abandon()
        if left is not None:
            self.get_logger().warning(f"stopped in the middle of a recording: the data so far is in {left}")
        self._sight.close()


def main() -> None:
    """Entry point."""
    run_node(HandDemoRecorder)


if __name__ == "__main__":
    main()
