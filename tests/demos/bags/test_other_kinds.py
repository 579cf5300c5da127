"""Recordings that are whole and yet no bags that can be read: each is called what it is, with the remedy."""

import gzip
import json
import lzma
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import yaml
from foreign import PERIOD_NS, foreign_bag, position
from mcap.writer import Writer as McapWriter
from rosbags.rosbag1 import Writer as Ros1Writer
from rosbags.typesys import Stores, get_typestore

from sac_gmm.cli.main import main
from sac_gmm.core.errors import UserError
from sac_gmm.demos import EpisodeBagWriter, TopicNames, find_bags, find_unfinished, read_demonstration, salvage, trim
from sac_gmm.demos.bags.message_types import POSE, pose_stamped, typestore
from sac_gmm.demos.hands.hand_bag import read_hand_track
from sac_gmm.view.sources import open_source

NAMES = TopicNames("/ee/pose", "/ee/twist", "/goal")
DAMAGE = re.compile("cut short|damaged")


def mcap(path, *, profile="ros2", encodings=("cdr",), schema="ros2msg", messages=30):
    """A whole file of poses and targets; what is not in CDR is a few bytes that stand for it."""
    with path.open("wb") as file:
        writer = McapWriter(file)
        writer.start(profile, "a test")
        text = typestore().generate_msgdef(POSE, ros_version=2)[0] if schema == "ros2msg" else ""
        number = writer.register_schema(POSE, schema, text.encode())
        for k, encoding in enumerate(encodings):
            end = f"_{k}" if k else ""
            pose, goal = (writer.register_channel(f"{name}{end}", encoding, number) for name in ("/ee/pose", "/goal"))
            for i in range(messages):
                for channel in (pose, goal)[: 2 if i == 0 else 1]:
                    said = pose_stamped(i * PERIOD_NS, "base", position(i))
                    data = bytes(typestore().serialize_cdr(said, POSE)) if encoding == "cdr" else b'{"x": 1}'
                    writer.add_message(channel, i * PERIOD_NS, data, i * PERIOD_NS)
        writer.finish()
    return path


def ros1_bag(path):
    """As `rosbag record` of ROS 1 writes it: 50 poses and a goal."""
    store = get_typestore(Stores.ROS1_NOETIC)
    types = store.types

    def pose(i, point):
        stamp = types["builtin_interfaces/msg/Time"](*divmod(i * PERIOD_NS, 10**9))
        facing = types["geometry_msgs/msg/Quaternion"](0.0, 0.0, 0.0, 1.0)
        where = types["geometry_msgs/msg/Pose"](types["geometry_msgs/msg/Point"](*map(float, point)), facing)
        return store.serialize_ros1(types[POSE](types["std_msgs/msg/Header"](i, stamp, "base"), where), POSE)

    with Ros1Writer(path) as writer:
        poses, goal = (writer.add_connection(name, POSE, typestore=store) for name in ("/ee/pose", "/goal"))
        writer.write(goal, 0, pose(0, [1, 0, 0]))
        for i in range(50):
            writer.write(poses, i * PERIOD_NS, pose(i, position(i)))
    return path


def change(bag, **values):
    """Other values in a bag's metadata; `serialization_format` stands in every topic."""
    file = bag / "metadata.yaml"
    content = yaml.safe_load(file.read_text())
    information = content["rosbag2_bagfile_information"]
    for topic in information["topics_with_message_count"] if "serialization_format" in values else ():
        topic["topic_metadata"]["serialization_format"] = values["serialization_format"]
    information.update({name: value for name, value in values.items() if name != "serialization_format"})
    file.write_text(yaml.safe_dump(content))
    return bag


def reencoded(bag, encoding):
    """An sqlite3 bag that says of its messages that they are in another encoding."""
    (file,) = bag.glob("*.db3")
    with sqlite3.connect(file) as connection:
        connection.execute("UPDATE topics SET serialization_format = ?", (encoding,))
    connection.close()
    return change(bag, serialization_format=encoding)


def storage_alone(folder, storage, name):
    """The storage file of a bag without its metadata."""
    bag = foreign_bag(folder / "bag", storage, samples=30)
    (file,) = (f for f in bag.iterdir() if f.name != "metadata.yaml")
    return Path(shutil.move(file, folder / name))


