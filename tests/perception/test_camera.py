import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.perception import Camera

K = [600, 0, 320, 0, 600, 240, 0, 0, 1]


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


@pytest.mark.parametrize(
    ("roi", "binning", "size"),
    [
        ((0, 0, 0, 0), (0, 0), (640, 480)),
        ((100, 60, 320, 240), (1, 1), (320, 240)),
        ((0, 0, 0, 0), (2, 2), (320, 240)),
        ((64, 32, 512, 384), (4, 2), (128, 192)),
    ],
)
def test_a_region_and_binning_leave_every_point_on_its_pixel(roi, binning, size):
    full = Camera.create(640, 480, K, [0.01] * 5)
    sent = full.windowed(roi, binning)
    assert (sent.width, sent.height) == size and (sent.distortion == full.distortion).all()
    points = np.array([[0.1, 0.05, 1.0], [-0.2, 0.1, 1.0]])
    before, after = points @ full.matrix.T, points @ sent.matrix.T
    wanted = (before[:, :2] - roi[:2]) / np.maximum(binning, 1)
    assert np.allclose(after[:, :2], wanted)


def test_a_region_outside_of_the_picture_is_refused():
    with pytest.raises(UserError, match=r"region of interest of 320x240 at 400, 0 does not lie within the 640x480"):
        Camera.create(640, 480, K).windowed((400, 0, 320, 240))


def test_a_resized_picture_has_its_edges_where_they_were():
    full = Camera.create(640, 480, K, [0.01] * 5)
    small = full.resized(64, 96)
    assert (small.width, small.height, small.distortion.size) == (64, 96, 5)
    assert (small.matrix[0, 0], small.matrix[1, 1]) == (60.0, 120.0)
    for scale, corner, middle in ((0.1, 0, small.matrix[0, 2]), (0.2, 1, small.matrix[1, 2])):
        assert middle == pytest.approx((full.matrix[corner, 2] + 0.5) * scale - 0.5)
