"""Recordings whose metadata, index or definitions are not as a recorder leaves them: what is stored is what counts."""

import shutil
import sqlite3

import numpy as np
import pytest
import yaml
from foreign import PERIOD_NS, foreign_bag, position
from mcap.writer import IndexType
from mcap.writer import Writer as McapWriter

from sac_gmm.cli.main import main
from sac_gmm.core.errors import UserError
from sac_gmm.demos import TopicNames, find_bags, find_unfinished, read_demonstration, salvage, trim
from sac_gmm.demos.bags.message_types import POSE, pose_stamped, typestore
from sac_gmm.demos.bags.open_bag import deserialise, open_bag

NAMES = TopicNames("/ee/pose", target_topic="/goal")
NO_INDEX = {"use_chunking": False, "index_types": IndexType.NONE, "use_statistics": False}
WORDS_FOR_QOS = ["- reliability: reliable\n  depth: 100", "/topic:\n  history: keep_last", "reliable"]


def qos(depth=10):
    """As recorders up to Iron write it: numbers in a string."""
    for_ever = "{sec: 9223372036, nsec: 854775807}"
    return (
        f"- {{history: 1, depth: {depth}, reliability: 1, durability: 2, deadline: {for_ever}, lifespan: {for_ever}, "
        f"liveliness: 1, liveliness_lease_duration: {for_ever}, avoid_ros_namespace_conventions: false}}"
    )


def mcap(path, order=range(30), offered="", extra=None, **options):
    """A file of poses and a target, and of one message of another type where that is given with its definition."""
    path.parent.mkdir(exist_ok=True)
    with path.open("wb") as file:
        writer = McapWriter(file, **options)
        writer.start("ros2", "a test")
        number = writer.register_schema(POSE, "ros2msg", typestore().generate_msgdef(POSE, ros_version=2)[0].encode())
        metadata = {"offered_qos_profiles": offered}
        pose, goal = (writer.register_channel(name, "cdr", number, metadata) for name in ("/ee/pose", "/goal"))
        if extra is not None:
            other = writer.register_schema(extra[0], "ros2msg", extra[1].encode())
            writer.add_message(writer.register_channel("/extra", "cdr", other, metadata), 0, b"\0\1\0\0" + bytes(8), 0)
        for channel, i in [(goal, 0), *((pose, i) for i in order)]:
            data = bytes(typestore().serialize_cdr(pose_stamped(i * PERIOD_NS, "base", position(i)), POSE))
            writer.add_message(channel, i * PERIOD_NS, data, i * PERIOD_NS)
        writer.finish()
    return path


def described(bag, offered, **counts):
    """Write a metadata.yaml of the topics that are given with their counts."""
    topics = [
        {
            "topic_metadata": {
                "name": f"/{name.replace('_', '/')}",
                "type": POSE,
                "serialization_format": "cdr",
                "offered_qos_profiles": offered,
                "type_description_hash": "",
            },
            "message_count": count,
        }
        for name, count in counts.items()
    ]
    information = {
        "version": 5,
        "storage_identifier": "mcap",
        "relative_file_paths": [file.name for file in bag.glob("*.mcap")],
        "duration": {"nanoseconds": 30 * PERIOD_NS},
        "starting_time": {"nanoseconds_since_epoch": 0},
        "message_count": sum(counts.values()),
        "topics_with_message_count": topics,
        "ros_distro": "",
    }
    (bag / "metadata.yaml").write_text(yaml.safe_dump({"rosbag2_bagfile_information": information}))
    return bag


def is_whole(bag, names=NAMES):
    return np.array_equal(read_demonstration(bag, names).position_m, [position(i) for i in range(30)])


@pytest.mark.parametrize(
    ("offered", "counts"),
    [
        (qos(), {"ee_pose": 30, "goal": 1}),
        (qos(), {"ee_pose": 30, "goal": 1, "ee_twist": 0}),  # nobody published it
        ("", {"ee_pose": 30, "goal": 1}),  # a program wrote it without the QoS
        (qos(depth=1), {"ee_pose": 30, "goal": 1}),
        (qos(), {"ee_pose": 30}),  # a topic was left out
        (qos(), {"ee_pose": 0, "goal": 0}),
    ],
)
def test_no_message_is_left_out_because_the_metadata_says_otherwise(tmp_path, offered, counts):
    bag = described(mcap(tmp_path / "bag" / "bag_0.mcap", offered=qos()).parent, offered, **counts)
    assert is_whole(bag)
    trim(bag, tmp_path / "cut", 0.0, 2.0, NAMES)
    assert is_whole(tmp_path / "cut")


@pytest.mark.parametrize(
    "options",
    [
        {"index_types": IndexType.CHUNK},  # a converter wrote no index of messages
        {"index_types": IndexType.CHUNK, "use_statistics": False},
        NO_INDEX,  # the preset fastwrite
        NO_INDEX | {"order": [*range(10), 11, 10, *range(12, 30)]},  # two threads of a recorder
    ],
)
def test_an_mcap_without_an_index_is_read_from_its_beginning(tmp_path, options):
    assert is_whole(mcap(tmp_path / "bag.mcap", **options))


