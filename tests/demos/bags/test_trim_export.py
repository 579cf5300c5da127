import csv
import errno
import os

import numpy as np
import pytest
import yaml
from PIL import Image
from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import Writer

from sac_gmm.cli.main import main
from sac_gmm.demos import (
    Demonstration,
    EpisodeBagWriter,
    EpisodeInfo,
    TopicNames,
    read_demonstration,
    trim,
    write_demonstration,
)
from sac_gmm.demos.bags.message_types import POSE, pose_stamped, typestore

RATE_HZ = 30.0


def rest_move_rest(path, rest_s=1.0, move_s=2.0):
    time_s = np.arange(0.0, 2 * rest_s + move_s, 1 / RATE_HZ)
    share = np.clip((time_s - rest_s) / move_s, 0.0, 1.0)
    position = np.zeros((time_s.size, 3))
    position[:, 0] = 0.3 * (10 * share**3 - 15 * share**4 + 6 * share**5)
    velocity = np.gradient(position, time_s, axis=0)
    demonstration = Demonstration(
        time_s, position, velocity, np.array([0.3, 0, 0]), "base", "door", {"operator": "ann"}
    )
    return write_demonstration(path, demonstration)


def test_trimming_ends_at_rest_and_keeps_the_target_and_what_was_known(tmp_path, capsys):
    rest_move_rest(tmp_path / "set" / "door_00")
    assert main(["demos", "trim", str(tmp_path / "set"), "-o", str(tmp_path / "new")]) == 0
    trimmed = read_demonstration(tmp_path / "new" / "door_00")
    assert 1.6 < trimmed.duration_s < 2.2
    assert trimmed.relative_m[0, 0] == pytest.approx(-0.3, abs=2e-3)
    assert trimmed.relative_m[-1, 0] == pytest.approx(0.0, abs=2e-3)
    assert trimmed.target_m.tolist() == [0.3, 0, 0]
    assert (trimmed.task, trimmed.meta["operator"]) == ("door", "ann")
    sidecar = yaml.safe_load((tmp_path / "new" / "door_00" / "episode.yaml").read_text())
    assert sidecar["trimmed"]["from"] == "door_00"
    with AnyReader([tmp_path / "new" / "door_00"]) as reader:
        durability = {c.topic: c.ext.offered_qos_profiles[0].durability.name for c in reader.connections}
    assert durability["/target_pose"] == "TRANSIENT_LOCAL"
    assert main(["demos", "check", str(tmp_path / "new")]) == 0


def test_trimming_by_times(tmp_path):
    bag = rest_move_rest(tmp_path / "door_00")
    span = ["--start-s", "0.5", "--end-s", "2.0"]
    assert main(["demos", "trim", str(bag), "-o", str(tmp_path / "new"), *span]) == 0
    assert read_demonstration(tmp_path / "new" / "door_00").duration_s == pytest.approx(1.5, abs=1e-3)


@pytest.mark.parametrize(
    ("span", "words"),
    [(["--start-s", "2", "--end-s", "1"], "nothing lies from 2 s to 1 s"), (["--start-s", "9"], "nothing lies from")],
)
def test_a_span_that_holds_nothing_is_named_and_leaves_nothing(tmp_path, capsys, span, words):
    bag = rest_move_rest(tmp_path / "door_00")
    assert main(["demos", "trim", str(bag), "-o", str(tmp_path / "new"), *span]) == 2
    assert words in capsys.readouterr().err
    assert [p.name for p in tmp_path.iterdir()] == ["door_00"]


@pytest.mark.parametrize("end_s", ["inf", "nan", "1e300"])
def test_a_time_that_is_none_is_named(tmp_path, capsys, end_s):
    bag = rest_move_rest(tmp_path / "door_00")
    assert main(["demos", "trim", str(bag), "-o", str(tmp_path / "new"), "--end-s", end_s]) == 2
    assert "give numbers of seconds" in capsys.readouterr().err


