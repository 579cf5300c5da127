import datetime
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import yaml
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import StoragePlugin, Writer
from scipy.spatial.transform import Rotation
from tests.demos.foreign import without_slashes

from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeInfo, read_demonstration
from sac_gmm.demos.bags.message_types import IMAGE, twist_stamped, typestore
from sac_gmm.demos.hands.hand_bag import read_hand_track
from sac_gmm.demos.hands.hand_recorder import HandRecorder, RecorderState, check_same_setup, next_episode_path
from sac_gmm.perception.extrinsics import RigidTransform
from sac_gmm.perception.hands import CleaningSettings, HandPose, Retargeting

PERIOD_NS = 33_333_333
CAMERA = RigidTransform.of([1.0, 0.0, 0.5], Rotation.from_euler("xyz", [-2.0, 0.0, 1.0]).as_quat())
TOOL = RigidTransform.of([0.0, 0.08, -0.05])
RETARGETING = Retargeting(CAMERA, TOOL, "base", "eye")


def pose_at(i, opening_m=0.06):
    s = np.clip(i / 90, 0, 1)
    rotation = Rotation.from_euler("xyz", [3.0, 0.3 * s, 0.2]).as_matrix()
    position = np.array([-0.1 + 0.2 * s, 0.05 * np.sin(3 * s), 0.6 - 0.1 * s])
    return HandPose(position, rotation, 0.9, "marker", opening_m)


def recorder(**settings):
    return HandRecorder(RETARGETING, "palm", CleaningSettings(), {"tracker": "marker", **settings})


def show(recorder_, steps, lost=()):
    for i in steps:
        recorder_.take(10**9 + i * PERIOD_NS, None if i in lost else pose_at(i, 0.06 if i < 50 else 0.01))


def test_an_episode_becomes_a_demonstration_in_the_base_frame(tmp_path):
    hand = recorder()
    assert hand.state is RecorderState.IDLE
    hand.start(tmp_path / "a", EpisodeInfo("door", "ann"))
    assert hand.state is RecorderState.RECORDING and not (tmp_path / "a").exists()
    show(hand, range(100), lost=(30, 31))
    recording = hand.save([0.5, 0.0, 0.2], "a topic")
    assert hand.state is RecorderState.IDLE and recording.problems == ()
    demonstration = read_demonstration(tmp_path / "a")
    assert (demonstration.frame_id, demonstration.task, demonstration.n_samples) == ("base", "door", 100)
    assert demonstration.target_m.tolist() == [0.5, 0.0, 0.2]
    for i in (0, 30, 70, 99):
        pose = pose_at(i)
        expected = (CAMERA @ RigidTransform(pose.position_m, pose.rotation) @ TOOL).position_m
        assert np.linalg.norm(demonstration.position_m[i] - expected) < 2e-3
    sidecar = yaml.safe_load((tmp_path / "a" / "episode.yaml").read_text())
    assert sidecar["quality"]["frames"] == 100 and sidecar["quality"]["seen"] == 98
    assert sidecar["quality"]["filled"] == 2 and sidecar["target_from"] == "a topic"
    assert sidecar["setup"]["tracker"] == "marker" and sidecar["operator"] == "ann"
    assert sidecar["topics"]["/gripper"]["count"] == 100


def test_what_was_seen_can_be_read_again_and_made_into_another_motion(tmp_path):
    hand = recorder()
    hand.start(tmp_path / "a")
    show(hand, range(100), lost=(30,))
    hand.save()
    stamps_ns, track, target = read_hand_track(tmp_path / "a")
    assert len(stamps_ns) == 99 and stamps_ns[0] == 10**9
    assert np.allclose(track.position_m[50], pose_at(51).position_m)
    assert np.allclose(track.rotation[50], pose_at(51).rotation)
    assert track.opening_m[[0, -1]].tolist() == [0.06, 0.01]
    demonstration = read_demonstration(tmp_path / "a")
    assert np.allclose(target, demonstration.position_m[-1]), "without a target it is where the motion ends"


