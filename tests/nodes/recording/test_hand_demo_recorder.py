"""The recorder in its own process, with the test as the camera: a marker on a made-up hand."""

import array
import sys
from pathlib import Path
from unittest.mock import MagicMock

import cv2
import numpy as np
import pytest
import yaml
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from geometry_msgs.msg import PoseStamped
from rclpy.qos import QoSProfile
from rosbags.highlevel import AnyReader
from sac_gmm_interfaces.msg import EpisodeState
from sac_gmm_interfaces.srv import StartRecording, StopRecording
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header, String
from std_srvs.srv import Trigger
from tests.demos.saved import saved_so_far

from sac_gmm.demos import read_demonstration
from sac_gmm.demos.hands.hand_bag import CAMERA_IMAGE, read_hand_track
from sac_gmm.perception.extrinsics import save_extrinsics
from sac_gmm.perception.hands.model_files import prepared_path
from sac_gmm.perception.hands.simulated import SimulatedHand, looking_at
from sac_gmm_nodes.common.conversions import header, stamp_of
from sac_gmm_nodes.common.pictures import camera_info_message, image_message
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE
from sac_gmm_nodes.recording import hand_demo_recorder
from sac_gmm_nodes.recording.hand_demo_recorder import HandDemoRecorder

CLIP = Path(__file__).parents[4] / "shared" / "data" / "hands" / "asl_hand.25fps.mp4"
PERIOD_NS = 33_333_333
CAMERA = looking_at([0.12, -0.38, 0.92], [0.45, 0.02, 0.36])
PARAMETERS = {
    "backend": "marker",
    "marker_id": 3,
    "tool_offset_m": "0.01,0.08,-0.05",
    "camera_position_m": ",".join(f"{value:.9f}" for value in CAMERA.position_m),
    "camera_quaternion_xyzw": ",".join(f"{value:.9f}" for value in CAMERA.quaternion_xyzw),
    "reliable_images": True,
    "silence_timeout_s": 30.0,  # a test on a busy machine may be slow
}


def way(i):
    """The fingertip in the base frame at picture i."""
    s = min(i / 60, 1.0)
    return np.array([0.45 + 0.1 * s, -0.1 + 0.15 * s, 0.35 - 0.05 * np.sin(3 * s)])


class Cameraman:
    """The camera and the person, in the test's process; the recorder in its own."""

    def __init__(self, graph, folder, **parameters):
        self.graph = graph
        node = graph.node
        self.packed = parameters.get("image_transport") == "compressed"
        topic, kind = ("camera/image/compressed", CompressedImage) if self.packed else ("camera/image", Image)
        self.image = node.create_publisher(kind, topic, QoSProfile(depth=50))
        self.info = node.create_publisher(CameraInfo, "camera/camera_info", QoSProfile(depth=50))
        self.target = node.create_publisher(PoseStamped, "target_pose", LATCHED)
        self.control = node.create_publisher(String, "hand_demo_recorder/control", RELIABLE)
        self.looked_at = graph.listen("hand/looked_at", Header, RELIABLE)
        self.states = graph.listen("hand_demo_recorder/state", String, LATCHED)
        self.diagnostics = graph.listen("/diagnostics", DiagnosticArray, RELIABLE)
        self.hand = SimulatedHand(0, CAMERA, wobble_rad=0.03)
        self.process = graph.start("hand_demo_recorder", folder=folder, **(PARAMETERS | parameters))
        graph.wait(lambda: self.image.get_subscription_count() and self.states, "the recorder")

    def show(self, steps):
        """Send pictures, no faster than they are looked at."""
        for i in steps:
            self.send(i, self.hand.picture(self.hand.marker_pose(way(i), 1 / 30)))
            if i % 8 == 7 or i == steps[-1]:
                self.until_looked_at(i)

    def until_looked_at(self, i):
        wanted = stamp_of(self.ns(i))
        self.graph.wait(lambda: self.looked_at and self.looked_at[-1].stamp == wanted, "looked at")

    def send(self, i, picture, **fields):
        top = header(stamp_of(self.ns(i)), "eye")
        if self.packed:
            png = array.array("B", cv2.imencode(".png", picture)[1].tobytes())
            message = CompressedImage(header=top, format="mono8; png compressed ", data=png)
        else:
            message = image_message(np.repeat(picture[..., None], 3, axis=2), top)
        for name, value in fields.items():
            setattr(message, name, value)
        camera = self.hand.camera
        self.info.publish(camera_info_message(camera.matrix, camera.width, camera.height, top))
        self.image.publish(message)

    @staticmethod
    def ns(i):
        return 10**9 + i * PERIOD_NS

    def start(self, path="", task=""):
        request = StartRecording.Request(path=path, task=task, operator_name="ann")
        return self.graph.call(StartRecording, "hand_demo_recorder/start_episode", request)

    def stop(self, discard=False):
        return self.graph.call(StopRecording, "hand_demo_recorder/stop_episode", StopRecording.Request(discard=discard))

    def do(self, word):
        return self.graph.call(Trigger, f"hand_demo_recorder/{word}", Trigger.Request())

    def status(self, level, words, frames=0):
        """Wait for a diagnosis, which must be of at least so many pictures of the episode."""

        def said():
            found = [s for m in self.diagnostics for s in m.status if s.name == "hand_demo_recorder"]
            if not found or found[-1].level != level or words not in found[-1].message:
                return False
            return frames <= next((int(pair.value) for pair in found[-1].values if pair.key == "frames"), 0)

        self.graph.wait(said, f"diagnosis {words}")
        return {
            pair.key: pair.value
            for pair in next(s for s in self.diagnostics[-1].status if s.name == "hand_demo_recorder").values
        }