def packed(folder, name, module):
    content = mcap(folder / "plain.mcap").read_bytes()
    (folder / name).write_bytes(module.compress(content))
    return folder / name


def text_file(folder, name, text):
    (folder / name).write_text(text)
    return folder / name


def lacks_a_file(folder):
    bag = foreign_bag(folder / "bag", samples=30)
    return change(bag, relative_file_paths=["bag_0.mcap"])


KINDS = {
    "an mcap of ROS 1": (
        lambda folder: mcap(folder / "demo.mcap", profile="ros1", encodings=["ros1"], schema="ros1msg"),
        ["'ros1'", "rosbags-convert --src demo.bag --dst demo"],
    ),
    "an mcap of ROS 1 with the profile of ROS 2": (
        lambda folder: mcap(folder / "demo.mcap", encodings=["ros1"], schema="ros2msg"),
        ["'ros1'", "rosbags-convert"],
    ),
    "an mcap of JSON": (
        lambda folder: mcap(folder / "demo.mcap", profile="", encodings=["json"], schema="jsonschema"),
        ["'json'", "ros2 bag record"],
    ),
    "an mcap of protobuf": (
        lambda folder: mcap(folder / "demo.mcap", profile="x", encodings=["protobuf"], schema="protobuf"),
        ["'protobuf'", "ros2 bag convert"],
    ),
    "a bag of another serialization": (
        lambda folder: reencoded(foreign_bag(folder / "demo", "sqlite3", samples=30), "s11n"),
        ["demo", "'s11n'", "ros2 bag convert"],
    ),
    "a bare db3 of ROS 1": (
        lambda folder: Path(
            shutil.move(
                reencoded(foreign_bag(folder / "a", "sqlite3", samples=30), "ros1") / "a.db3", folder / "demo.db3"
            )
        ),
        ["'ros1'", "rosbags-convert"],
    ),
    "a ROS 1 bag": (lambda folder: ros1_bag(folder / "demo.bag"), ["is a bag of ROS 1", "rosbags-convert --src"]),
    "a folder of a ROS 1 bag": (
        lambda folder: ros1_bag(folder / "demo.bag").parent,
        ["is a bag of ROS 1", "rosbags-convert --src"],
    ),
    "a ROS 1 bag called mcap": (
        lambda folder: ros1_bag(folder / "demo.bag").rename(folder / "demo.mcap"),
        ["is a bag of ROS 1", "rosbags-convert --src"],
    ),
    "an archive": (lambda folder: packed(folder, "demo.mcap.gz", gzip), ["gzip", "gunzip"]),
    "an archive with the ending of what is in it": (lambda folder: packed(folder, "demo.mcap", lzma), ["xz", "unxz"]),
    "a pointer": (
        lambda folder: text_file(folder, "demo.mcap", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n"),
        ["Git LFS", "git lfs pull"],
    ),
    "a page": (
        lambda folder: text_file(folder, "demo.db3", "\n<!DOCTYPE html><html>not found</html>"),
        ["web page", "download"],
    ),
    "an sqlite3 file of something else": (
        lambda folder: [sqlite3.connect(folder / "demo.db3").execute("CREATE TABLE a (b)"), folder / "demo.db3"][1],
        ["no bag", "`topics` and `messages`"],
    ),
}
# The encoding stands with each topic there, and those that nobody asks for hurt nobody.
OPEN = ("an mcap of ROS 1 with the profile of ROS 2", "a bare db3 of ROS 1")
# What salvage makes a bag of, so that its advice is right; the reader says so, or what to write.
SALVAGED = {
    "db3.zstd": (lambda folder: storage_alone(folder, "sqlite3, file compressed", "demo.db3.zstd"), "zstd -d"),
    "mcap.zstd": (lambda folder: storage_alone(folder, "mcap, file compressed", "demo.mcap.zstd"), "zstd -d"),
    "db3, messages compressed": (
        lambda folder: storage_alone(folder, "sqlite3, messages compressed", "demo.db3"),
        "one by one (zstd)",
    ),
    "mcap, messages compressed": (
        lambda folder: storage_alone(folder, "mcap, messages compressed", "demo.mcap"),
        "one by one (zstd)",
    ),
    "an mcap without a profile": (lambda folder: mcap(folder / "demo.mcap", profile=""), "profile ''"),
    "CDR beside JSON": (
        lambda folder: mcap(folder / "demo.mcap", profile="", encodings=["cdr", "json"], schema="ros2msg"),
        "'json' beside those in 'cdr'",
    ),
    "a file that is missing": (lacks_a_file, "lacks bag_0.mcap"),
}


def complaints(path, capsys, folder, opens):
    """What every door says of it; where it opens, those that ask for the topics that it has."""
    names = ["--pose-topic", "/ee/pose", "--target-topic", "/goal"]
    for words in (["demos", "info"], ["demos", "check"], ["fit"]):
        output = ["-o", str(folder / "skill.npz")] if words == ["fit"] else []
        assert main([*words, str(path), *output, *names]) == 2
        yield capsys.readouterr().err
    doors = [lambda: trim(path, folder / "t", names=NAMES)]
    doors += [] if opens else [lambda: open_source(path), lambda: read_hand_track(path)]
    for read in doors:
        with pytest.raises(UserError) as refused:
            read()
        yield str(refused.value)


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_called_what_it_is_and_never_damaged(tmp_path, kind, capsys):
    make, words = KINDS[kind]
    (tmp_path / "in").mkdir()
    path = make(tmp_path / "in")
    for said in complaints(path, capsys, tmp_path, kind in OPEN):
        assert all(word in said for word in words), said
        assert not DAMAGE.search(said), said
    assert main(["demos", "salvage", str(path), "-o", str(tmp_path / "out")]) == 2, "nothing is made of it"
    said = capsys.readouterr()
    assert all(word in said.err for word in words) and "lost" not in said.out
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").iterdir())


@pytest.mark.parametrize("kind", SALVAGED)
def test_what_salvage_can_make_a_bag_of_is_sent_there(tmp_path, kind, capsys):
    make, words = SALVAGED[kind]
    (tmp_path / "in").mkdir()
    path = make(tmp_path / "in")
    with pytest.raises(UserError) as refused:
        read_demonstration(path, NAMES)
    said = str(refused.value)
    assert words in said and not DAMAGE.search(said)
    (advised,) = re.findall(r"`sac-gmm (demos salvage [^`]*)`", said)
    assert main([*advised.split(), "-o", str(tmp_path / "out")]) == 0
    (bag,) = (tmp_path / "out").iterdir()
    assert np.array_equal(read_demonstration(bag, NAMES).position_m, [position(i) for i in range(30)])


def test_what_salvage_leaves_out_is_said(tmp_path):
    done = salvage(mcap(tmp_path / "demo.mcap", profile="", encodings=["cdr", "json"]))
    assert done.recovered == {"/ee/pose": 30, "/goal": 1}
    assert len(done.missing) == 2 and "30 messages of /ee/pose_1: they are in 'json'" in done.missing[1]


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"storage_identifier": ""}, "`ros2 bag reindex` of Humble leaves it: write sqlite3 there"),
        ({"storage_identifier": "my_plugin"}, "storage_identifier: 'my_plugin': write sqlite3 there"),
        ({"version": 99}, "is of version 99, newer than 9"),
        ({"compression_mode": "FILE", "compression_format": "lz4"}, "compressed with 'lz4', expected zstd"),
    ],
)
def test_metadata_that_is_not_understood_is_named(tmp_path, values, words):
    bag = change(foreign_bag(tmp_path / "bag", "sqlite3", samples=30), **values)
    with pytest.raises(UserError) as refused:
        read_demonstration(bag, NAMES)
    assert words in str(refused.value) and not DAMAGE.search(str(refused.value))
    written = re.search(r"write (\w+) there", str(refused.value))
    if written:
        assert read_demonstration(change(bag, storage_identifier=written[1]), NAMES).n_samples == 30