def test_what_was_seen_is_read_without_leading_slashes_too(tmp_path):
    hand = recorder()
    hand.start(tmp_path / "a")
    show(hand, range(100))
    hand.save([0.5, 0.0, 0.2])
    stamps_ns, _, target = read_hand_track(without_slashes(tmp_path / "a", tmp_path / "b"))
    assert len(stamps_ns) == 100 and target.tolist() == [0.5, 0.0, 0.2]


def test_a_pause_is_cut_out_of_the_motion(tmp_path):
    hand = recorder()
    hand.start(tmp_path / "a")
    show(hand, range(50))
    hand.pause()
    show(hand, range(50, 80))
    hand.resume()
    for i in range(50, 100):
        hand.take(10**9 + (i + 300) * PERIOD_NS, pose_at(i))
    recording = hand.save()
    demonstration = read_demonstration(tmp_path / "a")
    assert demonstration.n_samples == 100 and recording.problems == ()
    assert demonstration.duration_s == pytest.approx(99 / 30, abs=1e-3)

    hand.start(tmp_path / "b")
    show(hand, range(40))
    hand.pause()
    hand.resume()
    show(hand, range(80, 100))
    assert any("moved" in problem and "while the recording was paused" in problem for problem in hand.save().problems)


def test_pictures_from_before_the_last_one_are_counted_and_said(tmp_path):
    hand = recorder()
    hand.start(tmp_path / "a")
    show(hand, range(60))
    show(hand, [59])  # sent again, which is no fault
    assert hand.set_back == 0
    show(hand, range(40, 60))
    assert hand.set_back == 19
    show(hand, range(60, 80))
    recording = hand.save()
    assert recording.motion.time_s.size == 80 and hand.set_back == 0
    assert recording.problems == (
        "19 pictures came with stamps before the newest and were left out: was a clock set back?",
    )
    assert recording.motion.quality.dropped == 19 and "19 dropped" in recording.summary()
    assert yaml.safe_load((tmp_path / "a" / "episode.yaml").read_text())["quality"]["dropped"] == 19
    hand.start(tmp_path / "b")
    show(hand, range(60))
    assert hand.save().problems == (), "it is counted anew"


def test_a_stamp_that_runs_back_by_a_millisecond_is_no_clock_that_was_set_back(tmp_path):
    hand = recorder()
    hand.start(tmp_path / "a")
    for i in range(100):
        stamp_ns = 10**9 + i * PERIOD_NS
        hand.take(stamp_ns - PERIOD_NS - 1_000_000 if i % 20 == 7 else stamp_ns, pose_at(i))
        if i == 50:
            hand.pause()
            hand.resume()
    assert hand.set_back == 0
    recording = hand.save()
    assert recording.problems == () and recording.motion.quality.seen == 95
    again = read_demonstration(tmp_path / "a")
    assert np.abs(np.diff(again.velocity_m_s, axis=0)).max() < 0.1, "no speed comes out of nothing"


@pytest.mark.parametrize(("every", "share"), [(100, 1), (3, 34), (1, None)])
def test_depth_that_was_asked_for_and_not_used_is_said(tmp_path, every, share):
    hand = HandRecorder(RETARGETING, "palm", use_depth=True)
    hand.start(tmp_path / "a")
    for i in range(100):
        hand.take(10**9 + i * PERIOD_NS, replace(pose_at(i), size_from="palm width" if i % every else "depth"))
    said = [problem for problem in hand.save().problems if "depth was asked for" in problem]
    assert len(said) == (share is not None) and all(f"only {share} %" in problem for problem in said)


