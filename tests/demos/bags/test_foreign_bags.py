"""Bags that `ros2 bag record` makes: storages, compression, names and types that are not our recorder's."""

import numpy as np
import pytest
from foreign import PERIOD_NS, STORAGES, foreign_bag, position

from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeBagWriter, TopicNames, check_demonstration, read_demonstration
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


def bag_in_two_parts(path, began_anew_ns):
    """Two motions in one file, the time of the second beginning anew; with bag times as they came, or with stamps'."""
    with EpisodeBagWriter(path, {"/state/pose": POSE}) as writer:
        for i in range(120):
            stamp_ns = i % 60 * PERIOD_NS
            place = [0.005 * (i % 60), 0.1 * (i // 60), 0.0]
            log_ns = stamp_ns + began_anew_ns * (i // 60)
            writer.write("/state/pose", pose_stamped(stamp_ns, "base", place), log_time_ns=log_ns)
    return path


def test_two_recordings_whose_time_begins_anew_are_not_read_as_one(tmp_path):
    names = TopicNames(target=(0, 0, 0))
    with pytest.raises(UserError, match=r"sample 60 of /state/pose lies 1\.967 s before .*does its time begin anew"):
        read_demonstration(bag_in_two_parts(tmp_path / "as they came", 10**10), names)
    demonstration = read_demonstration(bag_in_two_parts(tmp_path / "by stamps", 0), names)
    assert demonstration.meta["same_stamp"] == 60
    (said,) = [text for text in check_demonstration(demonstration).problems if "same" not in text and "stamp" in text]
    assert said.startswith("has 60 samples with the stamp of another one at another place, which were left out")


@pytest.mark.parametrize("samples", [60, 30_000])
def test_seconds_since_1970_in_float32_are_named(tmp_path, samples):
    seconds = (1_764_547_200.0 + np.arange(0, samples, 1 if samples < 100 else 300) / 30.0).astype(np.float32)
    stamps = [round(float(second)) * 10**9 for second in seconds]
    with pytest.raises(UserError, match=r"stamps of /state/pose are multiples of 128 s: .*float32.*float64"):
        read_demonstration(bag_of_stamps(tmp_path / "bag", stamps), TopicNames(target=(0, 0, 0)))