def test_episodes_become_demonstrations_by_services_and_by_words(graph, tmp_path):
    man = Cameraman(graph, tmp_path, task="door")
    assert [state.data for state in man.states] == ["idle"]
    answer = man.start()
    assert not answer.success and "no picture has arrived on /camera/image" in answer.message
    man.image.publish(image_message(np.zeros((480, 640, 3), np.uint8), header(stamp_of(1), "eye")))
    graph.wait(
        lambda: "no calibration has arrived on /camera/camera_info" in man.start().message, "the missing calibration"
    )
    man.show(range(8))
    target = PoseStamped(header=header(stamp_of(0), "lbr_link_0"))
    target.pose.position.x, target.pose.position.z = 0.55, 0.3
    man.target.publish(target)
    answer = man.start(path="first")
    assert answer.success, answer.message
    man.show(range(8, 40))
    assert man.do("pause").success
    man.show(range(40, 48))
    assert man.do("resume").success
    man.show(range(48, 80))
    # Of the recent pictures those before the recording, a black one among them, are gone when all of it has been seen.
    values = man.status(DiagnosticStatus.OK, "recording", frames=64)
    assert values["frames_lost"] == "0" and float(values["rate_hz"]) == pytest.approx(30.0, abs=0.1)
    assert float(values["jitter_mm"]) < 5.0 and float(values["seen_percent"]) == 100.0
    answer = man.stop()
    assert answer.success, answer.message
    assert [state.data for state in man.states] == ["idle", "recording", "paused", "recording", "saving", "idle"]
    demonstration = read_demonstration(tmp_path / "first")
    assert answer.path == str(tmp_path / "first") and answer.n_samples == demonstration.n_samples == 64
    assert (demonstration.task, demonstration.meta["operator"]) == ("door", "ann")
    assert demonstration.target_m.tolist() == [0.55, 0.0, 0.3]
    shown = np.array([way(i) for i in [*range(8, 40), *range(48, 80)]])
    assert np.linalg.norm(demonstration.position_m - shown, axis=1)[:28].max() < 3e-3

    man.control.publish(String(data="start"))
    graph.wait(lambda: man.states[-1].data == "recording", "the second episode")
    man.show(range(80, 120))
    man.control.publish(String(data="save"))
    graph.wait(lambda: man.states[-1].data == "idle" and list((tmp_path / "door").glob("*_000")), "its bag")
    assert not man.do("save").success
    man.control.publish(String(data="dance"))
    graph.wait(lambda: "'dance' is not a command" in graph.output("hand_demo_recorder"), "the complaint")
    assert graph.stop("hand_demo_recorder") == 0


