import contextlib
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rosbags.highlevel import AnyReader

from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeBagWriter, EpisodeInfo, header_stamp_ns, read_demonstration, write_demonstration
from sac_gmm.demos.bags.message_types import POSE, TWIST, pose_stamped, twist_stamped, typestore


def write_bag(path, poses=(), targets=(((0.0, 0.0, 0.0), 0),), topics=None, frames=("base", "base")):
    """A bag from [(position, stamp_ns), ...]."""
    topics = topics or {"/state/pose": POSE, "/target_pose": POSE}
    pose_topic, target_topic = list(topics)[:2]
    with EpisodeBagWriter(path, topics, EpisodeInfo("door")) as writer:
        for position, stamp_ns in targets:
            writer.write(target_topic, pose_stamped(stamp_ns, frames[1], position))
        for position, stamp_ns in poses:
            writer.write(pose_topic, pose_stamped(stamp_ns, frames[0], position))
    return path


def line(n=10, start_ns=0):
    return [((0.01 * i, 0.0, 0.0), start_ns + i * 33_333_333) for i in range(n)]


def test_what_is_written_is_read_back(tmp_path, make_demonstration):
    demonstration = make_demonstration()
    path = write_demonstration(tmp_path / "door_00", demonstration)
    for source in (path, path / "door_00.mcap"):
        again = read_demonstration(source)
        assert np.array_equal(again.position_m, demonstration.position_m)
        assert np.array_equal(again.target_m, demonstration.target_m)
        assert np.allclose(again.time_s, demonstration.time_s - demonstration.time_s[0], atol=2e-9)
        assert np.allclose(again.velocity_m_s, demonstration.velocity_m_s)
        assert (again.frame_id, again.task, again.meta["operator"]) == ("base", "door", "tester")
    assert [p.name for p in tmp_path.iterdir()] == ["door_00"]


def test_sidecar_counts_and_names(tmp_path):
    poses = [p for i, p in enumerate(line(20)) if i not in (7, 8)]
    path = tmp_path / "bag"
    with EpisodeBagWriter(
        path, {"/state/pose": POSE, "/target_pose": POSE}, EpisodeInfo("door", "ann", {"seed": 4})
    ) as writer:
        writer.write("/target_pose", pose_stamped(0, "base", [0, 0, 0]))
        for position, stamp in poses:
            writer.write("/state/pose", pose_stamped(stamp, "base", position))
    sidecar = yaml.safe_load((path / "episode.yaml").read_text())
    assert (sidecar["task"], sidecar["operator"], sidecar["seed"]) == ("door", "ann", 4)
    assert sidecar["topics"]["/state/pose"] == {
        "type": POSE,
        "frame_id": "base",
        "count": 18,
        "rate_hz": 30.0,
        "dropped": 2,
        "longest_gap_s": 0.1,
    }
    assert "sac_gmm" in sidecar["software"]


def test_the_target_stays_latched_for_players(tmp_path):
    write_bag(tmp_path / "bag", line())
    with AnyReader([tmp_path / "bag"]) as reader:
        durability = {c.topic: c.ext.offered_qos_profiles[0].durability.name for c in reader.connections}
    assert durability == {"/state/pose": "VOLATILE", "/target_pose": "TRANSIENT_LOCAL"}


def test_raw_bytes_are_stored_unchanged(tmp_path):
    raw = [bytes(typestore().serialize_cdr(twist_stamped(i * 10**8, "base", [i, 0, 0]), TWIST)) for i in range(5)]
    with EpisodeBagWriter(tmp_path / "bag", {"/command/twist": TWIST}) as writer:
        for data in raw:
            writer.write("/command/twist", data)
    with AnyReader([tmp_path / "bag"]) as reader:
        assert [bytes(data) for _, _, data in reader.messages()] == raw
        assert [stamp for _, stamp, _ in reader.messages()] == [i * 10**8 for i in range(5)]


