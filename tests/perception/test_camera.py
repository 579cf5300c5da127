import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.perception import Camera, image_array

K = [600, 0, 320, 0, 600, 240, 0, 0, 1]


@pytest.mark.parametrize(
    ("encoding", "pixel"),
    [("rgb8", [1, 2, 3]), ("bgr8", [3, 2, 1]), ("rgba8", [1, 2, 3, 9]), ("bgra8", [3, 2, 1, 9])],
)
def test_every_encoding_becomes_rgb_and_row_padding_is_skipped(encoding, pixel):
    row = bytes(pixel) * 5 + b"\xff" * 3  # three bytes of padding
    picture = image_array(row * 4, 4, 5, len(row), encoding)
    assert picture.shape == (4, 5, 3)
    assert (picture == [1, 2, 3]).all()


def test_grey_stays_grey():
    assert image_array(bytes(range(6)), 2, 3, 3, "mono8").tolist() == [[0, 1, 2], [3, 4, 5]]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((b"\0" * 12, 2, 2, 6, "bayer_rggb8"), "bayer_rggb8.*rgb8"),
        ((b"\0" * 11, 2, 2, 6, "rgb8"), "11 bytes, expected 12"),
        ((b"\0" * 12, 2, 2, 5, "rgb8"), "broken"),
        ((b"", 0, 0, 0, "rgb8"), "broken"),
    ],
)
def test_a_broken_image_is_named(arguments, words):
    with pytest.raises(UserError, match=words):
        image_array(*arguments)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((640, 480, [0.0] * 9), "not a\\s+calibrated camera"),
        ((640, 480, [1.0] * 8), "8 numbers"),
        ((640, 480, [np.nan, *K[1:]]), "not finite"),
        ((0, 480, K), "not a\\s+calibrated camera"),
        ((640, 480, K, [0.0] * 3), "3 distortion"),
        ((640, 480, K, [0.1, 0.0, 0.0, 0.0], "equidistant"), "model is 'equidistant'.*undistort the pictures first"),
    ],
)
def test_a_missing_calibration_is_named(arguments, words):
    with pytest.raises(UserError, match=words):
        Camera.create(*arguments)


@pytest.mark.parametrize(("model", "n"), [("", 0), ("plumb_bob", 4), ("plumb_bob", 5), ("rational_polynomial", 8)])
def test_the_models_that_are_known_are_taken(model, n):
    assert Camera.create(640, 480, K, [0.01] * n, model).distortion.size == n
