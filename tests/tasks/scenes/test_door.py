"""The door scene: honest about what it shows, closed when let go, opened by who hooks its handle."""

import cv2
import numpy as np
import pybullet as pb
import pytest

from sac_gmm.tasks import ScriptedTeleoperator, make_task
from sac_gmm.tasks.scenes.door import MARKER_ID, OPEN_RAD

STILL = np.zeros(6)


def swing(task, angle_rad):
    pb.resetJointState(task.door, task.hinge, angle_rad, 0.0, task.client)


def sees_marker(task):
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_4X4_50)
    _, ids, _ = cv2.aruco.ArucoDetector(dictionary).detectMarkers(task.camera("fixed"))
    return ids is not None and MARKER_ID in ids


@pytest.mark.parametrize("seed", range(5))
def test_the_scripted_operator_opens_it(door, seed):
    observation, _ = door.reset(seed=seed, options={"target_noise_std_m": 0.0})
    operator = ScriptedTeleoperator("door", seed)
    while not operator.done:
        relative = observation["ee_position_m"] - observation["target_m"]
        door.advance(operator.twist(relative, door.control_dt_s))
        observation = door.observe()
    assert door.truth()["angle_rad"] > OPEN_RAD
    assert sees_marker(door)


def test_it_shuts_itself_when_it_is_let_go(door):
    door.reset(seed=0)
    swing(door, 0.9)
    for _ in range(90):
        door.advance(STILL)
    assert door.truth()["angle_rad"] < 0.01


@pytest.mark.parametrize("seed", range(4))
def test_the_marker_shows_only_when_it_stands_open(door, seed):
    door.reset(seed=seed)
    for angle in (0.0, 0.2, 0.4):
        swing(door, angle)
        assert not sees_marker(door)
    for angle in (OPEN_RAD, 0.8):
        swing(door, angle)
        assert sees_marker(door)


def test_success_is_an_open_door(door):
    door.reset(seed=0)
    swing(door, OPEN_RAD + 0.05)
    _, reward, terminated, truncated, _ = door.step(STILL)
    assert (reward, terminated, truncated) == (1.0, True, False)


def test_the_time_runs_out_as_a_truncation(door):
    door.reset(seed=0)
    for _ in range(299):
        _, _, terminated, truncated, _ = door.step(STILL)
        assert not terminated and not truncated
    _, reward, terminated, truncated, _ = door.step(STILL)
    assert (reward, terminated, truncated) == (0.0, False, True)


def test_nothing_at_the_start_gives_the_true_handle_away(door):
    """Same scene, other noise: what a policy may use is the same until the camera looks or the finger touches."""
    plain, _ = door.reset(seed=3, options={"target_noise_std_m": 0.0})
    noisy, _ = door.reset(seed=3, options={"target_noise_std_m": 0.02})
    assert not np.allclose(plain["target_m"], noisy["target_m"], atol=1e-3)
    relative = [o["ee_position_m"] - o["target_m"] for o in (plain, noisy)]
    np.testing.assert_allclose(*relative, atol=1e-6)
    np.testing.assert_allclose(plain["wrench"], noisy["wrench"], atol=1e-3)


def test_the_detection_error_is_gaussian_with_the_given_deviation(door):
    errors = []
    for seed in range(150):
        detected, _ = door.reset(seed=seed, options={"target_noise_std_m": 0.01})
        handle = pb.getBasePositionAndOrientation(door.door, door.client)[0]
        errors.append(detected["target_m"] - handle)
    spread = np.std(errors, axis=0)
    assert np.all((spread > 0.008) & (spread < 0.012))
    assert np.all(np.abs(np.mean(errors, axis=0)) < 0.003)


def test_the_wrist_camera_sees_the_detection_error(door):
    """The handle is red; where the arm starts off to one side, the handle lies to the other side in the picture."""

    def handle_column(offset_m):
        door.reset(seed=1, options={"target_noise_std_m": 0.0})
        door.arm.place(door.arm.position_m + [0.0, offset_m, 0.0], np.array([0.0, 1.0, 0.0, 0.0]))
        picture = door.camera("wrist").astype(int)
        red = (picture[..., 0] > 120) & (picture[..., 1] < 60)
        return np.nonzero(red)[1].mean()

    columns = [handle_column(offset) for offset in (-0.02, 0.0, 0.02)]
    steps = np.diff(columns)
    assert np.all(np.abs(steps) > 3.0) and steps[0] * steps[1] > 0  # pixels for two centimetres


def test_the_same_seed_gives_the_same_episode():
    def play():
        task = make_task("door")
        observation, _ = task.reset(seed=11)
        seen = [observation]
        for i in range(60):
            twist = np.array([0.02, 0.01 * np.sin(i / 5), -0.08, 0.0, 0.0, 0.0])
            seen.append(task.step(twist)[0])
        task.close()
        return seen

    for one, other in zip(play(), play(), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


@pytest.mark.parametrize("presses", [True, False])
def test_the_latched_door_opens_only_to_who_presses_its_plate(presses):
    """The operator's own way presses the plate; the same way a centimetre higher pulls in vain."""
    task = make_task("door", latch=True)
    observation, _ = task.reset(seed=0, options={"target_noise_std_m": 0.0})
    operator = ScriptedTeleoperator("door", 0)
    lift = np.array([0.0, 0.0, 0.0 if presses else 0.01])
    while not operator.done:
        relative = observation["ee_position_m"] - observation["target_m"] - lift
        task.advance(operator.twist(relative, task.control_dt_s))
        observation = task.observe()
    assert (task.truth()["angle_rad"] > OPEN_RAD) == presses
    if not presses:
        assert task.truth()["angle_rad"] < 0.01
    task.close()
