"""Pictures of one camera as those of another: what is cut out, and where things then are."""

import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.perception import Camera, Fit

VGA = Camera.create(640, 480, [600, 0, 330, 0, 590, 250, 0, 0, 1])


@pytest.mark.parametrize(
    ("size", "region"),
    [
        ((64, 64), (0, 0, 64, 64)),
        ((640, 480), (80, 0, 480, 480)),
        ((480, 640), (0, 80, 480, 480)),
        ((1280, 720), (280, 0, 720, 720)),
        ((32, 32), (0, 0, 32, 32)),
        ((65, 64), (0, 0, 64, 64)),
    ],
)
def test_the_middle_is_cut_out_in_the_wanted_shape(size, region):
    fit = Fit.to_size(size, (64, 64))
    assert fit.region == region
    assert fit.picture(np.zeros((size[1], size[0], 3), np.uint8)).shape == (64, 64, 3)


def test_a_shape_that_is_not_square_is_kept():
    fit = Fit.to_size((640, 480), (80, 40))
    assert fit.region == (0, 80, 640, 320)


def test_a_picture_of_the_right_size_stays_as_it_is():
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    assert np.shares_memory(Fit.to_size((64, 64), (64, 64)).picture(picture), picture)


def bright_spot(fit, camera, point_m):
    """Where a point shows in the fitted picture, by the picture itself: a soft spot, drawn where the camera sees it."""
    u, v = (camera.matrix @ point_m / point_m[2])[:2]
    y, x = np.mgrid[: camera.height, : camera.width]
    spot = 255.0 * np.exp(-((x - u) ** 2 + (y - v) ** 2) / (2 * 20.0**2))
    small = fit.picture(np.repeat(spot[..., None], 3, axis=2).astype(np.uint8))[..., 0].astype(float)
    y, x = np.mgrid[: small.shape[0], : small.shape[1]]
    return np.array([(x * small).sum(), (y * small).sum()]) / small.sum()


@pytest.mark.parametrize("fit", [Fit.to_size((640, 480), (64, 64)), Fit.to_view(VGA, (64, 64), 100.0)])
def test_the_fitted_camera_sees_things_where_they_are_in_the_fitted_picture(fit):
    camera, point = fit.camera(VGA), np.array([0.05, -0.08, 1.0])
    assert (camera.width, camera.height) == (64, 64)
    expected = (camera.matrix @ point)[:2]
    assert np.abs(bright_spot(fit, VGA, point) - expected).max() < 0.15


def test_the_view_has_the_focal_length_and_the_axis_of_the_wanted_camera():
    camera = Fit.to_view(VGA, (64, 64), 120.0).camera(VGA)
    assert camera.matrix[0, 0] == pytest.approx(120.0, rel=0.01)
    assert camera.matrix[1, 1] == pytest.approx(120.0, rel=0.01)
    assert np.abs(camera.matrix[:2, 2] - 31.5).max() < 0.15, "the axis goes through the middle"


def test_the_widest_view_is_the_cut_by_the_shape_alone():
    middle = Camera.create(640, 480, [600, 0, 319.5, 0, 600, 239.5, 0, 0, 1])
    assert Fit.to_view(middle, (64, 64), 80.0) == Fit.to_size((640, 480), (64, 64))


def test_a_lens_that_sees_too_little_is_refused():
    with pytest.raises(UserError, match=r"resized to 64x64 .* focal length of 80\.0 px at least, and 60 px are wanted"):
        Fit.to_view(VGA, (64, 64), 60.0)


def test_distances_are_never_mixed():
    metres = np.repeat(np.array([[0.5, 2.0]], np.float32), 40, axis=1).repeat(80, axis=0)
    metres[10:20, 10:20] = np.nan
    fitted = Fit.to_size((80, 80), (30, 30)).distances(metres)
    assert set(np.unique(fitted[np.isfinite(fitted)]).tolist()) == {0.5, 2.0} and np.isnan(fitted).any()
