"""Every encoding that camera drivers send, against pixels that are known."""

import struct

import cv2
import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.perception import image_array, metres_array, uncompressed_metres, uncompressed_picture
from sac_gmm.perception.image_encodings import _LAYOUTS

RANDOM = np.random.default_rng(0)
COLOUR = (40, 200, 90)


@pytest.mark.parametrize(
    ("encoding", "pixel"),
    [
        ("rgb8", [1, 2, 3]),
        ("bgr8", [3, 2, 1]),
        ("rgba8", [1, 2, 3, 9]),
        ("bgra8", [3, 2, 1, 9]),
        ("8UC3", [3, 2, 1]),
        ("8UC4", [3, 2, 1, 9]),
        ("rgb16", [77, 1, 77, 2, 77, 3]),  # the smaller byte first
        ("bgr16", [77, 3, 77, 2, 77, 1]),
        ("rgba16", [77, 1, 77, 2, 77, 3, 77, 9]),
        ("bgra16", [77, 3, 77, 2, 77, 1, 77, 9]),
    ],
)
def test_every_order_of_colours_becomes_rgb_and_row_padding_is_skipped(encoding, pixel):
    row = bytes(pixel) * 5 + b"\xff" * 3  # three bytes of padding
    picture = image_array(row * 4, 4, 5, len(row), encoding)
    assert picture.shape == (4, 5, 3) and picture.dtype == np.uint8
    assert (picture == [1, 2, 3]).all()


def test_grey_stays_grey():
    for encoding in ("mono8", "8UC1"):
        assert image_array(bytes(range(6)), 2, 3, 3, encoding).tolist() == [[0, 1, 2], [3, 4, 5]]
    sixteen = np.array([[0x1234, 0x00FF], [0xFFFF, 0x0100]], "<u2")
    assert image_array(sixteen.tobytes(), 2, 2, 4, "mono16").tolist() == [[0x12, 0], [0xFF, 1]]
    swapped = sixteen.astype(">u2").tobytes()
    assert image_array(swapped, 2, 2, 4, "mono16", big_endian=True).tolist() == [[0x12, 0], [0xFF, 1]]


def mosaic(order):
    """What a sensor with this pattern sees of one colour: the upper left four pixels, row by row, as `order` says."""
    value = dict(zip("rgb", COLOUR, strict=True))
    return np.tile([[value[order[0]], value[order[1]]], [value[order[2]], value[order[3]]]], (8, 8)).astype(np.uint8)


@pytest.mark.parametrize("order", ["rggb", "bggr", "gbrg", "grbg"])
def test_a_sensor_s_mosaic_becomes_colours(order):
    seen = mosaic(order)
    assert (image_array(seen.tobytes(), 16, 16, 16, f"bayer_{order}8") == COLOUR).all()
    sixteen = (seen.astype("<u2") << 8).tobytes()
    assert (image_array(sixteen, 16, 16, 32, f"bayer_{order}16") == COLOUR).all()


@pytest.mark.parametrize(
    ("ycbcr", "rgb"),  # ITU-R BT.601: white, black, and the colour bars' red and blue
    [
        ((235, 128, 128), (255, 255, 255)),
        ((16, 128, 128), (0, 0, 0)),
        ((81, 90, 240), (255, 0, 0)),
        ((41, 240, 110), (0, 0, 255)),
    ],
)
def test_video_becomes_colours(ycbcr, rgb):
    y, u, v = ycbcr
    for encodings, pair in ((("yuv422", "uyvy"), [u, y, v, y]), (("yuv422_yuy2", "yuyv"), [y, u, y, v])):
        for encoding in encodings:
            picture = image_array(bytes(pair) * 8, 4, 4, 8, encoding)
            assert picture.shape == (4, 4, 3) and np.abs(picture.astype(int) - rgb).max() <= 3


def test_no_encoding_is_without_a_test():
    tested = {"mono8", "8UC1", "mono16", "yuv422", "uyvy", "yuv422_yuy2", "yuyv", "8UC3", "8UC4"}
    tested |= {f"{order}{bits}" for order in ("rgb", "bgr", "rgba", "bgra") for bits in (8, 16)}
    tested |= {f"bayer_{order}{bits}" for order in ("rggb", "bggr", "gbrg", "grbg") for bits in (8, 16)}
    assert set(_LAYOUTS) == tested


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((b"\0" * 12, 2, 2, 6, "nv12"), "'nv12' is not supported: publish one of rgb8"),
        ((b"\0" * 8, 2, 2, 4, "16UC1"), "'16UC1' is not supported; it holds distances"),
        ((b"\0" * 11, 2, 2, 6, "rgb8"), "11 bytes, expected 12"),
        ((b"\0" * 12, 2, 2, 5, "rgb8"), "broken"),
        ((b"\0" * 7, 2, 2, 4, "mono16"), "image of 2x2 mono16 with row step 4 holds 7 bytes, expected 8"),
        ((b"", 0, 0, 0, "rgb8"), "broken"),
    ],
)
def test_a_broken_image_is_named(arguments, words):
    with pytest.raises(UserError, match=words):
        image_array(*arguments)


