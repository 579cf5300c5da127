"""What the agent sees: coded pictures, memory, and the symmetry of the detected frame."""

import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.methods.sac_gmm import WindowObserver
from sac_gmm.methods.sac_gmm.images import CODINGS, CameraPlace, image_coding


def window(observer, position, wrench, action):
    observer.tick(np.asarray(position, float), np.asarray(wrench, float))
    vector = observer.observe(None, 0.0)["vector"]
    observer.acted(np.asarray(action, float))
    return vector


def test_it_remembers_earlier_decisions_the_latest_first():
    observer = WindowObserver(2, history=2)
    wrench = np.arange(6.0)
    assert not window(observer, [0.1, 0.0, 0.0], wrench, [0, 0])[15:].any()
    second = window(observer, [0.1, 0.02, 0.0], 2 * wrench, [0, 0])[15:].reshape(2, 9)
    np.testing.assert_allclose(second[0], [0.0, 0.02, 0.0, *wrench], atol=1e-7)
    assert not second[1].any()
    third = window(observer, [0.1, 0.02, 0.05], wrench, [0, 0])[15:].reshape(2, 9)
    np.testing.assert_allclose(third[0], [0.0, 0.0, 0.05, *(2 * wrench)], atol=1e-7)
    np.testing.assert_allclose(third[1], [0.0, 0.02, 0.05, *wrench], atol=1e-7)
    observer.begin()
    assert not window(observer, [0.1, 0.0, 0.0], wrench, [0, 0])[15:].any()


def test_the_symmetry_is_what_another_detected_target_would_show():
    """The same motion, seen from a target detected elsewhere, is the observation shifted by the spec's rows."""
    shift = np.eye(2, 3) / 0.03
    by_m = np.array([0.01, -0.004, 0.002])
    here, there = (WindowObserver(2, memory=True, history=3, action_shift=shift) for _ in range(2))
    rng = np.random.default_rng(0)
    for _ in range(5):
        position, wrench, action = rng.normal(0, 0.05, 3), rng.normal(0, 3, 6), rng.uniform(-0.3, 0.3, 2)
        one = window(here, position, wrench, action)
        other = window(there, position + by_m, wrench, action + shift @ by_m)
    np.testing.assert_allclose(other - one, np.array(here.spec.vector_shift) @ by_m, atol=1e-6)
    np.testing.assert_allclose(here.spec.action_shift, shift)


def test_without_touch_nothing_is_felt():
    vector = window(WindowObserver(2, touch=False, history=1), [0.1, 0.2, 0.3], np.ones(6), [0, 0])
    np.testing.assert_allclose(vector[:3], [0.1, 0.2, 0.3], rtol=1e-6)
    assert not vector[3:].any()


@pytest.mark.parametrize("group", CODINGS)
def test_readings_become_bytes_over_their_range(group):
    coding = image_coding(group)
    channels, height, width = coding.shape
    if group == "rgb":
        reading = np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)
        np.testing.assert_array_equal(coding.encode(reading), reading.transpose(2, 0, 1))
        return
    ramp = np.linspace(coding.low, coding.high, height * width, dtype=np.float32).reshape(height, width)
    reading = ramp if group == "depth" else np.stack([ramp] * channels)
    coded = coding.encode(reading)
    assert coded.dtype == np.uint8 and coded.shape == coding.shape
    back = coding.low + coded[0] / 255.0 * (coding.high - coding.low)
    assert np.abs(back - ramp).max() <= 0.51 * (coding.high - coding.low) / 255.0
    assert coding.encode(reading + 10.0).min() == 255  # beyond the range is cut, never wrapped
    assert coding.encode(reading - 10.0).max() == 0


def test_a_picture_of_another_shape_or_kind_is_refused():
    with pytest.raises(UserError, match="shape"):
        image_coding("rgb").encode(np.zeros((32, 64, 3), np.uint8))
    with pytest.raises(UserError, match="sound"):
        WindowObserver(3, image="sound")


def test_it_remembers_the_middle_of_the_places_where_it_was_held_up():
    observer = WindowObserver(2, memory=True)
    free, pressed = np.zeros(6), np.array([0.0, 0.0, -10.0, 0.0, 0.0, 0.0])
    assert not window(observer, [0.1, 0.0, 0.0], free, [0, 0])[15:].any()
    np.testing.assert_allclose(window(observer, [0.1, 0.0, 0.0], pressed, [0, 0])[15:], [0, 0, 0, 0.5])
    there = window(observer, [0.1, 0.02, 0.0], pressed, [0, 0])[15:]
    np.testing.assert_allclose(there, [0.0, 0.01, 0.0, 2 / 3], atol=1e-6)
    np.testing.assert_allclose(window(observer, [0.1, 0.05, 0.0], free, [0, 0])[15:18], [0.0, 0.04, 0.0], atol=1e-6)
    observer.begin()
    assert not window(observer, [0.1, 0.0, 0.0], free, [0, 0])[15:].any()