def test_an_episode_is_recorded_from_its_first_picture_to_its_last(graph, tmp_path):
    """Whichever comes first: its pictures or the news that it is running; its last picture or the request to stop."""
    man = Cameraman(graph, tmp_path, task="door", follow_episodes=True)
    episodes = graph.node.create_publisher(EpisodeState, "episode_state", EPISODE)
    man.show(range(8))
    assert man.start(path="one").success
    man.show(range(8, 16))
    episode = EpisodeState(phase=EpisodeState.PHASE_RUNNING, episode_id=1, start_stamp=stamp_of(man.ns(8)))
    episodes.publish(episode)
    episodes.wait_for_all_acked()
    man.show(range(16, 40))
    client = graph.node.create_client(StopRecording, "hand_demo_recorder/stop_episode")
    graph.wait_to_be_known(client.service_is_ready, "the service")
    last = [(i, man.hand.picture(man.hand.marker_pose(way(i), 1 / 30))) for i in range(40, 48)]
    answer = client.call_async(StopRecording.Request())
    episode.phase, episode.end_stamp = EpisodeState.PHASE_ENDED, stamp_of(man.ns(47))
    episodes.publish(episode)
    for i, picture in last:
        man.send(i, picture)
    graph.wait(answer.done, "the bag")
    assert answer.result().success, answer.result().message
    demonstration = read_demonstration(tmp_path / "one")
    assert answer.result().n_samples == demonstration.n_samples == 40


def test_compressed_pictures_are_looked_at_and_kept_as_images(graph, tmp_path):
    man = Cameraman(graph, tmp_path, image_transport="compressed", record_images=True)
    man.show(range(8))
    assert man.start("a").success
    man.show(range(8, 53))
    outcome = man.stop()
    assert outcome.success, outcome.message
    with AnyReader([tmp_path / "a"]) as reader:
        (kept,) = [connection for connection in reader.connections if connection.topic == CAMERA_IMAGE]
        assert (kept.msgtype, kept.msgcount) == ("sensor_msgs/msg/Image", 45)


def test_pictures_that_say_nothing_are_refused_in_words(graph, tmp_path):
    man = Cameraman(graph, tmp_path)
    picture = man.hand.picture(man.hand.marker_pose(way(0), 1 / 30))
    man.send(0, picture, encoding="16UC1")
    man.status(DiagnosticStatus.ERROR, "image encoding '16UC1' is not supported")
    answer = man.start("a")
    assert not answer.success and "image encoding '16UC1'" in answer.message
    man.send(1, cv2.resize(picture, (320, 240)))
    man.status(DiagnosticStatus.ERROR, "the image is 320x240 but the calibration is for 640x480")
    man.send(2, picture, data=picture.tobytes())
    man.status(DiagnosticStatus.ERROR, "the driver publishes a broken image")
    man.send(3, np.zeros_like(picture))
    man.status(DiagnosticStatus.WARN, "the hand is not seen")
    assert [path.name for path in tmp_path.iterdir() if path.name in ("a", ".a.partial")] == []


def test_a_camera_that_is_unplugged_pauses_the_recording_and_loses_nothing(graph, tmp_path):
    man = Cameraman(graph, tmp_path, silence_timeout_s=4.0)
    man.show(range(8))
    assert man.start("a").success
    man.show(range(8, 48))
    graph.wait(lambda: man.states[-1].data == "paused", "the pause")
    man.status(DiagnosticStatus.ERROR, "no picture on /camera/image for 4 s: check the camera")
    answer = man.do("resume")
    assert not answer.success and "check the camera" in answer.message
    answer = man.stop()
    assert answer.success, answer.message
    assert read_demonstration(tmp_path / "a").n_samples == 40
    again = man.start("a")
    assert not again.success and "no picture" in again.message


def test_the_time_that_is_spent_on_a_picture_is_no_silence_of_the_camera(monkeypatch):
    """The hand model may take seconds for its first picture, and a film waits until that has been looked at."""
    now_s = [100.0]
    monkeypatch.setattr(hand_demo_recorder.time, "monotonic", lambda: now_s[0])
    node = MagicMock(_auto=False, _last_picture_s=now_s[0])

    def look(_message, _depth):
        now_s[0] += 10.0

    node._sight.look.side_effect = look
    HandDemoRecorder._look(node, [(Image(), None)])
    assert node._last_picture_s == 110.0


