"""Pictures of any camera as arrays and back, and a camera's calibration from and to a message.

Every node that looks at pictures takes them through here, so that all of them take the same encodings.
"""

from __future__ import annotations

import array
from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

from sac_gmm.core.errors import UserError
from sac_gmm.perception import Camera, image_array, metres_array, uncompressed_metres, uncompressed_picture
from sac_gmm_nodes.common.conversions import doubles
from sac_gmm_nodes.common.node import BaseNode

Array = NDArray[np.float64]
AnyImage: TypeAlias = Image | CompressedImage


def image_transport(node: BaseNode) -> str:
    """Declare the parameter of that name and return its value: how a camera's pictures come."""
    return node.text(
        "image_transport",
        "raw",
        "raw images; or jpeg and png, from the topic of that name below the camera's",
        ("raw", "compressed", "compressedDepth"),
    )


def subscribe_to_pictures(
    node: BaseNode, topic: str, transport: str, callback: Callable[[AnyImage], None], qos: QoSProfile
) -> str:
    """Hear a camera; return the topic that is heard.

    Args:
        node: Hears it.
        topic: The camera's topic, which may be remapped.
        transport: What `image_transport` says; what is compressed comes below the topic.
        callback: Takes each message.
        qos: How to ask for them.
    """
    heard = picture_topic(node, topic, transport)
    node.create_subscription(Image if transport == "raw" else CompressedImage, heard, callback, qos)
    return heard


def picture_topic(node: BaseNode, topic: str, transport: str) -> str:
    """Where a camera's pictures come: on its topic, or below it if they are compressed, as image_transport has it."""
    return topic if transport == "raw" else f"{node.resolve_topic_name(topic)}/{transport}"


def image_message(rgb: NDArray[np.uint8], header_: Header) -> Image:
    """A message from an RGB picture, shape (height, width, 3)."""
    height, width, channels = rgb.shape
    return Image(
        header=header_,
        height=height,
        width=width,
        encoding="rgb8",
        step=width * channels,
        data=array.array("B", rgb.tobytes()),
    )


def metres_message(metres: NDArray[np.float32], header_: Header) -> Image:
    """A message from a picture of distances in metres, shape (height, width)."""
    height, width = metres.shape
    data = array.array("B", np.ascontiguousarray(metres, dtype="<f4").tobytes())
    return Image(header=header_, height=height, width=width, encoding="32FC1", step=4 * width, data=data)


def grey_message(grey: NDArray[np.uint8], header_: Header) -> Image:
    """A message from a grey picture, shape (height, width)."""
    height, width = grey.shape
    data = array.array("B", grey.tobytes())
    return Image(header=header_, height=height, width=width, encoding="mono8", step=width, data=data)


def picture_array(message: AnyImage) -> NDArray[np.uint8]:
    """The picture of a message: RGB, shape (height, width, 3), or (height, width) if it has no colours.

    Raises:
        UserError: The encoding is not supported, or the message is cut short.
    """
    if isinstance(message, CompressedImage):
        return uncompressed_picture(message.data, message.format)
    return image_array(
        message.data, message.height, message.width, message.step, message.encoding, bool(message.is_bigendian)
    )


def rgb_array(message: AnyImage) -> NDArray[np.uint8]:
    """The same as RGB in any case, shape (height, width, 3)."""
    picture = picture_array(message)
    return np.repeat(picture[..., None], 3, axis=2) if picture.ndim == 2 else picture


def depth_array(message: AnyImage) -> NDArray[np.float32]:
    """The distances in a message, in metres, shape (height, width); NaN where there is none.

    Raises:
        UserError: The encoding holds no distances, or the message is cut short.
    """
    if isinstance(message, CompressedImage):
        return uncompressed_metres(message.data, message.format)
    return metres_array(
        message.data, message.height, message.width, message.step, message.encoding, bool(message.is_bigendian)
    )


def camera_info_message(
    matrix: Array, width: int, height: int, header_: Header, distortion: Array | None = None
) -> CameraInfo:
    """A pinhole camera's intrinsics as a message: matrix (3, 3) and plumb_bob coefficients; none for an ideal one."""
    return CameraInfo(
        header=header_,
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=doubles(np.zeros(5) if distortion is None else distortion),
        k=matrix.ravel(),
        r=np.eye(3).ravel(),
        p=np.column_stack((matrix, np.zeros(3))).ravel(),
    )


class Calibration:
    """The newest calibration of a camera, and what it means for pictures of a size.

    Args:
        missing: What to say as long as none has come.
    """

    def __init__(self, missing: str) -> None:
        self._missing = missing
        self._message: CameraInfo | None = None
        self._values: tuple[object, ...] = ()

    @property
    def has_come(self) -> bool:
        """Whether there is any, good or bad."""
        return self._message is not None

    def take(self, message: CameraInfo) -> bool:
        """Keep a calibration; whether it is another one than before."""
        roi = message.roi
        values = (
            *(message.width, message.height, tuple(message.k), tuple(message.d), message.distortion_model),
            *(message.binning_x, message.binning_y, roi.x_offset, roi.y_offset, roi.width, roi.height),
        )
        changed = values != self._values
        self._message, self._values = message, values
        return changed

    def camera(self, size: tuple[int, int] | None = None) -> Camera:
        """The camera of the pictures: of those that are sent by binning and region of interest, or of all pixels.

        Args:
            size: Width and height of a picture; None: as the calibration says.

        Raises:
            UserError: None has come; it is empty, of a model that is not known here, or makes no sense; or the
                picture has another size.
        """
        message = self._message
        if message is None:
            raise UserError(self._missing)
        camera = Camera.create(message.width, message.height, message.k, message.d, message.distortion_model)
        if size == (camera.width, camera.height):
            return camera  # a driver may bin, and calibrate what it has binned
        roi = message.roi
        window = (roi.x_offset, roi.y_offset, roi.width, roi.height)
        camera = camera.windowed(window, (message.binning_x, message.binning_y))
        if size is not None and size != (camera.width, camera.height):
            raise UserError(
                f"the image is {size[0]}x{size[1]} but the calibration is for {camera.width}x{camera.height}: publish "
                "the camera_info of this image size"
            )
        return camera