@given(st.integers(0, 2**31 - 1), st.integers(0, 10**9 - 1))
def test_header_stamp_is_read_from_the_bytes(seconds, nanoseconds):
    stamp = seconds * 10**9 + nanoseconds
    message = pose_stamped(stamp, "some_frame", [1, 2, 3])
    for little in (True, False):
        data = bytes(typestore().serialize_cdr(message, POSE, little_endian=little))
        assert header_stamp_ns(data) == stamp


def test_topics_in_a_namespace_and_repeated_states_are_understood(tmp_path):
    poses = [pose for pose in line() for _ in range(3)]  # a held state is published again with the same stamp
    topics = {"/lbr/state/pose": POSE, "/lbr/target_pose": POSE}
    demonstration = read_demonstration(write_bag(tmp_path / "bag", poses, topics=topics))
    assert demonstration.n_samples == 10
    assert np.allclose(demonstration.velocity_m_s, [0.3, 0, 0]), "without a twist topic: difference quotient"


def test_the_last_target_counts(tmp_path):
    bag = write_bag(tmp_path / "bag", line(), targets=[((9, 9, 9), 0), ((0.5, 0, 0), 1)])
    assert read_demonstration(bag).target_m.tolist() == [0.5, 0, 0]


def test_missing_bag(tmp_path):
    with pytest.raises(UserError, match=r"nowhere: there is no such bag"):
        read_demonstration(tmp_path / "nowhere")


def test_folder_that_is_no_bag(tmp_path):
    with pytest.raises(UserError, match=r"is not a bag: it has no metadata.yaml and 0 .mcap files"):
        read_demonstration(tmp_path)


def test_file_that_is_no_bag(tmp_path):
    (tmp_path / "notes.mcap").write_text("hello")
    with pytest.raises(UserError, match=r"notes.mcap cannot be read"):
        read_demonstration(tmp_path / "notes.mcap")


def test_a_file_that_cannot_be_read_is_not_called_damaged(tmp_path):
    path = write_bag(tmp_path / "bag", line())
    (path / "metadata.yaml").unlink()
    (path / "metadata.yaml").mkdir()
    with pytest.raises(UserError, match=r"cannot read .*metadata\.yaml: Is a directory$"):
        read_demonstration(path)


def test_nan_is_named_by_topic_and_sample(tmp_path):
    poses = line()
    poses[4] = ((float("nan"), 0, 0), poses[4][1])
    with pytest.raises(UserError, match=r"bag: sample 4 of /state/pose holds a number that is not finite"):
        read_demonstration(write_bag(tmp_path / "bag", poses))


def test_nan_in_the_target(tmp_path):
    with pytest.raises(UserError, match=r"sample 0 of /target_pose"):
        read_demonstration(write_bag(tmp_path / "bag", line(), targets=[((0, float("inf"), 0), 0)]))


def test_two_samples(tmp_path):
    with pytest.raises(UserError, match=r"/state/pose holds 2 samples, expected at least 3"):
        read_demonstration(write_bag(tmp_path / "bag", line(2)))


def test_a_clock_that_stands_still(tmp_path):
    with pytest.raises(UserError, match=r"holds 1 different stamps.*the clock stood still"):
        read_demonstration(write_bag(tmp_path / "bag", [((0, 0, 0), 0)] * 5))


def test_a_clock_that_runs_backwards(tmp_path):
    poses = line(5, start_ns=10**9)
    path = tmp_path / "bag"
    with EpisodeBagWriter(path, {"/state/pose": POSE, "/target_pose": POSE}) as writer:
        writer.write("/target_pose", pose_stamped(0, "base", [0, 0, 0]))
        for i, (position, stamp) in enumerate([*poses, ((0, 0, 0), 0)]):
            writer.write("/state/pose", pose_stamped(stamp, "base", position), log_time_ns=i)
    with pytest.raises(UserError, match=r"the stamp of sample 5 of /state/pose lies .* before"):
        read_demonstration(path)


def test_missing_target(tmp_path):
    with pytest.raises(UserError, match=r"/target_pose holds no message"):
        read_demonstration(write_bag(tmp_path / "bag", line(), targets=[]))