RIDING = CameraPlace(80.0, True, (-0.07, 0.0, 0.14), (0.3, 0.0, -1.0), (1.0, 0.0, 0.0))
STANDING = CameraPlace(130.0, False, (1.0, 0.0, 0.45), (-0.43, 0.0, -0.185), (0.0, 0.0, 1.0))


def test_a_calibrated_camera_is_looked_through_once_before_the_arm_moves():
    observer = WindowObserver(3, image="rgb", camera=RIDING)
    pictures = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3), dtype=np.uint8)
    seen = []
    for relative_m, picture in zip(([0.0, 0.01, 0.1], [0.0, 0.0, 0.02]), pictures, strict=True):
        observer.tick(np.array(relative_m), np.zeros(6))
        seen.append(observer.observe(picture if observer.looks else None, 0.0))
        assert not observer.looks
    for observation in seen:
        np.testing.assert_array_equal(observation["image"], pictures[0].transpose(2, 0, 1))
        np.testing.assert_array_equal(observation["vector"][-3:], seen[0]["vector"][-3:])
    assert observer.spec.sight is not None and observer.spec.sight.first == observer.spec.vector_size - 3
    observer.begin()
    assert observer.looks


@pytest.mark.parametrize("camera", [RIDING, STANDING])
def test_where_the_target_is_for_the_camera_moves_with_its_detection(camera):
    shift = np.eye(3) / 0.05
    tip_m, target_m, by_m = np.array([0.55, 0.01, 0.4]), np.array([0.6, 0.0, 0.25]), np.array([0.01, -0.02, 0.005])
    picture = np.zeros((64, 64, 3), np.uint8)
    found = []
    for detected_m in (target_m, target_m - by_m):
        observer = WindowObserver(3, image="rgb", camera=camera, action_shift=shift)
        observer.tick(tip_m - detected_m, np.zeros(6))
        found.append(observer.observe(picture, 0.0, detected_m)["vector"])
    moved = np.array(observer.spec.vector_shift) @ by_m
    moved[12:15] = 0.0  # no action was taken yet
    np.testing.assert_allclose(found[1] - found[0], moved, atol=1e-6)
    eye_m = np.array(camera.position_m) + (tip_m if camera.rides else 0.0)
    np.testing.assert_allclose(found[0][-3:], camera.rotation @ (target_m - eye_m), atol=1e-6)
    assert found[0][-1] > 0.1, "the target is before the camera"


def test_a_standing_camera_asks_where_the_target_is():
    observer = WindowObserver(3, image="rgb", camera=STANDING)
    with pytest.raises(UserError, match="target_m"):
        observer.observe(np.zeros((64, 64, 3), np.uint8), 0.0)


def test_cameras_that_cannot_be_are_refused():
    with pytest.raises(UserError, match="two different directions"):
        CameraPlace(80.0, True, (0, 0, 0), (0, 0, 1), (0, 0, 2))
    with pytest.raises(UserError, match="position_m"):
        CameraPlace(80.0, True, (0, 0), (0, 0, 1), (1, 0, 0))
    with pytest.raises(UserError, match="focal_px"):
        CameraPlace(0.0, True, (0, 0, 0), (0, 0, 1), (1, 0, 0))


def test_without_its_last_action_it_moves_the_same_way_from_everywhere():
    observer = WindowObserver(3, last_action=False, action_shift=np.eye(3))
    assert not window(observer, [0.1, 0.0, 0.0], np.zeros(6), [0.5, 0.5, 0.5])[12:15].any()
    assert not window(observer, [0.1, 0.0, 0.0], np.zeros(6), [0.5, 0.5, 0.5])[12:15].any()
    assert not np.array(observer.spec.vector_shift)[12:15].any()


def test_the_observer_averages_a_window_and_begins_the_next():
    observer = WindowObserver(2, time_limit_s=10.0)
    observer.tick(np.array([0.1, 0.2, 0.3]), np.array([1.0, 0, -4, 0, 0, 0]))
    observer.tick(np.array([0.4, 0.5, 0.6]), np.array([3.0, 0, 2, 0, 0, 1]))
    observer.acted(np.array([0.5, -0.5]))
    vector = observer.observe(None, elapsed_s=2.5)["vector"]
    np.testing.assert_allclose(vector[:3], [0.4, 0.5, 0.6], rtol=1e-6)
    np.testing.assert_allclose(vector[3:9], [2.0, 0, -1, 0, 0, 0.5])
    np.testing.assert_allclose(vector[9:12], [3.0, 0, -4])  # the strongest, with its sign
    np.testing.assert_allclose(vector[12:], [0.5, -0.5, 0.25])
    assert not observer.observe(None, elapsed_s=2.5)["vector"][3:12].any()


def test_the_picture_is_handed_on_channels_first():
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    observation = WindowObserver(3, image="rgb").observe(picture, 0.0)
    np.testing.assert_array_equal(observation["image"], picture.transpose(2, 0, 1))
