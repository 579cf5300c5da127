"""Pictures and distances from the bytes of image messages, in every encoding that camera drivers send.

The names of the encodings are those of sensor_msgs/image_encodings.h; the formats of compressed images are those of
image_transport's plugins `compressed` and `compressedDepth`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError

Bytes = bytes | bytearray | memoryview | npt.NDArray[np.uint8]
Picture = npt.NDArray[np.uint8]
_DEPTH_HEADER = struct.Struct("<iff")  # of compressedDepth: format, and the two numbers of the quantised inverse depth


class _Layout(NamedTuple):
    """How the pixels of an encoding lie in memory.

    Attributes:
        kind: Of one number.
        channels: Numbers per pixel.
        to_picture: Makes RGB or grey of the (height, width, channels) bytes.
    """

    kind: str
    channels: int
    to_picture: Callable[[npt.NDArray[np.uint8]], npt.NDArray[np.uint8]]


def _grey(pixels: Picture) -> Picture:
    return pixels[..., 0]


def _rgb(pixels: Picture) -> Picture:
    return pixels[..., :3]


def _bgr(pixels: Picture) -> Picture:
    return pixels[..., [2, 1, 0]]


def _by_opencv(code: int) -> Callable[[Picture], Picture]:
    def convert(pixels: Picture) -> Picture:
        return np.asarray(cv2.cvtColor(np.ascontiguousarray(pixels), code), np.uint8)

    return convert


def _mosaic(code: int) -> Callable[[Picture], Picture]:
    convert = _by_opencv(code)
    return lambda pixels: convert(pixels[..., 0])


_BAYER = {
    "rggb": cv2.COLOR_BayerRGGB2RGB,
    "bggr": cv2.COLOR_BayerBGGR2RGB,
    "gbrg": cv2.COLOR_BayerGBRG2RGB,
    "grbg": cv2.COLOR_BayerGRBG2RGB,
}
_UYVY, _YUYV = _by_opencv(cv2.COLOR_YUV2RGB_UYVY), _by_opencv(cv2.COLOR_YUV2RGB_YUYV)
_LAYOUTS: dict[str, _Layout] = {
    "rgb8": _Layout("u1", 3, _rgb),
    "bgr8": _Layout("u1", 3, _bgr),
    "rgba8": _Layout("u1", 4, _rgb),
    "bgra8": _Layout("u1", 4, _bgr),
    "mono8": _Layout("u1", 1, _grey),
    "rgb16": _Layout("u2", 3, _rgb),
    "bgr16": _Layout("u2", 3, _bgr),
    "rgba16": _Layout("u2", 4, _rgb),
    "bgra16": _Layout("u2", 4, _bgr),
    "mono16": _Layout("u2", 1, _grey),
    "8UC1": _Layout("u1", 1, _grey),
    "8UC3": _Layout("u1", 3, _bgr),
    "8UC4": _Layout("u1", 4, _bgr),
    **{f"bayer_{order}8": _Layout("u1", 1, _mosaic(code)) for order, code in _BAYER.items()},
    **{f"bayer_{order}16": _Layout("u2", 1, _mosaic(code)) for order, code in _BAYER.items()},
    "yuv422": _Layout("u1", 2, _UYVY),
    "uyvy": _Layout("u1", 2, _UYVY),
    "yuv422_yuy2": _Layout("u1", 2, _YUYV),
    "yuyv": _Layout("u1", 2, _YUYV),
}
_DISTANCES = {"32FC1": ("f4", 1.0), "16UC1": ("u2", 1e-3), "mono16": ("u2", 1e-3)}


def image_array(
    data: Bytes, height: int, width: int, step: int, encoding: str, big_endian: bool = False
) -> npt.NDArray[np.uint8]:
    """The bytes of a sensor_msgs/Image as a picture; nothing is copied if the order of the bytes allows it.

    Args:
        data: At least `step * height` bytes, row by row.
        height: Rows.
        width: Columns.
        step: Bytes per row, padding included.
        encoding: A name of sensor_msgs: rgb, bgr, with or without alpha, mono (8 or 16 bit), bayer_* or yuv422.
        big_endian: Whether numbers of two bytes begin with the larger one.

    Returns:
        (height, width, 3) RGB, or (height, width) if it has no colours; uint8. Of 16 bits the upper eight are kept.

    Raises:
        UserError: Unknown encoding, or fewer bytes than the size requires.
    """
    if encoding not in _LAYOUTS:
        distances = "; it holds distances" if encoding in _DISTANCES else ""
        raise UserError(
            f"image encoding '{encoding}' is not supported{distances}: publish one of {', '.join(_LAYOUTS)}"
        )
    layout = _LAYOUTS[encoding]
    pixels = _pixels(data, height, width, step, f"image of {width}x{height} {encoding}", layout, big_endian)
    return layout.to_picture(_eight_bits(pixels))


def metres_array(
    data: Bytes, height: int, width: int, step: int, encoding: str, big_endian: bool = False
) -> npt.NDArray[np.float32]:
    """The bytes of a sensor_msgs/Image as distances.

    Args:
        data: At least `step * height` bytes, row by row.
        height: Rows.
        width: Columns.
        step: Bytes per row, padding included.
        encoding: `16UC1` or `mono16` (millimetres, 0 for unknown), or `32FC1` (metres), as in REP 118.
        big_endian: Whether a number begins with its largest byte.

    Returns:
        (height, width) float32, m; NaN where it is not known.

    Raises:
        UserError: Unknown encoding, or fewer bytes than the size requires.
    """
    if encoding not in _DISTANCES:
        raise UserError(f"depth encoding '{encoding}' is not supported: publish one of {', '.join(_DISTANCES)}")
    kind, unit_m = _DISTANCES[encoding]
    layout = _Layout(kind, 1, _grey)
    what = f"depth image of {width}x{height} {encoding}"
    return _metres(_pixels(data, height, width, step, what, layout, big_endian)[..., 0], unit_m)


def uncompressed_picture(data: Bytes, format_: str) -> npt.NDArray[np.uint8]:
    """The picture of a sensor_msgs/CompressedImage.

    Args:
        data: JPEG or PNG.
        format_: What the message says of it: `jpeg`, `png`, or as image_transport does, `rgb8; jpeg compressed bgr8`.

    Returns:
        As `image_array`.

    Raises:
        UserError: It cannot be read.
    """
    encoding, _, packed = format_.partition(";")
    if encoding in ("16UC1", "32FC1"):
        raise UserError(f"the compressed image ('{format_}') holds distances, no picture: take another topic")
    pixels = _unpacked(data, format_)
    if pixels.ndim == 2:
        height, width = pixels.shape
        if encoding.startswith("bayer_") and encoding in _LAYOUTS:  # packed as it came from the sensor
            eight = _eight_bits(pixels)
            return image_array(eight.tobytes(), height, width, width, encoding.replace("16", "8"))
        return _eight_bits(pixels)
    pixels = _eight_bits(pixels)
    return pixels[..., :3] if "compressed rgb" in packed else pixels[..., [2, 1, 0]]  # OpenCV reads it as BGR


def uncompressed_metres(data: Bytes, format_: str) -> npt.NDArray[np.float32]:
    """The distances of a sensor_msgs/CompressedImage.

    Args:
        data: PNG of 16 bits, in millimetres; after the header of `compressedDepth`, if that packed it.
        format_: What the message says of it, such as `16UC1; png compressed` or `32FC1; compressedDepth png`.

    Returns:
        As `metres_array`.

    Raises:
        UserError: It cannot be read, or holds no distances.
    """
    encoding, _, packed = format_.partition(";")
    header = (0, 0.0, 0.0)
    if "compressedDepth" in packed:
        raw = bytes(data)
        if len(raw) <= _DEPTH_HEADER.size:
            raise UserError(
                f"the compressed image ('{format_}') holds {len(raw)} bytes: the driver sends a broken image"
            )
        header, data = _DEPTH_HEADER.unpack_from(raw), raw[_DEPTH_HEADER.size :]
    pixels = _unpacked(data, format_)
    if pixels.ndim != 2 or pixels.dtype != np.uint16:
        raise UserError(
            f"the compressed image ('{format_}') holds no distances: publish 16UC1 as PNG, or compressedDepth"
        )
    if encoding == "32FC1":  # quantised: distance = a / (number - b)
        _, a, b = header
        with np.errstate(divide="ignore"):
            metres = np.float32(a) / (pixels.astype(np.float32) - np.float32(b))
        metres[pixels == 0] = np.nan
        return metres
    return _metres(pixels, 1e-3)


def _pixels(
    data: Bytes, height: int, width: int, step: int, what: str, layout: _Layout, big_endian: bool
) -> npt.NDArray[Any]:
    """The numbers of an image, (height, width, channels), without the padding."""
    kind = np.dtype(("<", ">")[big_endian] + layout.kind)
    flat = np.frombuffer(data, dtype=np.uint8)
    row = width * layout.channels * kind.itemsize
    if height <= 0 or width <= 0 or step < row or flat.size < step * height:
        raise UserError(
            f"{what} with row step {step} holds {flat.size} bytes, expected {max(step, row) * height}: the driver "
            "publishes a broken image"
        )
    rows = flat[: step * height].reshape(height, step)[:, :row]
    if kind.itemsize > 1:
        rows = np.ascontiguousarray(rows).view(kind)
    return rows.reshape(height, width, layout.channels)


def _eight_bits(pixels: npt.NDArray[Any]) -> npt.NDArray[np.uint8]:
    return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)


def _metres(numbers: npt.NDArray[Any], unit_m: float) -> npt.NDArray[np.float32]:
    metres = numbers.astype(np.float32) * np.float32(unit_m)
    if numbers.dtype.kind == "u":
        metres[numbers == 0] = np.nan  # the sensor found none
    return metres


def _unpacked(data: Bytes, format_: str) -> npt.NDArray[Any]:
    packed = np.frombuffer(data, np.uint8)
    # Unchanged also means not turned by what EXIF says: a calibration is of the picture as it was taken.
    pixels = cv2.imdecode(packed, cv2.IMREAD_UNCHANGED) if packed.size else None
    if pixels is None or pixels.dtype not in (np.uint8, np.uint16):
        raise UserError(
            f"the compressed image ('{format_}', {packed.size} bytes) cannot be read: publish jpeg, png or raw images"
        )
    return np.asarray(pixels)
