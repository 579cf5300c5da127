"""Domain randomisation: off by default, drawn from the seed, and each option varies what it says."""

import numpy as np
import pybullet as pb
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.tasks import Randomisation, make_task

SCENES = ("door", "lever", "peg")


def scene_body(task):
    return next(body for body in range(pb.getNumBodies(task.client)) if body != task.arm.body)


def episodes(how, look, name="door", seeds=range(4)):
    """What `look(task)` gives after a reset with each seed."""
    task = make_task(name, randomisation=how, target_noise_std_m=0.0)
    seen = []
    for seed in seeds:
        task.reset(seed=seed)
        seen.append(look(task))
    task.close()
    return np.array(seen)


@pytest.mark.parametrize("name", SCENES)
def test_all_options_together_repeat_with_the_seed(name):
    how = Randomisation(position_m=0.01, yaw_rad=0.2, friction=0.5, mass=0.5, light=0.5, camera_m=0.005)

    def play(task):
        for _ in range(40):
            observation, *_ = task.step(np.array([0.02, 0.0, -0.15, 0.0, 0.0, 0.0]))
        return np.concatenate((observation["ee_position_m"], task.camera("wrist").ravel() / 255.0))

    first = episodes(how, play, name, [0, 1, 2])
    np.testing.assert_array_equal(episodes(how, play, name, [2, 1, 0])[::-1], first)


def test_nothing_varies_by_default():
    task = make_task("door", randomisation=Randomisation())
    plain = make_task("door")
    for seed in range(3):
        one, other = task.reset(seed=seed)[0], plain.reset(seed=seed)[0]
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    task.close()
    plain.close()


@pytest.mark.parametrize("name", SCENES)
def test_the_scene_moves_and_turns_with_its_target(name):
    def place(task):
        position, orientation = pb.getBasePositionAndOrientation(scene_body(task), task.client)
        return [*(np.array(position) - task.target_m), pb.getEulerFromQuaternion(orientation)[2], *task.target_m]

    still = episodes(None, place, name)
    moved = episodes(Randomisation(position_m=0.02, yaw_rad=0.3), place, name)
    np.testing.assert_allclose(moved[:, :3], still[:, :3], atol=1e-6)  # the target is the origin of the scene
    assert np.ptp(moved[:, 3]) > 0.05
    assert np.all(np.abs(moved[:, 3]) <= 0.3)
    shift = moved[:, 4:] - still[:, 4:]
    assert np.all(np.abs(shift[:, :2]) <= 0.02)
    assert np.all(np.abs(shift[:, :2]).max(axis=0) > 1e-3)


def test_friction_and_mass_vary_about_their_nominal_values():
    def values(task):
        info = pb.getDynamicsInfo(scene_body(task), task.hinge, task.client)
        return info[:2]

    nominal = episodes(None, values)
    varied = episodes(Randomisation(friction=1.0, mass=0.5), values, seeds=range(12))
    for ratios, most in ((varied[:, 0] / nominal[0, 0], 1.5), (varied[:, 1] / nominal[0, 1], 2.0)):
        assert ratios.min() >= 1.0 / most - 1e-9
        assert ratios.max() <= most + 1e-9
        assert ratios.min() < 0.95 < 1.05 < ratios.max()


def test_the_arm_itself_keeps_its_mass():
    task = make_task("peg", randomisation=Randomisation(mass=1.0))
    before = [pb.getDynamicsInfo(task.arm.body, link, task.client)[0] for link in range(7)]
    task.reset(seed=0)
    assert [pb.getDynamicsInfo(task.arm.body, link, task.client)[0] for link in range(7)] == before
    task.close()


@pytest.mark.parametrize("how", [Randomisation(light=0.5), Randomisation(camera_m=0.01)])
def test_light_and_camera_change_the_picture_alone(how):
    def pictures(task):
        return task.camera("wrist").astype(float)

    def pose(task):
        return task.arm.position_m

    plain, varied = episodes(None, pictures), episodes(how, pictures)
    assert np.all(np.abs(plain - varied).mean(axis=(1, 2, 3)) > 0.3)
    np.testing.assert_allclose(episodes(None, pose)[0], episodes(how, pose)[0], atol=0.03)


@pytest.mark.parametrize(
    "bad", [{"friction": -0.1}, {"mass": float("nan")}, {"light": 2.0}, {"camera_m": "far"}, {"yaw_rad": 4.0}]
)
def test_bad_values_are_named(bad):
    with pytest.raises(UserError, match=next(iter(bad))):
        Randomisation(**bad)
