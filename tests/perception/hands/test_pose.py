import numpy as np
import pytest
from hand_shapes import hand_shape, observe
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sac_gmm.core.errors import UserError
from sac_gmm.perception import Camera
from sac_gmm.perception.hands import HandPoseEstimator, depth_image

CAMERA = Camera.create(640, 480, [600.0, 0.0, 319.5, 0.0, 600.0, 239.5, 0.0, 0.0, 1.0])
WIDTH_M = float(np.linalg.norm(hand_shape()[5] - hand_shape()[17]))
angle = st.floats(-0.6, 0.6)


def place(rotation, position, pinch=0.0):
    return hand_shape(pinch) @ rotation.T + position


@settings(deadline=None, max_examples=50)
@given(st.tuples(angle, angle, angle), st.tuples(st.floats(-0.1, 0.1), st.floats(-0.05, 0.1), st.floats(0.3, 1.2)))
def test_the_palms_width_makes_the_distance_right(turn, position):
    """Whatever size the model guesses."""
    truth = place(Rotation.from_rotvec(turn).as_matrix(), position)
    for guess in (0.7, 1.3):
        pose = HandPoseEstimator(CAMERA, WIDTH_M).estimate(observe(CAMERA, truth, guess=guess))
        assert pose.size_from == "palm width"
        assert np.abs(pose.landmarks_m - truth).max() < 1e-4
        assert pose.palm_width_m == pytest.approx(WIDTH_M, abs=1e-4)
        assert pose.confidence > 0.9


def test_axes_points_and_opening():
    truth = place(np.eye(3), [0.0, 0.0, 0.5], pinch=1.0)
    for side, out in (("right", [0, 0, 1]), ("left", [0, 0, -1])):
        pose = HandPoseEstimator(CAMERA, WIDTH_M).estimate(observe(CAMERA, truth, side))
        assert np.allclose(pose.rotation @ pose.rotation.T, np.eye(3))
        assert np.linalg.det(pose.rotation) == pytest.approx(1.0)
        assert pose.rotation[:, 0] @ [0, -1, 0] > 0.98, "x from the wrist to the fingers"
        assert pose.rotation[:, 2] @ out > 0.95, "z out of the back of the hand"
        assert pose.opening_m == pytest.approx(0.01, abs=1e-5)
        assert np.allclose(pose.at("pinch"), 0.5 * (truth[4] + truth[8]), atol=1e-5)
        assert np.allclose(pose.at("wrist"), truth[0], atol=1e-5)
        assert np.allclose(pose.at("palm"), truth[[0, 5, 9, 13, 17]].mean(axis=0), atol=1e-5)


def depth_of(truth):
    """A depth image with the palm's depth around each of its points, nothing elsewhere."""
    depth = np.full((480, 640), np.nan, np.float32)
    for point in truth[[0, 5, 9, 13, 17]]:
        u, v = np.rint((CAMERA.matrix @ point)[:2] / point[2]).astype(int)
        depth[v - 8 : v + 9, u - 8 : u + 9] = point[2]
    return depth


def test_depth_makes_the_distance_right_and_teaches_the_hands_size():
    estimator = HandPoseEstimator(CAMERA)
    truth = place(Rotation.from_rotvec([0.3, 0.2, 0.1]).as_matrix(), [0.02, 0.03, 0.6])
    seen = observe(CAMERA, truth, guess=0.8)
    assert estimator.estimate(seen).size_from == "model"
    assert np.abs(estimator.estimate(seen).landmarks_m - truth).max() > 0.05
    pose = estimator.estimate(seen, depth_of(truth))
    assert pose.size_from == "depth"
    assert np.abs(pose.landmarks_m - truth).max() < 2e-3
    without = estimator.estimate(seen)
    assert without.size_from == "palm width", "known by now"
    assert np.abs(without.landmarks_m - truth).max() < 2e-3


def test_depth_with_holes_or_of_something_else_is_not_believed():
    truth = place(np.eye(3), [0.0, 0.0, 0.6])
    seen = observe(CAMERA, truth)
    two_points = depth_of(truth)
    two_points[:, 312:] = np.nan  # which leaves the knuckles of ring and little finger
    scattered = depth_of(truth)
    for point, factor in zip(truth[[0, 5, 9, 13, 17]], (0.6, 1.0, 1.0, 1.6, 0.8), strict=True):
        u, v = np.rint((CAMERA.matrix @ point)[:2] / point[2]).astype(int)
        scattered[v - 8 : v + 9, u - 8 : u + 9] = factor * point[2]
    for depth in (two_points, np.full((480, 640), np.nan, np.float32), scattered):
        assert HandPoseEstimator(CAMERA, WIDTH_M).estimate(seen, depth).size_from == "palm width"
    with pytest.raises(UserError, match=r"depth image is 320x240 but the calibration is for 640x480"):
        HandPoseEstimator(CAMERA).estimate(seen, np.ones((240, 320), np.float32))


def test_landmarks_that_are_no_hand_make_no_pose_or_an_unsure_one():
    estimator = HandPoseEstimator(CAMERA, WIDTH_M)
    truth = place(np.eye(3), [0.0, 0.0, 0.5])
    seen = observe(CAMERA, truth)
    object.__setattr__(seen, "landmarks_px", np.zeros((21, 2)) + 100.0)
    assert estimator.estimate(seen) is None
    rng = np.random.default_rng(0)
    object.__setattr__(seen, "landmarks_px", rng.uniform(0, 480, (21, 2)))
    pose = estimator.estimate(seen)
    assert pose is None or pose.confidence < 0.3


def test_a_palm_that_nobody_has_is_refused():
    with pytest.raises(UserError, match=r"palm width is 0\.5 m"):
        HandPoseEstimator(CAMERA, 0.5)


def test_depth_images_are_read():
    millimetres = np.array([[1000, 0], [250, 5]], np.uint16)
    metres = depth_image(millimetres.tobytes(), 2, 2, 4, "16UC1")
    assert np.allclose(metres, [[1.0, np.nan], [0.25, 0.005]], equal_nan=True)
    padded = np.array([[1.5, np.inf, 9], [-1.0, np.nan, 9]], np.float32)
    assert np.allclose(depth_image(padded.tobytes(), 2, 2, 12, "32FC1")[0, 0], 1.5)
    assert np.isnan(depth_image(padded.tobytes(), 2, 2, 12, "32FC1")[1]).all()
    with pytest.raises(UserError, match="depth encoding 'rgb8' is not supported"):
        depth_image(b"", 2, 2, 6, "rgb8")
    with pytest.raises(UserError, match="holds 3 bytes, expected 8"):
        depth_image(b"abc", 2, 2, 4, "16UC1")
