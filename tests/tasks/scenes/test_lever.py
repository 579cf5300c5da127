"""The lever: held by jaws that close by themselves, slid by who really holds it, seen by the depth camera."""

from pathlib import Path

import numpy as np
import pybullet as pb
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.demos import check_set, find_bags, read_demonstration
from sac_gmm.tasks import ScriptedTeleoperator, make_task
from sac_gmm.tasks.arms.grippers import CLOSING_DELAY_S, GRIP_FORCE_N, Grip
from sac_gmm.tasks.scenes.lever import LEVER_WIDTH_M, ON_M, OPENING_M, TRAVEL_M

STILL = np.zeros(6)
DOWN_XYZW = np.array([0.0, 1.0, 0.0, 0.0])
BAGS = Path(__file__).parents[3] / "demos" / "lever"


@pytest.fixture(scope="module")
def lever():
    task = make_task("lever")
    yield task
    task.close()


def at(task, offset_m):
    """Put the open gripper somewhere relative to the true point of grasp."""
    task.reset(seed=0, options={"target_noise_std_m": 0.0})
    task.arm.place(task.target_m + offset_m, DOWN_XYZW)


def run(task, seconds, twist=STILL):
    for _ in range(round(seconds / task.control_dt_s)):
        task.advance(twist)


@pytest.mark.parametrize("seed", range(3))
def test_the_scripted_operator_switches_it_on(lever, seed):
    observation, _ = lever.reset(seed=seed, options={"target_noise_std_m": 0.0})
    operator = ScriptedTeleoperator("lever", seed)
    while not operator.done:
        relative = observation["ee_position_m"] - observation["target_m"]
        lever.advance(operator.twist(relative, lever.control_dt_s))
        observation = lever.observe()
    assert lever.truth()["success"] == 1.0
    assert lever.truth()["lever_m"] < TRAVEL_M + 0.001


def test_the_jaws_close_on_what_is_between_them_and_hold_it(lever):
    at(lever, [0.0, 0.0, 0.0])
    run(lever, CLOSING_DELAY_S - 0.04)
    assert lever.gripper.state is Grip.WAITING
    run(lever, 0.6)
    assert lever.gripper.state is Grip.CLOSED
    contacts = pb.getContactPoints(lever.arm.body, lever.board, linkIndexB=lever.lever, physicsClientId=lever.client)
    # The engine reports the impulse of its last substep as if it were that of a whole step.
    substeps = lever.physics_rate_hz // lever.torque_rate_hz
    for jaw in ("left_jaw", "right_jaw"):
        force = substeps * sum(contact[9] for contact in contacts if contact[3] == lever.arm.links[jaw])
        assert force == pytest.approx(GRIP_FORCE_N, rel=0.1)
    run(lever, 1.5, np.array([-0.05, 0, 0, 0, 0, 0]))
    assert lever.truth()["lever_m"] > 0.05


def test_jaws_with_nothing_between_them_stay_open(lever):
    at(lever, [0.0, 0.5 * (OPENING_M + LEVER_WIDTH_M), 0.04])
    run(lever, 0.5)
    assert lever.gripper.state is Grip.WAITING
    assert lever.gripper.width_m == pytest.approx(OPENING_M, abs=1e-3)


def test_jaws_that_closed_on_nothing_open_again(lever):
    at(lever, [0.0, 0.0, 0.0])
    run(lever, CLOSING_DELAY_S + 0.05)
    assert lever.gripper.state is Grip.CLOSED
    lever.arm.place(lever.target_m + [0.0, 0.0, 0.08], DOWN_XYZW)  # away, before they have met the lever
    run(lever, 1.5)
    assert lever.gripper.state is Grip.WAITING
    assert lever.gripper.width_m == pytest.approx(OPENING_M, abs=1e-3)


def test_pressing_on_its_top_does_not_slide_it(lever):
    """A jaw stands on the lever: it presses as hard as the arm may, and drags."""
    at(lever, [0.0, 0.5 * OPENING_M + 0.005, 0.024])
    run(lever, 0.5, np.array([0.0, 0, -0.05, 0, 0, 0]))
    assert lever.observe()["wrench"][2] < -5.0 or lever.observe()["wrench"][2] > 5.0
    run(lever, 2.0, np.array([-0.05, 0, -0.05, 0, 0, 0]))
    assert lever.truth()["lever_m"] < 0.5 * ON_M


def test_the_return_spring_takes_it_back(lever):
    lever.reset(seed=0)
    pb.resetJointState(lever.board, lever.lever, 0.06, 0.0, lever.client)
    run(lever, 3.0)
    assert lever.truth()["lever_m"] < 0.06


def test_the_light_shows_that_it_is_on(lever):
    lever.reset(seed=0)
    off = lever.camera("scene").astype(int)
    pb.resetJointState(lever.board, lever.lever, TRAVEL_M - 0.002, 0.0, lever.client)
    _, reward, terminated, _, _ = lever.step(STILL)
    assert (reward, terminated) == (1.0, True)
    on = lever.camera("scene").astype(int)
    assert np.count_nonzero((on[..., 0] - off[..., 0] > 80) & (on[..., 1] - off[..., 1] > 60)) > 50
    lever.reset(seed=0)
    np.testing.assert_array_equal(lever.camera("scene"), off)


@pytest.mark.parametrize("size", [64, 128])
def test_the_depth_camera_sees_a_centimetre(size):
    """The hand moved by a centimetre: its picture moves by several pixels."""
    task = make_task("lever", depth_size_px=size)

    def column(offset_m):
        at(task, [0.0, offset_m, 0.06])
        near = task.read("depth") < 0.43  # the hand and nothing else
        return np.nonzero(near[: size // 4])[1].mean()

    assert task.read("depth").shape == (size, size)
    assert abs(column(0.01) - column(0.0)) > 3.0 * size / 64
    task.close()


def test_the_depth_camera_does_not_move_with_the_scene(lever):
    views = []
    for seed in range(3):
        lever.reset(seed=seed)
        lever.point_cameras()
        views.append(tuple(lever.cameras["depth"]._view))
    assert len(set(views)) == 1


def test_bad_sizes_of_the_picture_are_named():
    for size in (63, 129, 64.5, "large"):
        with pytest.raises(UserError, match="depth_size_px"):
            make_task("lever", depth_size_px=size)


def test_random_twists_break_nothing(lever):
    rng = np.random.default_rng(0)
    for seed in range(4):
        lever.reset(seed=seed)
        lever.arm.place(lever.target_m + [0.0, 0.0, 0.03], DOWN_XYZW)
        twist = np.zeros(6)
        for _ in range(150):
            twist = 0.9 * twist + 0.5 * rng.standard_normal(6) * lever.action_space.high
            twist[2] -= 0.02
            lever.advance(np.clip(twist, lever.action_space.low, lever.action_space.high))
            assert np.linalg.norm(lever.arm.velocity_m_s) < 1.0
            assert -0.002 < lever.truth()["lever_m"] < TRAVEL_M + 0.002
            depth = [contact[8] for contact in pb.getContactPoints(lever.arm.body, lever.board, -1, -1, lever.client)]
            assert min(depth, default=0.0) > -0.004


def test_the_demonstrations_are_in_order():
    report = check_set([read_demonstration(path) for path in find_bags([BAGS])])
    assert len(report.demonstrations) == 20
    assert report.all_problems == []
