"""The quality of service of every topic, by what the topic is for."""

from __future__ import annotations

from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy

RELIABLE = QoSProfile(depth=10)
EVERY = QoSProfile(depth=80)  # more than the control steps between two decisions, for a node that lags behind
_SHARED_DEPTH = 100  # what may come from others between two looks
COMMAND = QoSProfile(depth=1)
SENSOR = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
EPISODE = QoSProfile(depth=10, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def shared(qos: QoSProfile) -> QoSProfile:
    """The same for a topic that several may publish on: one's message must not push another's out unread."""
    return QoSProfile(depth=_SHARED_DEPTH, reliability=qos.reliability, durability=qos.durability)


def stream(reliable: bool) -> QoSProfile:
    """The QoS of states and images: best effort and only the latest, or every message if `reliable`."""
    return EVERY if reliable else SENSOR
