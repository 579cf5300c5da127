"""Bags as `ros2 bag record` makes them: other storages, compression, topics and types than our recorder's."""

from rosbags.highlevel import AnyReader
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer
from rosbags.typesys import get_types_from_msg

from sac_gmm.demos.bags.message_types import POSE, TWIST, pose_stamped, twist_stamped, typestore

STORAGES = {
    "mcap": (StoragePlugin.MCAP, CompressionMode.NONE),
    "mcap, chunks compressed": (StoragePlugin.MCAP, CompressionMode.STORAGE),
    "mcap, messages compressed": (StoragePlugin.MCAP, CompressionMode.MESSAGE),
    "mcap, file compressed": (StoragePlugin.MCAP, CompressionMode.FILE),
    "sqlite3": (StoragePlugin.SQLITE3, CompressionMode.NONE),
    "sqlite3, messages compressed": (StoragePlugin.SQLITE3, CompressionMode.MESSAGE),
    "sqlite3, file compressed": (StoragePlugin.SQLITE3, CompressionMode.FILE),
}
PERIOD_NS = 33_333_333
CUSTOM = "lab_msgs/msg/Grip"


def position(i):
    """A motion that does not compress to nothing."""
    return [0.01 * i, (0.37 * i) ** 1.5 % 0.1, (0.73 * i) ** 2.5 % 0.1]


def foreign_bag(path, storage="mcap", samples=90, pose="/ee/pose", twist="/ee/twist", target="/goal", custom=True):
    """A bag of poses, twists, one target and, where asked for, a message type that no ROS distribution has."""
    plugin, mode = STORAGES[storage]
    writer = Writer(path, version=9, storage_plugin=plugin)
    writer.set_compression(mode, CompressionFormat.ZSTD)
    store = typestore()
    with writer:
        topics = {pose: POSE, twist: TWIST, target: POSE}
        to = {topic: writer.add_connection(topic, kind, typestore=store) for topic, kind in topics.items()}
        if custom:
            text = "float64 width_m\nstring finger\n"
            if CUSTOM not in store.fielddefs:
                store.register(get_types_from_msg(text, CUSTOM))
            to["/grip"] = writer.add_connection("/grip", CUSTOM, typestore=store)
        writer.write(to[target], 0, bytes(store.serialize_cdr(pose_stamped(0, "base", [1, 0, 0]), POSE)))
        for i in range(samples):
            stamp = i * PERIOD_NS
            writer.write(to[pose], stamp, bytes(store.serialize_cdr(pose_stamped(stamp, "base", position(i)), POSE)))
            velocity = twist_stamped(stamp, "base", [0.3, 0, 0])
            writer.write(to[twist], stamp, bytes(store.serialize_cdr(velocity, TWIST)))
            if custom:
                grip = store.types[CUSTOM](0.001 * i, "left")
                writer.write(to["/grip"], stamp, bytes(store.serialize_cdr(grip, CUSTOM)))
    return path


def without_slashes(bag, path):
    """A copy of a bag whose topics have no leading slash, as those of bags written through an API."""
    store = typestore()
    with AnyReader([bag]) as reader, Writer(path, version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        to = {c.id: writer.add_connection(c.topic[1:], c.msgtype, typestore=store) for c in reader.connections}
        for connection, log_ns, data in reader.messages():
            writer.write(to[connection.id], log_ns, bytes(data))
    return path