def test_the_words_that_do_not_fit_the_state_are_refused(tmp_path):
    hand = recorder()
    for word in ("pause", "resume", "save", "discard"):
        with pytest.raises(UserError, match="while idle"):
            getattr(hand, word)()
    hand.start(tmp_path / "a")
    with pytest.raises(UserError, match="cannot start an episode while recording"):
        hand.start(tmp_path / "b")
    with pytest.raises(UserError, match="cannot resume while recording"):
        hand.resume()
    hand.discard()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_overwritten_and_a_crash_leaves_what_there_was(tmp_path):
    hand = recorder()
    hand.start(tmp_path / "a")
    show(hand, range(60))
    left = hand.abandon()
    assert left == tmp_path / ".a.partial" and find_storage(left)
    hand.start(tmp_path / "a")
    show(hand, range(60))
    hand.save()
    before = (tmp_path / "a" / "a.mcap").read_bytes()
    with pytest.raises(UserError, match="never overwritten"):
        hand.start(tmp_path / "a")
    assert (tmp_path / "a" / "a.mcap").read_bytes() == before and left.exists()


def find_storage(folder):
    return [path for path in folder.rglob("*.mcap") if path.stat().st_size > 1000]


def test_an_episode_without_a_hand_is_not_kept(tmp_path):
    hand = recorder()
    hand.start(tmp_path / "a")
    show(hand, range(30), lost=range(30))
    with pytest.raises(UserError, match=r"a was not kept: no hand was seen in any of 30 pictures"):
        hand.save()
    assert list(tmp_path.iterdir()) == [] and hand.state is RecorderState.IDLE
    hand.start(tmp_path / "a")
    with pytest.raises(UserError, match="no picture came"):
        hand.save()


def test_a_folder_holds_episodes_of_one_setup(tmp_path):
    hand = recorder()
    hand.start(tmp_path / "a")
    show(hand, range(60))
    hand.save()
    recorder().start(tmp_path / "b")
    other = recorder(marker_size_m=0.08)
    with pytest.raises(UserError, match=r"marker_size_m = None, now it is 0\.08"):
        other.start(tmp_path / "c")
    other.start(tmp_path / "c", allow_mixed=True)
    check_same_setup(tmp_path / "nowhere", {})


def test_names_go_up_and_are_never_used_again(tmp_path):
    today = datetime.date(2024, 5, 6)
    assert next_episode_path(tmp_path, "door", today) == tmp_path / "door" / "20240506_000"
    (tmp_path / "door" / "20240506_004").mkdir(parents=True)
    (tmp_path / "door" / ".20240506_007.partial").mkdir()
    (tmp_path / "door" / "20240505_009").mkdir()
    assert next_episode_path(tmp_path, "door", today).name == "20240506_008"
    assert next_episode_path(tmp_path, "", today).parent.name == "untitled"


HAND_ON_A_FULL_DISK = """
import resource, sys
import numpy as np
from sac_gmm.demos.hands.hand_recorder import HandRecorder
from sac_gmm.core.errors import UserError
from sac_gmm.perception.hands import HandPose, Retargeting
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
hand = HandRecorder(Retargeting(), "palm")
hand.start(sys.argv[1])
rng = np.random.default_rng(0)
try:
    for i in range(20_000):
        hand.take(i * 10**7, HandPose(rng.normal(size=3), np.eye(3), 0.9, "marker"))
except UserError as error:
    print(error)
print(hand.state.value)
"""


def test_a_disk_that_takes_no_more_ends_the_episode_with_a_sentence(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", HAND_ON_A_FULL_DISK, str(tmp_path / "a")], capture_output=True, text=True, check=True
    )
    assert "cannot write" in ended.stdout and "what was recorded so far is kept in" in ended.stdout
    assert ended.stdout.splitlines()[-1] == "idle" and "Traceback" not in ended.stderr
    assert (tmp_path / ".a.partial").exists() and not (tmp_path / "a").exists()


def test_a_folder_that_cannot_be_written_to_is_refused_at_once(tmp_path):
    (tmp_path / "file").write_text("")
    hand = recorder()
    with pytest.raises(UserError, match=r"cannot write .*file/a"):
        hand.start(tmp_path / "file" / "a")
    assert hand.state is RecorderState.IDLE