@pytest.mark.parametrize("order", ["<", ">"])
def test_distances_are_metres_and_what_is_not_known_is_no_number(order):
    for encoding in ("16UC1", "mono16"):
        data = np.array([[1000, 0, 9], [250, 65535, 9]], f"{order}u2").tobytes()  # a column of padding
        metres = metres_array(data, 2, 2, 6, encoding, order == ">")
        assert metres.dtype == np.float32
        np.testing.assert_allclose(metres, [[1.0, np.nan], [0.25, 65.535]], rtol=1e-6)
    exact = np.array([[0.5, np.nan], [0.0, np.inf]], f"{order}f4")
    np.testing.assert_array_equal(metres_array(exact.tobytes(), 2, 2, 8, "32FC1", order == ">"), exact.astype("<f4"))
    with pytest.raises(UserError, match="depth encoding 'rgb8' is not supported"):
        metres_array(b"", 1, 1, 3, "rgb8")


def packed(picture, ending=".png"):
    return cv2.imencode(ending, np.ascontiguousarray(picture))[1].tobytes()


def test_compressed_pictures_are_what_they_were():
    rgb = RANDOM.integers(0, 255, (6, 8, 3), np.uint8)
    bgr = rgb[..., ::-1]
    for data, format_ in (
        (packed(bgr), "png"),
        (packed(bgr), "bgr8; png compressed bgr8"),
        (packed(rgb), "rgb8; png compressed rgb8"),  # some packers leave the order as it came
        (packed(np.dstack((bgr, np.full((6, 8), 9, np.uint8)))), "bgra8; png compressed bgra8"),
        (packed(bgr.astype(np.uint16) << 8), "rgb16; png compressed bgr16"),
    ):
        np.testing.assert_array_equal(uncompressed_picture(data, format_), rgb)
    smooth = cv2.GaussianBlur(cv2.resize(rgb, (80, 60)), (0, 0), 6)
    near = uncompressed_picture(packed(smooth[..., ::-1], ".jpg"), "rgb8; jpeg compressed bgr8")
    assert np.abs(near.astype(int) - smooth).mean() < 3.0
    grey = RANDOM.integers(0, 255, (6, 8), np.uint8)
    np.testing.assert_array_equal(uncompressed_picture(packed(grey), "mono8; png compressed "), grey)
    np.testing.assert_array_equal(
        uncompressed_picture(packed(grey.astype(np.uint16) << 8), "mono16; png compressed"), grey
    )
    sensor = uncompressed_picture(packed(mosaic("grbg")), "bayer_grbg8; png compressed bayer_grbg8")
    assert (sensor == COLOUR).all()


def test_compressed_distances_are_metres():
    millimetres = np.array([[500, 0], [1234, 65535]], np.uint16)
    metres = [[0.5, np.nan], [1.234, 65.535]]
    np.testing.assert_allclose(uncompressed_metres(packed(millimetres), "16UC1; png compressed "), metres, rtol=1e-6)
    header = struct.pack("<iff", 0, 0.0, 0.0)
    np.testing.assert_allclose(
        uncompressed_metres(header + packed(millimetres), "16UC1; compressedDepth png"), metres, rtol=1e-6
    )
    # compressed_depth_image_transport quantises 1 / distance: number = a / distance + b
    a, b = 100.0 * 101.0, 1.0 - 100.0 * 101.0 / 10.0
    distances = np.array([[0.5, 2.0], [9.0, 5.0]])
    numbers = np.round(a / distances + b).astype(np.uint16)
    numbers[1, 1] = 0
    read = uncompressed_metres(struct.pack("<iff", 0, a, b) + packed(numbers), "32FC1; compressedDepth png")
    np.testing.assert_allclose(read, [[0.5, 2.0], [9.0, np.nan]], rtol=0.01)


@pytest.mark.parametrize(
    ("read", "data", "format_", "words"),
    [
        (uncompressed_picture, b"no picture", "jpeg", r"\('jpeg', 10 bytes\) cannot be read: publish jpeg"),
        (uncompressed_picture, b"", "png", "0 bytes"),
        (uncompressed_picture, b"", "16UC1; png compressed", "holds distances, no picture"),
        (uncompressed_metres, packed(np.zeros((2, 2, 3), np.uint8)), "bgr8; png compressed", "holds no distances"),
        (uncompressed_metres, b"\0" * 5, "16UC1; compressedDepth", "holds 5 bytes: the driver sends a broken"),
    ],
)
def test_a_broken_compressed_image_is_named(read, data, format_, words):
    with pytest.raises(UserError, match=words):
        read(data, format_)
