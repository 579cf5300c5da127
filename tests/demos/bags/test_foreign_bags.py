"""Bags that `ros2 bag record` makes: storages, compression, names and types that are not our recorder's."""

from collections import Counter

import numpy as np
import pytest
from foreign import PERIOD_NS, STORAGES, foreign_bag, position
from rosbags.highlevel import AnyReader

from sac_gmm.cli.main import main
from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeBagWriter, EpisodeInfo, TopicNames, check_demonstration, read_demonstration
from sac_gmm.demos.bags.message_types import POSE, pose_stamped, typestore

NAMES = TopicNames("/ee/pose", "ee/twist", "/goal")


@pytest.mark.parametrize("storage", STORAGES)
def test_every_storage_and_compression_is_read_with_topics_by_name(tmp_path, storage):
    bag = foreign_bag(tmp_path / "bag", storage)
    demonstration = read_demonstration(bag, NAMES)
    assert np.array_equal(demonstration.position_m, [position(i) for i in range(90)])
    assert np.allclose(demonstration.velocity_m_s, [0.3, 0, 0])
    assert demonstration.target_m.tolist() == [1, 0, 0]


def test_the_names_that_are_missing_are_said_with_the_option(tmp_path):
    bag = foreign_bag(tmp_path / "bag")
    with pytest.raises(UserError, match=r"/state/pose is missing; the bag has /ee/pose, .*--pose-topic"):
        read_demonstration(bag)
    with pytest.raises(UserError, match=r"/grip is a lab_msgs/msg/Grip, expected geometry_msgs/msg/PoseStamped or"):
        read_demonstration(bag, TopicNames("/grip"))


def test_a_target_can_be_given_where_none_was_recorded(tmp_path):
    bag = foreign_bag(tmp_path / "bag")
    demonstration = read_demonstration(bag, TopicNames("/ee/pose", "/ee/twist", target=(0.1, 0.2, 0.3)))
    assert demonstration.target_m.tolist() == [0.1, 0.2, 0.3]


def test_other_types_that_hold_a_position_are_read(tmp_path):
    types = typestore().types
    kinds = {"/odometry": "nav_msgs/msg/Odometry", "/goal": "geometry_msgs/msg/PointStamped"}
    with EpisodeBagWriter(tmp_path / "bag", kinds) as writer:
        pose = pose_stamped(0, "base", [0.5, 0, 0])
        writer.write("/goal", types[kinds["/goal"]](pose.header, pose.pose.position))
        for i in range(10):
            pose = pose_stamped(i * PERIOD_NS, "base", [0.01 * i, 0, 0])
            with_covariance = types["geometry_msgs/msg/PoseWithCovariance"](pose.pose, np.zeros(36))
            zero = types["geometry_msgs/msg/Vector3"](0.0, 0.0, 0.0)
            twist = types["geometry_msgs/msg/Twist"](zero, zero)
            still = types["geometry_msgs/msg/TwistWithCovariance"](twist, np.zeros(36))
            writer.write("/odometry", types[kinds["/odometry"]](pose.header, "ee", with_covariance, still))
    demonstration = read_demonstration(tmp_path / "bag", TopicNames("/odometry", target_topic="/goal"))
    assert np.allclose(demonstration.velocity_m_s, [0.3, 0, 0])
    assert demonstration.target_m.tolist() == [0.5, 0, 0]


def test_a_bag_of_several_files_is_one_demonstration(tmp_path):
    """As `ros2 bag record -d` splits them."""
    import shutil

    import yaml

    first, second = foreign_bag(tmp_path / "a", samples=50), foreign_bag(tmp_path / "b", samples=50)
    shutil.copy(second / "b.mcap", first / "b.mcap")
    metadata = yaml.safe_load((first / "metadata.yaml").read_text())
    metadata["rosbag2_bagfile_information"]["relative_file_paths"] = ["a.mcap", "b.mcap"]
    (first / "metadata.yaml").write_text(yaml.safe_dump(metadata))
    with pytest.raises(UserError, match=r"the stamp of sample 50 of /ee/pose lies .* before"):
        read_demonstration(first, NAMES)  # the second file is read as well: it repeats the first


def test_messages_without_a_header_stand_where_they_came(tmp_path):
    kinds = {"/state/pose": POSE, "/note": "std_msgs/msg/String"}
    with EpisodeBagWriter(tmp_path / "bag", kinds) as writer:
        writer.write("/state/pose", pose_stamped(5, "base", [0, 0, 0]))
        writer.write("/note", typestore().types["std_msgs/msg/String"]("here"), log_time_ns=7)
    assert writer.counts == {"/state/pose": 1, "/note": 1}


def bag_of_stamps(path, stamps_ns):
    with EpisodeBagWriter(path, {"/state/pose": POSE}) as writer:
        for i, stamp_ns in enumerate(stamps_ns):
            writer.write("/state/pose", pose_stamped(int(stamp_ns), "base", [0.001 * i, 0, 0]))
    return path