@pytest.mark.parametrize(
    ("msgtype", "text"),
    [
        ("RealsenseMetadata", ""),
        ("lab_msgs/msg/Hook", ""),
        ("lab_msgs/msg/Hook", "lab_msgs/Finger[] fingers"),
        ("a", "?"),
    ],
)
def test_a_topic_of_a_type_that_is_not_defined_hurts_nobody_who_does_not_ask_for_it(tmp_path, msgtype, text):
    bag = mcap(tmp_path / "bag.mcap", extra=(msgtype, text))
    assert is_whole(bag)
    trim(bag, tmp_path / "cut", 0.0, 2.0, NAMES)
    with open_bag(tmp_path / "cut") as reader:
        (extra,) = (connection for connection in reader.connections if connection.topic == "/extra")
        ((_, _, raw),) = reader.messages([extra])
        with pytest.raises(UserError, match=rf"/extra of .* is a {msgtype}, and the bag does not define this type"):
            deserialise(reader, extra._replace(msgdef=extra.msgdef._replace(data="")), raw)


def test_a_type_that_the_bag_defines_is_read(tmp_path):
    with open_bag(foreign_bag(tmp_path / "bag", samples=5)) as reader:
        chosen = [connection for connection in reader.connections if connection.topic == "/grip"]
        assert [deserialise(reader, *message[::2]).finger for message in reader.messages(chosen)] == ["left"] * 5
        assert reader.duration == pytest.approx(4 * PERIOD_NS, abs=2)


@pytest.mark.parametrize("offered", WORDS_FOR_QOS)
def test_a_qos_that_is_not_a_recorders_is_named_and_salvaged(tmp_path, offered):
    file = mcap(tmp_path / "bag.mcap", offered=offered)
    with pytest.raises(UserError, match=r"the QoS of /goal \(offered_qos_profiles\) .* `sac-gmm demos salvage"):
        read_demonstration(file, NAMES)
    assert is_whole(salvage(file).path)


def test_what_lies_in_the_log_of_sqlite_is_not_lost(tmp_path):
    """As a recorder leaves it that was killed with the preset resilient: some rows are in the log alone."""
    bag = foreign_bag(tmp_path / "bag", "sqlite3", samples=30)
    connection = sqlite3.connect(bag / "bag.db3")
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute(
        "INSERT INTO messages (topic_id, timestamp, data) SELECT topic_id, 9, data FROM messages LIMIT 1"
    )
    connection.commit()
    shutil.copytree(bag, tmp_path / "set" / "killed")
    connection.close()
    with pytest.raises(UserError, match=r"bag\.db3-wal holds messages that are not in bag\.db3 yet: .* salvage"):
        read_demonstration(tmp_path / "set" / "killed", NAMES)
    assert find_unfinished([tmp_path / "set"]) == [tmp_path / "set" / "killed"]
    assert sum(salvage(tmp_path / "set" / "killed").recovered.values()) == 92


@pytest.mark.parametrize("storage", ["mcap", "sqlite3"])
@pytest.mark.parametrize(("content", "words"), [(b"", "is empty"), (bytes(5000), "consists of zeros")])
def test_a_file_that_never_got_to_the_disk_is_called_that(tmp_path, capsys, storage, content, words):
    bag = foreign_bag(tmp_path / "bag", storage, samples=5)
    (file,) = (file for file in bag.iterdir() if file.name != "metadata.yaml")
    file.write_bytes(content)
    for command in (["check", str(bag)], ["salvage", str(bag)], ["trim", str(bag), "-o", str(tmp_path / "t")]):
        assert main(["demos", *command]) == 2
        assert f"{file} {words}: it was cut short before anything was on the disk" in capsys.readouterr().err


@pytest.mark.parametrize("share", [0.0, 0.3, 0.9])
def test_metadata_that_was_cut_is_named_and_not_needed(tmp_path, share):
    bag = foreign_bag(tmp_path / "bag", "sqlite3", samples=30)
    metadata = bag / "metadata.yaml"
    metadata.write_text(metadata.read_text()[: round(share * len(metadata.read_text()))])
    with pytest.raises(UserError, match=r"metadata\.yaml is empty, cut short or not .*: remove it, .*") as refused:
        read_demonstration(bag, NAMES)
    assert "\n" not in str(refused.value)
    metadata.unlink()
    assert is_whole(bag)


def test_a_bag_without_metadata_is_not_left_out_of_its_set(tmp_path):
    for name in ("one", "two"):
        foreign_bag(tmp_path / name, "sqlite3", samples=30)
    (tmp_path / "two" / "metadata.yaml").unlink()
    assert [bag.name for bag in find_bags([tmp_path])] == ["one", "two"]
    assert is_whole(tmp_path / "two")
    salvage(tmp_path / "two")
    assert [bag.name for bag in find_bags([tmp_path])] == ["one", "two_salvaged"], "not the same recording twice"


def test_a_first_page_that_is_damaged_is_left_to_sqlite(tmp_path):
    file = foreign_bag(tmp_path / "bag", "sqlite3", samples=30) / "bag.db3"
    content = file.read_bytes()
    file.write_bytes(content[:100] + bytes(3900) + content[4000:])
    with pytest.raises(UserError, match=r"its first page is damaged .*: `sqlite3 .*bag\.db3 \.recover \| sqlite3 "):
        salvage(tmp_path / "bag")