def test_missing_topic(tmp_path):
    topics = {"/state/pose": POSE, "/other": POSE}
    with pytest.raises(UserError, match=r"topic /target_pose is missing; the bag has /other, /state/pose"):
        read_demonstration(write_bag(tmp_path / "bag", line(), topics=topics))


def test_wrong_type(tmp_path):
    with EpisodeBagWriter(tmp_path / "bag", {"/state/pose": TWIST, "/target_pose": POSE}) as writer:
        writer.write("/state/pose", twist_stamped(0, "base", [0, 0, 0]))
    with pytest.raises(UserError, match=r"/state/pose is a geometry_msgs/msg/TwistStamped, expected geometry_msgs"):
        read_demonstration(tmp_path / "bag")


def test_frames_that_disagree(tmp_path):
    with pytest.raises(UserError, match=r"sample 0 of /target_pose is in frame 'camera', expected 'base'"):
        read_demonstration(write_bag(tmp_path / "bag", line(), frames=("base", "camera")))


def test_a_twist_in_the_frame_of_the_tool_is_not_taken_for_one_in_the_base(tmp_path):
    topics = {"/state/pose": POSE, "/target_pose": POSE, "/state/twist": TWIST}
    with EpisodeBagWriter(tmp_path / "bag", topics, EpisodeInfo("door")) as writer:
        writer.write("/target_pose", pose_stamped(0, "base", (0.0, 0.0, 0.0)))
        for position, stamp_ns in line():
            writer.write("/state/pose", pose_stamped(stamp_ns, "base", position))
            writer.write("/state/twist", twist_stamped(stamp_ns, "tool0", (0.0, 0.0, 0.3)))
    assert np.allclose(read_demonstration(tmp_path / "bag").velocity_m_s, [0.3, 0, 0])


def test_two_robots(tmp_path):
    topics = {"/a/state/pose": POSE, "/target_pose": POSE, "/b/state/pose": POSE}
    with pytest.raises(UserError, match=r"/a/state/pose and /b/state/pose could both be"):
        read_demonstration(write_bag(tmp_path / "bag", line(), topics=topics))


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(data=st.data())
def test_a_damaged_bag_is_an_error_for_people_or_still_reads(tmp_path, data, tmp_path_factory):
    whole = tmp_path / "bag"
    if not whole.exists():
        write_bag(whole, line())
    damaged = tmp_path_factory.mktemp("damaged") / "bag.mcap"
    content = bytearray((whole / "bag.mcap").read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
        damaged.write_bytes(content)
        with pytest.raises(UserError, match="cut short"):
            read_demonstration(damaged)
    else:
        content[data.draw(st.integers(0, len(content) - 1))] ^= data.draw(st.integers(1, 255))
        damaged.write_bytes(content)
        with contextlib.suppress(UserError):
            read_demonstration(damaged)


def test_nothing_is_overwritten(tmp_path, make_demonstration):
    path = write_demonstration(tmp_path / "bag", make_demonstration())
    before = {file.name: file.read_bytes() for file in path.iterdir()}
    with pytest.raises(UserError, match="never overwritten"):
        write_demonstration(path, make_demonstration(seed=1))
    assert {file.name: file.read_bytes() for file in path.iterdir()} == before


def test_a_name_taken_while_recording_is_not_overwritten(tmp_path):
    writer = EpisodeBagWriter(tmp_path / "bag", {"/state/pose": POSE})
    writer.write("/state/pose", pose_stamped(0, "base", [0, 0, 0]))
    (tmp_path / "bag").mkdir()
    with pytest.raises(UserError, match="was created in the meantime; the recording is kept in"):
        writer.close()
    assert (writer.partial_path / "bag.mcap").exists()


def test_a_partial_folder_that_another_recorder_makes_meanwhile_is_left_to_it(tmp_path, monkeypatch):
    theirs, make = tmp_path / ".bag.partial", Path.mkdir

    def another_was_faster(folder, *args, **kwargs):
        if folder == theirs and not theirs.exists():
            make(theirs)
            (theirs / "recording").write_text("alive")
        make(folder, *args, **kwargs)

    monkeypatch.setattr(Path, "mkdir", another_was_faster)
    with EpisodeBagWriter(tmp_path / "bag", {"/state/pose": POSE}) as writer:
        writer.write("/state/pose", pose_stamped(0, "base", [0, 0, 0]))
        assert writer.partial_path == tmp_path / ".bag.1.partial"
    assert (theirs / "recording").read_text() == "alive"


def test_the_bag_appears_only_when_it_is_complete(tmp_path):
    with EpisodeBagWriter(tmp_path / "bag", {"/state/pose": POSE}) as writer:
        writer.write("/state/pose", pose_stamped(0, "base", [0, 0, 0]))
        assert not (tmp_path / "bag").exists()
        assert writer.counts == {"/state/pose": 1}
    assert (tmp_path / "bag" / "metadata.yaml").exists()
    assert [p.name for p in tmp_path.iterdir()] == ["bag"]


def test_discarding_leaves_nothing(tmp_path):
    writer = EpisodeBagWriter(tmp_path / "bag", {"/state/pose": POSE})
    writer.write("/state/pose", pose_stamped(0, "base", [0, 0, 0]))
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_an_empty_recording_is_refused(tmp_path):
    writer = EpisodeBagWriter(tmp_path / "bag", {"/state/pose": POSE})
    with pytest.raises(UserError, match="nothing was recorded"):
        writer.close()
    assert list(tmp_path.iterdir()) == []


def test_unknown_topics_and_types_are_named(tmp_path):
    with pytest.raises(UserError, match=r"/x \(lab_msgs/msg/Thing\)"):
        EpisodeBagWriter(tmp_path / "bag", {"/x": "lab_msgs/msg/Thing"})
    with EpisodeBagWriter(tmp_path / "bag", {"/state/pose": POSE}) as writer:
        writer.write("/state/pose", pose_stamped(0, "base", [0, 0, 0]))
        with pytest.raises(UserError, match="has no topic /x"):
            writer.write("/x", b"")


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match=r"cannot write .*file/bag"):
        EpisodeBagWriter(tmp_path / "file" / "bag", {"/state/pose": POSE})