def test_without_a_camera_pose_the_motion_is_in_the_cameras_own_frame(graph, tmp_path):
    man = Cameraman(graph, tmp_path, camera_position_m="0,0,0", camera_quaternion_xyzw="0,0,0,1", camera_frame="eye")
    man.show(range(8))
    assert man.start("a").success
    man.show(range(8, 40))
    assert man.stop().success
    demonstration = read_demonstration(tmp_path / "a")
    assert demonstration.frame_id == "eye"
    in_camera = CAMERA.inverse.apply(np.array([way(i) for i in range(8, 40)]))
    assert np.linalg.norm(demonstration.position_m - in_camera, axis=1)[:28].max() < 3e-3


def test_a_clock_that_is_set_back_and_a_foreign_camera_are_said(graph, tmp_path):
    save_extrinsics(tmp_path / "extrinsics.json", "base", "other_eye", CAMERA)
    man = Cameraman(graph, tmp_path, extrinsics_file=tmp_path / "extrinsics.json", base_frame="base")
    man.show(range(8))
    assert man.start("a").success
    man.show(range(8, 48))
    man.show(range(20, 28))  # 0.9 s back
    man.status(DiagnosticStatus.ERROR, "8 pictures came with stamps before the newest and were left out")
    answer = man.stop()
    assert answer.success and answer.n_samples == 40 and "was a clock set back?" in answer.message
    assert read_demonstration(tmp_path / "a").frame_id == "base"
    warning = "the pictures are of 'eye', but extrinsics_file is for 'other_eye'"
    assert graph.output("hand_demo_recorder").count(warning) == 1


@pytest.mark.skipif(not prepared_path().exists(), reason="the hand model is not prepared: sac-gmm hands prepare")
def test_depth_that_is_asked_for_and_does_not_come_is_said(graph, tmp_path):
    man = Cameraman(graph, tmp_path, backend="mediapipe", use_depth=True)
    for i in range(45):
        man.send(i, np.zeros((480, 640), np.uint8))
        if i % 8 == 7 and i > 8:
            man.until_looked_at(i - 8)  # eight wait for their depth
    man.status(DiagnosticStatus.ERROR, "no depth matching the pictures arrives on /camera/depth")


def test_killed_in_the_middle_all_but_the_last_moment_is_there(graph, tmp_path):
    man = Cameraman(graph, tmp_path)
    man.show(range(8))
    assert man.start("a").success
    partial = tmp_path / ".a.partial"
    step = 8

    def two_seconds_are_safe():
        nonlocal step
        man.show(range(step, step + 8))
        step += 8
        return step > 68 and saved_so_far(partial, "/hand/pose") >= 60

    graph.wait(two_seconds_are_safe, "two seconds of film on the disk while more are coming")
    recorder = graph.processes.pop("hand_demo_recorder")
    recorder.kill()
    recorder.wait(120.0)
    assert partial.exists() and not (tmp_path / "a").exists()

    from sac_gmm.demos.bags.salvage import salvage

    salvage(partial, tmp_path / "saved")
    stamps_ns, _, _ = read_hand_track(tmp_path / "saved")
    assert len(stamps_ns) >= 60
    assert np.diff(stamps_ns).max() < 2 * PERIOD_NS


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"backend": "eyes"}, ["backend", "mediapipe"]),
        ({"marker_id": 700}, ["marker id 700", "DICT_4X4_50"]),
        ({"camera_position_m": "1,2"}, ["camera_position_m", "3 numbers"]),
        ({"extrinsics_file": "/nowhere.json"}, ["/nowhere.json"]),
        ({"extrinsics_file": "config/hand_camera.json", "base_frame": "base"}, ["'base'", "'lbr_link_0'"]),
        (
            {"camera_position_m": "0,0,0", "camera_quaternion_xyzw": "0,0,0,1", "base_frame": "lbr_link_0"},
            ["base_frame = 'lbr_link_0'", "the camera's pose in it is unknown"],
        ),
    ],
)
def test_bad_parameters_end_the_node_with_a_sentence(graph, tmp_path, parameters, words):
    process = graph.start("hand_demo_recorder", folder=tmp_path, **(PARAMETERS | parameters))
    assert process.wait(120.0) == 2
    assert all(word in graph.output("hand_demo_recorder") for word in words)
    assert "Traceback" not in graph.output("hand_demo_recorder")