def test_pictures_are_kept_even_where_no_hand_was_in_them(tmp_path):
    image = typestore().types[IMAGE](
        twist_stamped(10**9, "eye", [0, 0, 0]).header, 2, 2, "mono8", 0, 2, np.zeros(4, np.uint8)
    )
    data = bytes(typestore().serialize_cdr(image, IMAGE))
    hand = HandRecorder(RETARGETING, "palm", extra_topics={"/camera/image": IMAGE})
    hand.start(tmp_path / "a")
    hand.attach("/camera/image", data)
    show(hand, range(20), lost=range(20))
    with pytest.raises(UserError, match="its pictures are kept in"):
        hand.save()
    assert (tmp_path / ".a.partial").exists()
    hand.start(tmp_path / "b")
    hand.attach("/camera/image", data)
    show(hand, range(60))
    hand.save()
    assert yaml.safe_load((tmp_path / "b" / "episode.yaml").read_text())["topics"]["/camera/image"]["count"] == 1


def test_the_side_of_a_hand_is_kept_and_read_again(tmp_path):
    hand = recorder()
    hand.start(tmp_path / "a")
    for i in range(60):
        side, turn = ("left", np.diag([1.0, -1.0, -1.0])) if 10 <= i < 30 else ("right", np.eye(3))
        pose = pose_at(i)
        hand.take(10**9 + i * PERIOD_NS, replace(pose, side=side, rotation=pose.rotation @ turn))
    recording = hand.save()
    assert "right hand in 60 of 60 frames (100.0 %) (taken for the other one in 20)" in recording.summary()
    assert any(
        "in 20 of 60 frames it was taken for the other hand, not the right" in said for said in recording.problems
    )
    _, track, _ = read_hand_track(tmp_path / "a")
    assert track.sides == ["right"] * 10 + ["left"] * 20 + ["right"] * 30
    demonstration = read_demonstration(tmp_path / "a")
    expected = [(CAMERA @ RigidTransform(p.position_m, p.rotation) @ TOOL).position_m for p in map(pose_at, range(60))]
    assert np.linalg.norm(demonstration.position_m - expected, axis=1).max() < 2e-3


@pytest.mark.parametrize("quaternion", [(0.0, 0.0, 0.0, 0.0), (0.0, np.nan, 0.0, 1.0)])
def test_an_orientation_that_is_none_is_named(tmp_path, quaternion):
    """Programs that fill in positions alone leave four zeros."""
    hand = recorder()
    hand.start(tmp_path / "a")
    show(hand, range(10))
    hand.save()
    bag = with_quaternions(tmp_path / "a", tmp_path / "b", lambda i, q: quaternion if i == 7 else q)
    with pytest.raises(UserError, match=r"b: sample 7 of /hand/pose has .* is no pose"):
        read_hand_track(bag)


def test_quaternions_of_any_length_and_sign_are_the_same_rotation(tmp_path):
    hand = recorder()
    hand.start(tmp_path / "a")
    show(hand, range(10))
    hand.save()
    bag = with_quaternions(tmp_path / "a", tmp_path / "b", lambda i, q: (-1) ** i * 16384.0 * np.array(q))
    (_, before, _), (_, after, _) = read_hand_track(tmp_path / "a"), read_hand_track(bag)
    assert np.allclose(after.rotation, before.rotation)


def with_quaternions(bag, path, change):
    """A copy of a bag's hand topics in which the quaternions of the hand's poses are others."""
    store, number = typestore(), 0
    with AnyReader([bag]) as reader, Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        chosen = [c for c in reader.connections if c.topic in ("/hand/pose", "/hand/grip", "/target_pose")]
        to = {c.id: writer.add_connection(c.topic, c.msgtype, typestore=store) for c in chosen}
        for connection, log_ns, data in reader.messages(connections=chosen):
            message = reader.deserialize(data, connection.msgtype)
            if connection.topic == "/hand/pose":
                q = message.pose.orientation
                message.pose.orientation = type(q)(*map(float, change(number, (q.x, q.y, q.z, q.w))))
                number += 1
            writer.write(to[connection.id], log_ns, bytes(store.serialize_cdr(message, connection.msgtype)))
    return path