@pytest.mark.parametrize("command", [["info"], ["check"], ["trim", "-o", "new"], ["salvage"]])
def test_no_bag_at_all_is_said(command, capsys):
    assert main(["demos", *command]) == 2
    assert "there is no" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["trim", "salvage"])
def test_a_full_disk_leaves_nothing_and_promises_nothing(tmp_path, monkeypatch, capsys, command):
    bag = rest_move_rest(tmp_path / "door_00")
    if command == "salvage":
        (bag / "metadata.yaml").unlink()

    def full(*_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(Writer, "write", full)
    assert main(["demos", command, str(bag), "-o", str(tmp_path / "new")]) == 2
    said = capsys.readouterr().err
    assert "No space left on device; make room on the disk\n" in said and "kept" not in said
    assert [path.name for path in tmp_path.rglob("*door_00*") if path != bag and bag not in path.parents] == []


def test_npz_and_csv_hold_the_same_and_are_never_overwritten(tmp_path, capsys):
    for i in range(2):
        rest_move_rest(tmp_path / "set" / f"door_{i:02d}", move_s=2.0 + i)
    for ending in ("npz", "csv"):
        assert main(["demos", "export", str(tmp_path / "set"), "-o", str(tmp_path / f"out.{ending}")]) == 0
    with np.load(tmp_path / "out.npz", allow_pickle=False) as arrays:
        first = read_demonstration(tmp_path / "set" / "door_00")
        chosen = arrays["index"] == 0
        assert np.array_equal(arrays["position_m"][chosen], first.position_m)
        assert arrays["name"].tolist() == ["door_00", "door_01"]
        assert arrays["target_m"].shape == (2, 3)
        n = arrays["time_s"].size
    with (tmp_path / "out.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == n
    assert float(rows[10]["rel_x_m"]) == pytest.approx(first.relative_m[10, 0])
    before = (tmp_path / "out.npz").read_bytes()
    assert main(["demos", "export", str(tmp_path / "set"), "-o", str(tmp_path / "out.npz")]) == 2
    assert "never overwritten" in capsys.readouterr().err
    assert (tmp_path / "out.npz").read_bytes() == before
    assert main(["demos", "export", str(tmp_path / "set"), "-o", str(tmp_path / "out.xlsx")]) == 2
    assert ".npz or .csv" in capsys.readouterr().err


def test_the_plot_is_a_picture_with_something_in_it(tmp_path):
    rest_move_rest(tmp_path / "door_00")
    assert main(["demos", "plot", str(tmp_path / "door_00"), "-o", str(tmp_path / "p.png")]) == 0
    picture = np.asarray(Image.open(tmp_path / "p.png").convert("RGB"))
    assert picture.shape[1] > 1000
    blue = (np.abs(picture.astype(int) - [31, 119, 180]).sum(axis=2) < 30).sum()
    assert blue > 1000, "the first demonstration is drawn in all panels"
    assert main(["demos", "plot", str(tmp_path / "door_00"), "-o", str(tmp_path / "p.gif")]) == 2


def test_foreign_topics_by_option(tmp_path, capsys):
    from foreign import foreign_bag

    bag = foreign_bag(tmp_path / "bag", "sqlite3, file compressed")
    names = ["--pose-topic", "/ee/pose", "--twist-topic", "/ee/twist", "--target-topic", "/goal"]
    assert main(["demos", "info", str(bag), *names]) == 0
    assert "90 in 2.97 s" in capsys.readouterr().out
    assert main(["demos", "export", str(bag), "-o", str(tmp_path / "a.csv"), *names]) == 0
    assert main(["demos", "trim", str(bag), "-o", str(tmp_path / "cut"), "--start-s", "0", "--end-s", "1", *names]) == 0
    assert main(["demos", "info", str(tmp_path / "cut"), *names]) == 0
    assert main(["demos", "info", str(bag), *names[:2], "--target", "1", "2", "3"]) == 0
    assert "(1.000, 2.000, 3.000)" in capsys.readouterr().out


def goal_said(path, at_s, goals_m, topic="/goal", kind=POSE, episode_end_s=None):
    """Two seconds of rest, two of motion, two of rest; a volatile publisher says goals at some times."""
    info = EpisodeInfo("door", extra={} if episode_end_s is None else {"episode_end_ns": round(episode_end_s * 1e9)})
    with EpisodeBagWriter(path, {"/tip": POSE, topic: kind}, info, latched=()) as writer:
        for at, goal in sorted(zip(at_s, goals_m, strict=True)):
            message = pose_stamped(round(at * 1e9), "base", goal)
            if kind != POSE:
                message = typestore().types[kind](message.header, message.pose.position)
            writer.write(topic, message)
        for i in range(300):
            share = np.clip((i / 50 - 2) / 2, 0.0, 1.0)
            at_m = 0.4 * (10 * share**3 - 15 * share**4 + 6 * share**5)
            writer.write("/tip", pose_stamped(i * 20_000_000, "base", [at_m, 0.0, 0.0]))
    return path


POINT = "geometry_msgs/msg/PointStamped"


@pytest.mark.parametrize(
    ("topic", "kind", "at_s", "kept"),
    [
        ("/goal", POSE, [0.0], 0),
        ("goal", POSE, [0.1], 0),
        ("/arm/goal", POSE, [0.0, 1.0], 1),  # named by its end, in a namespace
        ("/goal", POINT, [0.5], 0),
        ("/goal", POSE, [0.0, 5.5], 0),  # that of the way is the one said before it
        ("/goal", POSE, [5.5], 0),
        ("/goal", POSE, [5.2, 5.5], 1),
        ("/goal", POSE, [0.0, 3.0], 1),
    ],
)
def test_the_target_of_the_way_is_carried_over_whatever_its_name(tmp_path, topic, kind, at_s, kept):
    goals = [[0.4, 0.0, 0.001 * i] for i in range(len(at_s))]
    bag = goal_said(tmp_path / "a", at_s, goals, topic, kind)
    names = ["--pose-topic", "/tip", "--target-topic", "/goal"]
    assert main(["demos", "trim", str(bag), "-o", str(tmp_path / "cut"), *names]) == 0
    trimmed = read_demonstration(tmp_path / "cut" / "a", TopicNames("/tip", target_topic="goal"))
    assert 1.4 < trimmed.duration_s < 2.4
    assert trimmed.target_m.tolist() == goals[kept]
    assert main(["demos", "check", str(tmp_path / "cut"), *names]) == 0


def test_a_target_of_the_next_episode_is_carried_over_by_no_trim(tmp_path):
    bag = goal_said(tmp_path / "a", [4.9, 5.9], [[0.4, 0, 0], [0.9, 0, 0]], episode_end_s=5.0)
    names = TopicNames("/tip", target_topic="/goal")
    trim(bag, tmp_path / "cut", names=names)
    assert read_demonstration(tmp_path / "cut", names).target_m.tolist() == [0.4, 0, 0]


@pytest.mark.parametrize("topic", ["/tf_static", "robot_description"])
def test_what_is_latched_by_convention_is_carried_over_without_profiles(tmp_path, topic):
    kinds = {"/tf_static": "tf2_msgs/msg/TFMessage", "robot_description": "std_msgs/msg/String"}
    said = {"/tf_static": [], "robot_description": "<robot/>"}[topic]
    topics = {"/state/pose": POSE, "/target_pose": POSE, topic: kinds[topic]}
    with EpisodeBagWriter(tmp_path / "a", topics, latched=()) as writer:
        writer.write(topic, typestore().types[kinds[topic]](said), log_time_ns=0)
        writer.write("/target_pose", pose_stamped(0, "base", [1, 0, 0]))
        for i in range(100):
            writer.write("/state/pose", pose_stamped(i * 20_000_000, "base", [0.01 * i, 0, 0]))
    trim(tmp_path / "a", tmp_path / "cut", 1.0, 1.5)
    with AnyReader([tmp_path / "cut"]) as reader:
        assert {c.topic: c.msgcount for c in reader.connections}[topic] == 1