def test_the_advice_for_a_ros1_bag_makes_one_that_is_read(tmp_path):
    with pytest.raises(UserError) as refused:
        read_demonstration(ros1_bag(tmp_path / "demo.bag"))
    (command,) = re.findall(r"`(rosbags-convert [^`]*)`", str(refused.value))
    program = Path(sys.executable).with_name("rosbags-convert")
    subprocess.run([str(program), *shlex.split(command)[1:]], check=True, capture_output=True)
    demonstration = read_demonstration(tmp_path / "demo", NAMES)
    assert np.array_equal(demonstration.position_m, [position(i) for i in range(50)])


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (
            lambda folder: ros1_bag(folder / "old.bag"),
            r"old\.bag is a bag of ROS 1: `rosbags-convert .*; or move it out",
        ),
        (
            lambda folder: storage_alone(folder, "mcap, file compressed", "old.mcap.zstd"),
            r"old\.mcap\.zstd is compressed as a whole .*; or move it out of",
        ),
    ],
)
def test_one_beside_bags_is_not_passed_over(tmp_path, make, words):
    foreign_bag(tmp_path / "new", samples=30)
    make(tmp_path)
    with pytest.raises(UserError, match=words):
        find_bags([tmp_path])
    foreign_bag(tmp_path / "old", samples=30)
    assert tmp_path / "old" in find_bags([tmp_path]), "what was made of it is there"


