"""What all tasks promise: the Gymnasium API, a compliant arm, clear errors."""

import numpy as np
import pybullet as pb
import pytest
from gymnasium.utils.env_checker import check_env

from sac_gmm.core.errors import UserError
from sac_gmm.tasks import TASKS, VECTOR_GROUPS, SceneCamera, make_task


@pytest.mark.parametrize("name", TASKS)
def test_gymnasium_accepts_it(name):
    check_env(make_task(name, render_mode="rgb_array").unwrapped, skip_render_check=True)


@pytest.mark.parametrize("name", TASKS)
def test_gymnasium_accepts_it_with_all_sensors(name):
    task = make_task(name)
    groups = (*VECTOR_GROUPS, *task.sensors)
    task.close()
    task = make_task(name, groups=groups)
    check_env(task, skip_render_check=True)
    task.close()


def test_the_fingertip_follows_a_twist(door):
    door.reset(seed=0)
    start = door.arm.position_m.copy()
    velocity = np.array([-0.05, 0.06, 0.02])
    for _ in range(60):
        observation, *_ = door.step(np.concatenate((velocity, np.zeros(3))))
    np.testing.assert_allclose(observation["ee_velocity_m_s"], velocity, atol=0.003)
    np.testing.assert_allclose(observation["ee_position_m"] - start, 2.0 * velocity, atol=0.006)


def test_the_target_may_be_detected_anew_without_a_reset(door):
    door.reset(seed=0)
    arm, true_target = door.arm.position_m.copy(), door.true_target_m.copy()
    rng = np.random.default_rng(0)
    errors = []
    for _ in range(300):
        door.detect_target(rng)
        errors.append(door.target_m - true_target)
    np.testing.assert_allclose(np.std(errors, axis=0), door.target_noise_std_m, rtol=0.2)
    np.testing.assert_allclose(door.observe()["target_m"], door.target_m)
    door.detect_target(rng, 0.0)
    np.testing.assert_array_equal(door.target_m, true_target)
    np.testing.assert_array_equal(door.arm.position_m, arm)


def test_the_fingertip_keeps_its_orientation(door):
    door.reset(seed=0)
    before = door.arm.orientation_xyzw
    for _ in range(60):
        door.step(np.array([0.05, -0.1, 0.05, 0.0, 0.0, 0.0]))
    assert abs(np.dot(before, door.arm.orientation_xyzw)) > np.cos(0.5 * np.deg2rad(1.5))


def test_pressing_on_something_stays_gentle(door):
    """The reference leads the fingertip by at most 12 mm at 1200 N/m."""
    door.reset(seed=0, options={"target_noise_std_m": 0.0})
    down = np.array([0.0, 0.0, -0.1, 0.0, 0.0, 0.0])
    relative = door.arm.position_m - door.target_m
    aside = np.array([-0.02 - relative[0], -relative[1], 0.0])  # over the rim, beside the opening
    for _ in range(30):
        door.step(np.concatenate((aside, np.zeros(3))))
    forces = [np.linalg.norm(door.step(down)[0]["wrench"][:3]) for _ in range(90)]
    assert max(forces[-30:]) > 5.0  # it does press
    assert max(forces[-30:]) < 1.3 * 1200 * 0.012


@pytest.mark.parametrize(("name", "seed"), [("door", 43), ("lever", 0), ("peg", 43)])
def test_an_arm_that_strays_never_races(name, seed):
    """On these episodes elbow and wrist come into line, where a damper held for too long turned them ever faster."""
    task = make_task(name)
    task.reset(seed=seed)
    rng = np.random.default_rng(seed)
    over, fastest_m_s = False, 0.0
    while not over:
        *_, terminated, truncated, _ = task.step(rng.uniform(task.action_space.low, task.action_space.high))
        over = terminated or truncated
        fastest_m_s = max(fastest_m_s, float(np.linalg.norm(task.arm.velocity_m_s)))
    task.close()
    assert fastest_m_s < 1.25


def test_it_can_be_controlled_at_other_rates():
    task = make_task("door", control_rate_hz=120.0)
    task.reset(seed=0)
    for _ in range(120):
        task.step(np.array([0.0, 0.05, 0.0, 0.0, 0.0, 0.0]))
    assert task.elapsed_steps * task.control_dt_s == pytest.approx(1.0)
    task.close()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"target_noise_std_m": -0.01}, "target_noise_std_m"),
        ({"target_noise_std_m": float("nan")}, "target_noise_std_m"),
        ({"control_rate_hz": 7.0}, "240"),
        ({"control_rate_hz": 0.0}, "control_rate_hz"),
        ({"colour": "red"}, "colour"),
        ({"render_mode": "human"}, "rgb_array"),
        ({"groups": ("smell",)}, "smell"),
        ({"groups": ("proprio", "privileged")}, "scoring"),
    ],
)
def test_bad_options_are_named(options, words):
    with pytest.raises(UserError, match=words):
        make_task("door", **options)


def test_an_unknown_task_lists_those_there_are():
    with pytest.raises(UserError, match="door"):
        make_task("window")


