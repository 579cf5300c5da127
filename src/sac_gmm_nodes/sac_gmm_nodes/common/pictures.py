"""Conversions between image messages and numpy arrays, and a camera's calibration to and from a message."""

from __future__ import annotations

import array

import numpy as np
from numpy.typing import NDArray
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header

from sac_gmm.core.errors import UserError
from sac_gmm.perception import Camera, image_array
from sac_gmm_nodes.common.conversions import doubles

Array = NDArray[np.float64]


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


def picture_array(message: Image) -> NDArray[np.uint8]:
    """The picture of a message: RGB, shape (height, width, 3), or (height, width) for mono8.

    Raises:
        UserError: The encoding is not supported, or the message holds fewer bytes than its size requires.
    """
    return image_array(message.data, message.height, message.width, message.step, message.encoding)


def depth_array(message: Image) -> NDArray[np.float32]:
    """The distances in a 32FC1 message, in metres, shape (height, width)."""
    order = ">f4" if message.is_bigendian else "<f4"
    rows = np.frombuffer(message.data, dtype=order).reshape(message.height, message.step // 4)
    return rows[:, : message.width].astype(np.float32)


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