def test_a_ros1_file_that_was_cut_is_not_made_a_bag_of_either(tmp_path):
    whole = mcap(tmp_path / "whole.mcap", profile="ros1", encodings=["ros1"], schema="ros1msg", messages=20_000)
    cut = tmp_path / "cut.mcap"
    cut.write_bytes(whole.read_bytes()[:-3000])
    for read in (read_demonstration, salvage):
        with pytest.raises(UserError, match=r"cut\.mcap holds messages in the encoding 'ros1'"):
            read(cut)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cut.mcap", "whole.mcap"]


def test_one_in_a_folder_is_named_and_does_not_keep_the_others_from_being_salvaged(tmp_path, capsys):
    reencoded(foreign_bag(tmp_path / "a", "sqlite3", samples=30), "ros1")
    with EpisodeBagWriter(tmp_path / "b", {"/state/pose": POSE}) as writer:
        writer.write("/state/pose", pose_stamped(0, "base", [0, 0, 0]))
    (tmp_path / "b" / "metadata.yaml").unlink()
    (tmp_path / "b" / "b.mcap").write_bytes((tmp_path / "b" / "b.mcap").read_bytes()[:-20])
    assert [path.name for path in find_unfinished([tmp_path])] == ["a", "b"]
    assert main(["demos", "salvage", str(tmp_path)]) == 2
    said = capsys.readouterr()
    assert "'ros1'" in said.err and "b_salvaged: 1 messages" in said.out


def test_a_whole_bag_with_an_unknown_fault_is_not_called_cut_short(tmp_path):
    bag = change(foreign_bag(tmp_path / "bag", samples=30), topics_with_message_count="?")
    with pytest.raises(UserError, match=r"cannot be read although no end is missing: .*`sac-gmm demos salvage`"):
        read_demonstration(bag, NAMES)


@pytest.mark.parametrize("storage", ["mcap", "sqlite3", "mcap, file compressed", "sqlite3, file compressed"])
def test_what_lacks_its_end_is_still_called_cut_short(tmp_path, storage):
    bag = foreign_bag(tmp_path / "bag", storage, samples=200)
    (file,) = (f for f in bag.iterdir() if f.name != "metadata.yaml")
    file.write_bytes(file.read_bytes()[: file.stat().st_size * 2 // 3])
    with pytest.raises(UserError, match="it was cut short"):
        read_demonstration(bag, NAMES)


def test_a_topic_in_another_encoding_beside_ours_hurts_nobody_who_does_not_ask_for_it(tmp_path):
    bag = foreign_bag(tmp_path / "bag", "sqlite3", samples=30)
    with sqlite3.connect(bag / "bag.db3") as connection:
        connection.execute("UPDATE topics SET serialization_format = 'json' WHERE name = '/grip'")
    connection.close()
    alone = Path(shutil.move(bag / "bag.db3", tmp_path / "alone.db3"))
    assert read_demonstration(alone, NAMES).n_samples == 30
    with pytest.raises(UserError, match=r"cannot hold /grip \('json'\)"):
        trim(alone, tmp_path / "cut", 0.0, 0.5, NAMES)
    assert not (tmp_path / "cut").exists()
    assert json.dumps(salvage(alone).recovered) == '{"/ee/pose": 30, "/ee/twist": 30, "/goal": 1}'
