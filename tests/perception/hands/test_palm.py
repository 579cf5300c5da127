import numpy as np
import pytest
from hand_shapes import hand_shape, observe
from scipy.spatial.transform import Rotation

from sac_gmm.perception import Camera
from sac_gmm.perception.hands import HandObservation, HandPoseEstimator
from sac_gmm.perception.hands.palm import PalmSize, palm_width_m
from sac_gmm.perception.hands.palm_scale import scale_to_palm

CAMERA = Camera.create(640, 480, [600.0, 0.0, 319.5, 0.0, 600.0, 239.5, 0.0, 0.0, 1.0])
WIDTH_M = palm_width_m(hand_shape())


def turned(degrees, flattened, distance_m=0.6, axis=1):
    """A hand turned about an axis, whose depth the model draws too flat."""
    vector = np.zeros(3)
    vector[axis] = np.radians(degrees)
    shape = hand_shape() @ Rotation.from_rotvec(vector).as_matrix().T
    seen = observe(CAMERA, shape + [0.02, 0.05, distance_m])
    return HandObservation(seen.landmarks_px, seen.shape_m * [1.0, 1.0, flattened], "right", 0.95)


@pytest.mark.parametrize("flattened", [0.2, 0.4, 0.7])
@pytest.mark.parametrize("order", ["flat first", "edge first", "to and fro"])
def test_a_hand_that_turns_stays_where_it_is(flattened, order):
    angles = {"flat first": range(0, 88, 4), "edge first": range(84, -4, -4), "to and fro": [*range(0, 88, 7)] * 3}
    estimator = HandPoseEstimator(CAMERA, WIDTH_M)
    for degrees in angles[order]:
        pose = estimator.estimate(turned(degrees, flattened))
        assert pose.size_from == "palm width"
        assert pose.position_m[2] == pytest.approx(0.6, abs=0.1), degrees


def test_one_scale_for_the_whole_film_whatever_comes_first():
    """The model's hand is a quarter too small; of the film, two thirds show it edge on."""
    model = HandPoseEstimator(CAMERA)
    angles = [*range(88, 60, -1), *range(0, 40, 3), None, *range(60, 88)]
    poses = [None if degrees is None else model.estimate(turned(degrees, 0.3)) for degrees in angles]
    smaller = [None if pose is None else pose.enlarged(0.8) for pose in poses]
    scaled, scale = scale_to_palm(smaller, WIDTH_M)
    seen = [(before, after) for before, after in zip(smaller, scaled, strict=True) if before is not None]
    factors = [after.position_m[2] / before.position_m[2] for before, after in seen]
    assert np.ptp(factors) < 1e-9 and factors[0] == pytest.approx(scale.scale)
    assert scale.scale == pytest.approx(1.25, rel=0.12)
    assert [pose is None for pose in scaled] == [degrees is None for degrees in angles]
    assert scale.pictures == len(angles) - 1 and 0.0 < scale.spread < 0.2
    less_sure = [after.confidence < 0.9 * before.confidence for before, after in seen]
    assert scale.contradicting == sum(less_sure) >= 20
    assert not any(less_sure[28:42]), "those with the palm to the camera are not among them"
    assert f"{scale.contradicting} of {scale.pictures} frames show a palm of another width" in scale.summary()
    assert scale_to_palm([None, None], WIDTH_M) == ([None, None], None)


def test_some_pictures_that_are_far_off_change_nothing():
    size, rng = PalmSize(), np.random.default_rng(0)
    for i in range(100):
        guess = 3.0 if i % 5 == 0 else rng.normal(1.0, 0.03)
        size.take(guess * hand_shape())
    assert size.width_m == pytest.approx(WIDTH_M, rel=0.02)
    assert 0.01 < size.spread < 0.1
    assert size.agreement(hand_shape()) == 1.0
    assert size.agreement(3.0 * hand_shape()) == pytest.approx(1 / 3, rel=0.05)


def test_depth_teaches_the_size_of_a_hand_that_turns_too():
    """Depth that came while it stood edge on must not make it another size when it shows its palm."""
    estimator = HandPoseEstimator(CAMERA)
    depth = np.full((480, 640), 0.6, np.float32)
    for degrees in range(60, 84, 2):
        assert estimator.estimate(turned(degrees, 0.3), depth).size_from == "depth"
    pose = estimator.estimate(turned(5, 0.3))
    assert pose.size_from == "palm width" and pose.position_m[2] == pytest.approx(0.6, abs=0.06)


def test_a_hand_without_extent_tells_nothing():
    size = PalmSize()
    size.take(np.zeros((21, 3)))
    size.take(np.full((21, 3), np.nan))
    assert size.pictures == 0 and np.isnan(size.width_m) and size.agreement(hand_shape()) == 1.0


def from_the_back(share, kind="none", degrees=10):
    """The back of a hand, whose palm the model draws at a share of its size though its landmarks are right."""
    turn = Rotation.from_rotvec([0.1, np.radians(180 - degrees), 0.0]).as_matrix()
    seen = observe(CAMERA, hand_shape() @ turn.T + [0.02, 0.05, 0.6], "left")
    shape, knuckles = seen.shape_m.copy(), [5, 9, 13, 17]
    if kind == "to the wrist":
        shape[knuckles] = shape[0] + share * (shape[knuckles] - shape[0])
    if kind == "to its middle":
        palm = [0, 1, *knuckles]
        shape[palm] = shape[palm].mean(axis=0) + share * (shape[palm] - shape[palm].mean(axis=0))
    return HandObservation(seen.landmarks_px, shape, "left", 0.95)


@pytest.mark.parametrize("kind", ["to the wrist", "to its middle"])
@pytest.mark.parametrize("share", [0.3, 0.5])
def test_a_palm_that_is_drawn_collapsed_moves_no_hand(kind, share):
    """In two of three pictures of a film, and in those that follow whole ones before a camera."""
    model = HandPoseEstimator(CAMERA)
    hands = [from_the_back(share, kind if i % 3 else "none", 10 + i // 3) for i in range(90)]
    scaled, scale = scale_to_palm([model.estimate(hand) for hand in hands], WIDTH_M)
    assert max(abs(pose.position_m[2] - 0.6) for pose in scaled) < 0.06
    assert scale.scale == pytest.approx(1.0, rel=0.1) and scale.collapsed == 60
    assert "in 60 of 90 frames the model drew the palm collapsed" in scale.summary()
    unscaled, without = scale_to_palm([model.estimate(hand) for hand in hands], None)
    assert max(abs(pose.position_m[2] - 0.6) for pose in unscaled) < 0.06
    assert {pose.size_from for pose in unscaled} == {"model"} and without.notes() == scale.notes()

    live = HandPoseEstimator(CAMERA, WIDTH_M)
    poses = [live.estimate(from_the_back(share, kind if i >= 20 else "none")) for i in range(80)]
    assert max(abs(pose.position_m[2] - 0.6) for pose in poses) < 0.03
    assert live.palm_scale.collapsed == 60 and live.palm_scale.as_dict()["collapsed"] == 60

    taught = HandPoseEstimator(CAMERA)
    depth = np.full((480, 640), 0.6, np.float32)
    for i in range(30):
        taught.estimate(from_the_back(share, kind if i % 3 else "none"), depth)
    assert taught.estimate(from_the_back(share)).position_m[2] == pytest.approx(0.6, abs=0.03)
    assert taught.estimate(from_the_back(share, kind)).position_m[2] == pytest.approx(0.6, abs=0.03)