WRITER_ON_A_FULL_DISK = """
import resource, sys
from sac_gmm.demos import EpisodeBagWriter
from sac_gmm.demos.bags.message_types import POSE, pose_stamped
from sac_gmm.core.errors import UserError
resource.setrlimit(resource.RLIMIT_FSIZE, (30_000, 30_000))
writer = EpisodeBagWriter(sys.argv[1], {"/state/pose": POSE})
try:
    for i in range(200_000):
        writer.write("/state/pose", pose_stamped(i * 10**7, "base", [i**0.5, i**1.5, i**2.5]))
    writer.close()
except UserError as error:
    print(error)
"""


def test_a_disk_that_takes_no_more_ends_the_recording_with_a_sentence(tmp_path):
    ended = subprocess.run(
        [sys.executable, "-c", WRITER_ON_A_FULL_DISK, str(tmp_path / "bag")], capture_output=True, text=True
    )
    assert ended.returncode == 0, ended.stderr
    assert "cannot write" in ended.stdout and "what was recorded so far is kept in" in ended.stdout
    assert "Traceback" not in ended.stderr
    assert not (tmp_path / "bag").exists()
    assert (tmp_path / ".bag.partial" / "bag" / "bag.mcap").stat().st_size > 0


@pytest.mark.parametrize("compress", [True, False])
def test_a_bag_names_the_distribution_of_its_messages(tmp_path, compress):
    """Beside the file and in it, whichever a tool reads."""
    topics = {"/state/pose": POSE}
    with EpisodeBagWriter(tmp_path / "bag", topics, EpisodeInfo("door"), compress=compress) as writer:
        writer.write("/state/pose", pose_stamped(1, "base", (0.0, 0.0, 0.0)))
    information = yaml.safe_load((tmp_path / "bag" / "metadata.yaml").read_text())["rosbag2_bagfile_information"]
    assert information["ros_distro"] == "jazzy"
    held = (tmp_path / "bag" / information["files"][0]["path"]).read_bytes()
    assert b"ros_distro: jazzy" in held and b"ros_distro: rosbags" not in held