def test_a_film_becomes_a_demonstration_without_a_camera(graph, tmp_path):
    hand = SimulatedHand(0, CAMERA, wobble_rad=0.03)
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 30.0, (640, 480))
    for i in range(60):
        picture = hand.picture(hand.marker_pose(way(i), 1 / 30))
        writer.write(cv2.cvtColor(picture, cv2.COLOR_GRAY2BGR))
    writer.release()
    recorder = graph.start(
        "hand_demo_recorder",
        folder=tmp_path,
        **(PARAMETERS | {"task": "wave", "auto_episode": True, "silence_timeout_s": 3.0}),
    )
    film = graph.start("film_source", film=tmp_path / "film.avi", focal_px=600, reliable_images=True)
    graph.wait(lambda: film.poll() == 0, "the end of the film")
    graph.wait(lambda: recorder.poll() == 0, "the end of the recorder")
    (bag,) = (tmp_path / "wave").iterdir()
    demonstration = read_demonstration(bag)
    assert demonstration.n_samples >= 58
    assert np.linalg.norm(demonstration.position_m[5:55] - [way(i) for i in range(5, 55)], axis=1).max() < 5e-3


def test_a_film_without_a_hand_ends_with_a_sentence(graph, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 30.0, (640, 480))
    for _ in range(20):
        writer.write(np.zeros((480, 640, 3), np.uint8))
    writer.release()
    recorder = graph.start(
        "hand_demo_recorder", folder=tmp_path, **(PARAMETERS | {"auto_episode": True, "silence_timeout_s": 3.0})
    )
    film = graph.start("film_source", film=tmp_path / "film.avi", reliable_images=True, stay=True)
    assert recorder.wait(120.0) == 1
    assert film.poll() is None, "it stays until it is stopped"
    assert "nothing was recorded: no hand was seen" in graph.output("hand_demo_recorder")


@pytest.mark.slow
def test_a_film_that_is_not_there_ends_the_launch(graph, tmp_path):
    arguments = ["launch/record_film.launch.yaml", f"film:={tmp_path}/none.mp4", "backend:=marker"]
    code = f"import sys; from sac_gmm.cli import up; sys.exit(up.main({[*arguments, f'folder:={tmp_path}']!r}))"
    assert graph.run("launch", [sys.executable, "-c", code]).wait(120.0) != 0
    output = graph.output("launch")
    assert "none.mp4: there is no such film" in output
    assert "no picture" not in output and "nobody publishes" not in output, "nothing else is to blame"


@pytest.mark.slow
@pytest.mark.skipif(not CLIP.exists(), reason=f"the real footage {CLIP} is not here")
@pytest.mark.skipif(not prepared_path().exists(), reason="the hand model is not prepared: sac-gmm hands prepare")
def test_real_footage_of_a_bare_hand_is_recorded_over_the_topics(graph, tmp_path):
    recorder = graph.start(
        "hand_demo_recorder", folder=tmp_path, auto_episode=True, silence_timeout_s=3.0, reliable_images=True
    )
    graph.start("film_source", film=CLIP, pace=10.0, reliable_images=True)
    graph.wait(lambda: recorder.poll() == 0, "the end of the recorder")
    (bag,) = (tmp_path / "untitled").iterdir()
    quality = yaml.safe_load((bag / "episode.yaml").read_text())["quality"]
    assert quality["frames"] == 325, "every picture of the film, to the last"
    assert quality["seen"] >= 0.99 * quality["frames"] and quality["dropped"] == 0
    demonstration = read_demonstration(bag)
    assert demonstration.duration_s == pytest.approx(12.9, abs=0.15)
    with AnyReader([bag]) as reader:
        counts = {connection.topic: connection.msgcount for connection in reader.connections}
    assert counts["/hand/landmarks"] == quality["seen"] and counts["/gripper"] == demonstration.n_samples


def test_a_film_that_is_none_ends_the_source_with_a_sentence(graph, tmp_path):
    (tmp_path / "film.mp4").write_text("no film")
    process = graph.start("film_source", film=tmp_path / "film.mp4")
    assert process.wait(120.0) == 2
    assert "cannot be read as a film" in graph.output("film_source")
