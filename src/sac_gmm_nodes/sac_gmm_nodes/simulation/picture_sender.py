"""Sends pictures to a recorder no faster than it processes them, so that no picture of a film or simulation is lost."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable

from builtin_interfaces.msg import Time
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from sac_gmm_nodes.common.conversions import nanoseconds
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.qos import EPISODE

_QUEUE = 30  # pictures that the network may hold
_IN_FLIGHT = 4  # pictures by which the recorder may lag
# A recorder that is silent for this long is not waited for until it reports again. Before its first report it may still
# be loading its model, which takes long on a busy machine.
_PATIENCE_S = 5.0
_FIRST_PATIENCE_S = 60.0


class PictureSender:
    """Publishes camera/image and camera/camera_info.

    Args:
        node: The node that owns the publishers.
        reliable: Send every picture, and wait for the nodes that process them (`hand/looked_at`).
    """

    def __init__(self, node: BaseNode, reliable: bool) -> None:
        policy = ReliabilityPolicy.RELIABLE if reliable else ReliabilityPolicy.BEST_EFFORT
        qos = QoSProfile(depth=_QUEUE, reliability=policy)
        self._image = node.create_publisher(Image, "camera/image", qos)
        self._info = node.create_publisher(CameraInfo, "camera/camera_info", qos)
        self._waiting: deque[int] = deque(maxlen=_QUEUE)
        self._patient = reliable
        self._patience_s = _FIRST_PATIENCE_S
        self._node = node
        self._heard = False
        if reliable:
            node.create_subscription(Header, "hand/looked_at", self._on_looked_at, EPISODE)

    @property
    def has_listener(self) -> bool:
        """Whether someone listens to both topics."""
        return bool(self._image.get_subscription_count() and self._info.get_subscription_count())

    @property
    def is_heard(self) -> bool:
        """Whether the recorder has said that it hears this node; true where none will say so."""
        return self._heard or not (self._patient and self._node.count_publishers("hand/looked_at"))

    def send(self, picture: Image, info: CameraInfo) -> None:
        """Publish a picture and its calibration."""
        self._info.publish(info)
        self._image.publish(picture)
        self._waiting.append(nanoseconds(picture.header.stamp))

    def wait(self, turn: Callable[[], None], in_flight: int = _IN_FLIGHT) -> None:
        """Run `turn` (which must run callbacks) until the recorder has processed all that was sent but `in_flight`."""
        end_s = time.monotonic() + self._patience_s
        while self._patient and len(self._waiting) > in_flight and not self._node.stopping.is_set():
            turn()
            self._patient = time.monotonic() < end_s

    def _on_looked_at(self, message: Header) -> None:
        self._heard = True
        if message.stamp == Time():  # that it hears this node, before any picture
            return
        self._patient, self._patience_s = True, _PATIENCE_S
        stamp_ns = nanoseconds(message.stamp)
        while self._waiting and self._waiting[0] <= stamp_ns:
            self._waiting.popleft()