def test_of_stamps_in_bursts_the_last_is_read(tmp_path):
    i = np.arange(120)
    stamps = 10**18 + i // 3 * 12_000_000 + i % 3 * 900
    demonstration = read_demonstration(bag_of_stamps(tmp_path / "bag", stamps), TopicNames(target=(0, 0, 0)))
    assert demonstration.position_m[:, 0] == pytest.approx(0.001 * i[2::3])
    assert demonstration.meta["in_bursts"] == 80
    assert np.abs(demonstration.velocity_m_s[:, 0] - 0.25).max() < 1e-3


def test_stamps_of_two_clocks_are_refused(tmp_path):
    stamps = np.concatenate((np.arange(5) * PERIOD_NS, 17 * 10**17 + np.arange(50) * PERIOD_NS))
    with pytest.raises(UserError, match=r"sample 5 of /state/pose is stamped 17\d* s after .* mixes clocks"):
        read_demonstration(bag_of_stamps(tmp_path / "bag", stamps), TopicNames(target=(0, 0, 0)))


def appended_bag(path, began_anew_ns, targets=(0, 2), parts=3):
    """Motions in one file, the time of each beginning anew, as they came or with the stamps as times of the bag."""
    topics = {"/state/pose": POSE, "/target_pose": POSE, "/note": "std_msgs/msg/String"}
    with EpisodeBagWriter(path, topics, EpisodeInfo("door", extra={"episode_end_ns": 10**18})) as writer:
        for part in range(parts):
            if part in targets:  # said while no motion is recorded
                writer.write("/target_pose", pose_stamped(0, "base", [part, 0, 0]), log_time_ns=part * began_anew_ns)
            for i in range(60):
                log_ns = i * PERIOD_NS + part * began_anew_ns
                pose = pose_stamped(i * PERIOD_NS, "base", [0.005 * i, 0.1 * part, 0.0])
                writer.write("/state/pose", pose, log_time_ns=log_ns)
                if i == 30:
                    writer.write("/note", typestore().types["std_msgs/msg/String"](f"{part}"), log_time_ns=log_ns)
    return path


def test_recordings_that_were_appended_are_not_read_as_one_and_are_separated(tmp_path, capsys):
    bag = appended_bag(tmp_path / "all", 10**10)
    with pytest.raises(UserError, match=r"sample 60 of /state/pose lies 1\.967 s before .*`sac-gmm demos split`"):
        read_demonstration(bag)
    before = {file.name: file.read_bytes() for file in bag.iterdir()}
    assert main(["demos", "split", str(bag), "-o", str(tmp_path / "new")]) == 0
    names = [f"all_{number}" for number in (1, 2, 3)]
    assert capsys.readouterr().out.split() == [str(tmp_path / "new" / name) for name in names]
    assert {file.name: file.read_bytes() for file in bag.iterdir()} == before
    parts = [read_demonstration(tmp_path / "new" / name) for name in names]
    for number, (part, target) in enumerate(zip(parts, (0, 0, 2), strict=True)):
        assert np.allclose(part.position_m, [[0.005 * i, 0.1 * number, 0.0] for i in range(60)])
        assert part.target_m.tolist() == [target, 0, 0], "the last one that was said holds further on"
        assert part.task == "door" and check_demonstration(part).problems == ()
    with AnyReader([tmp_path / "new" / "all_2"]) as reader:
        counts = Counter(connection.topic for connection, _, _ in reader.messages())
    assert counts == {"/state/pose": 60, "/target_pose": 1, "/note": 1}

    assert main(["demos", "split", str(bag), "-o", str(tmp_path / "new")]) == 2
    assert "all_1 exists and is never overwritten" in capsys.readouterr().err
    assert main(["demos", "split", str(tmp_path / "new" / "all_1"), "-o", str(tmp_path / "one")]) == 2
    assert "all_1: its time begins anew nowhere" in capsys.readouterr().err and not (tmp_path / "one").exists()


def test_samples_with_one_stamp_at_several_places_are_an_objection(tmp_path):
    """Recordings appended so that the bag's own times begin anew as well: they are read in each other."""
    demonstration = read_demonstration(appended_bag(tmp_path / "all", 0, targets=(0,), parts=2))
    assert demonstration.meta["same_stamp"] == 60
    (said,) = check_demonstration(demonstration).problems
    assert said.startswith("has 60 samples with the stamp of another one at another place, which were left out")


@pytest.mark.parametrize("samples", [60, 30_000])
def test_seconds_since_1970_in_float32_are_named(tmp_path, samples):
    seconds = (1_764_547_200.0 + np.arange(0, samples, 1 if samples < 100 else 300) / 30.0).astype(np.float32)
    stamps = [round(float(second)) * 10**9 for second in seconds]
    with pytest.raises(UserError, match=r"stamps of /state/pose are multiples of 128 s: .*float32.*float64"):
        read_demonstration(bag_of_stamps(tmp_path / "bag", stamps), TopicNames(target=(0, 0, 0)))