@pytest.mark.parametrize(
    "action", [np.zeros(3), np.full(6, np.nan), np.array([np.inf, 0, 0, 0, 0, 0]), "left", None, [0.0, [0.0]]]
)
def test_a_bad_action_is_refused(door, action):
    door.reset(seed=0)
    with pytest.raises(UserError, match="six finite numbers"):
        door.step(action)


def test_a_step_after_the_end_is_refused():
    task = make_task("door")
    with pytest.raises(UserError, match="reset"):
        task.step(np.zeros(6))
    task.close()


def test_a_target_out_of_reach_is_an_error_and_the_next_episode_starts():
    task = make_task("door")
    with pytest.raises(UserError, match="cannot reach"):
        task.reset(seed=0, options={"target_noise_std_m": 100.0})
    with pytest.raises(UserError, match="reset"):
        task.step(np.zeros(6))
    task.reset(seed=0)
    task.step(np.zeros(6))
    task.close()


def test_a_negative_seed_is_refused(door):
    with pytest.raises(UserError, match="seed of an episode is -1"):
        door.reset(seed=-1)


@pytest.mark.parametrize(
    ("options", "words"), [({"target_noise_std_m": -1.0}, ">= 0"), ({"target_noise_m": 0.1}, "target_noise_std_m")]
)
def test_bad_options_of_a_reset_are_named(door, options, words):
    with pytest.raises(UserError, match=words):
        door.reset(seed=0, options=options)


def test_an_unknown_camera_lists_those_there_are(door):
    with pytest.raises(UserError, match="wrist"):
        door.camera("left")


def test_the_groups_of_an_observation_are_chosen():
    task = make_task("door", groups=("proprio", "rgb"))
    observation, _ = task.reset(seed=0)
    assert set(observation) == {"ee_position_m", "ee_velocity_m_s", "joint_position_rad", "rgb"}
    assert task.observation_space.contains(observation)
    np.testing.assert_array_equal(observation["rgb"], task.read("rgb"))
    task.close()


def test_reading_a_sensor_changes_nothing_else(door):
    def play(pictures):
        door.reset(seed=5)
        seen = []
        for _ in range(10):
            if pictures:
                door.read("rgb")
            seen.append(door.step(np.array([0.02, 0.0, -0.05, 0.0, 0.0, 0.0]))[0])
        return seen

    for one, other in zip(play(True), play(False), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_meshes_change_the_film_alone(door):
    """Same physics, bit for bit; the arm looks otherwise."""
    film = make_task("door", mesh_visuals=True)
    seen = []
    for task in (door, film):
        task.reset(seed=2)
        for _ in range(10):
            observation, *_ = task.step(np.array([0.02, 0.0, -0.1, 0.0, 0.0, 0.0]))
        seen.append((observation["ee_position_m"], task.render()))
    film.close()
    np.testing.assert_array_equal(seen[0][0], seen[1][0])
    assert np.mean(np.any(seen[0][1] != seen[1][1], axis=-1)) > 0.02


def test_a_depth_picture_is_in_metres():
    """A wall across the line of sight, half a metre off, is half a metre off all over the picture."""
    client = pb.connect(pb.DIRECT)
    wall = pb.createVisualShape(pb.GEOM_BOX, halfExtents=[0.01, 2.0, 2.0], physicsClientId=client)
    pb.createMultiBody(0, -1, wall, [0.51, 0.0, 0.0], physicsClientId=client)
    camera = SceneCamera(client, "camera", 64, 48, 60.0)
    camera.look(np.zeros(3), np.array([1.0, 0.0, 0.0]), np.array([0.0, 0.0, 1.0]))
    depth = camera.depth_m()
    pb.disconnect(client)
    assert depth.dtype == np.float32
    assert depth.shape == (48, 64)
    np.testing.assert_allclose(depth, 0.5, atol=1e-4)


def test_a_camera_stands_where_it_says():
    """Its pose carries points of the base frame to the pixels where the picture shows them."""
    door = make_task("door")
    door.reset(seed=0, options={"target_noise_std_m": 0.0})
    camera = door.cameras["scene"]
    position, rotation = camera.pose
    ball = door.true_target_m + [-0.1, -0.1, 0.15]
    shape = pb.createVisualShape(pb.GEOM_SPHERE, radius=0.02, rgbaColor=(1, 0, 1, 1), physicsClientId=door.client)
    pb.createMultiBody(0, -1, shape, ball.tolist(), physicsClientId=door.client)
    x, y, z = rotation.T @ (ball - position)
    expected_px = camera.info.focal_px * np.array([x, y]) / z + [camera.info.width / 2, camera.info.height / 2]
    red, green, blue = np.moveaxis(camera.rgb().astype(int), -1, 0)
    rows, columns = np.nonzero((red > 120) & (blue > 120) & (green < 60))
    door.close()
    np.testing.assert_allclose([columns.mean(), rows.mean()], expected_px, atol=1.5)
    assert np.linalg.det(rotation) == pytest.approx(1.0)
