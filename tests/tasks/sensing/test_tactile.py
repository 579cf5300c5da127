"""Touch: the imprint obeys the gel's mechanics, and tells where the hole lies."""

import numpy as np
import pybullet as pb
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.bench.tasks import tactile as bench_tactile
from sac_gmm.tasks import make_task
from sac_gmm.tasks.sensing.tactile import PIXELS, Gel, TactileSensor

RADIUS_M, GRASP_M = 0.025, 0.016
GEL = Gel()
SENSOR = TactileSensor(lambda: np.zeros(6), lambda: np.random.default_rng(0), RADIUS_M, GRASP_M, GEL)
PIXEL_M = GEL.side_m / PIXELS


def imprint(**load):
    names = ("fx", "fy", "fz", "tx", "ty", "tz")
    return SENSOR.imprints_m(np.array([load.get(name, 0.0) for name in names])).astype(float)


def centroid(image):
    rows, columns = np.indices(image.shape)
    return np.array([np.sum(rows * image), np.sum(columns * image)]) / image.sum()


def test_the_gel_under_the_imprint_carries_the_grip():
    pressure_pa = 3.0 * GEL.shear_modulus_pa / GEL.thickness_m * imprint()
    np.testing.assert_allclose(pressure_pa.sum(axis=(1, 2)) * PIXEL_M**2, GEL.grip_n, rtol=0.02)


def test_a_force_across_moves_both_imprints_the_same_way():
    shift = [centroid(one)[1] - centroid(free)[1] for one, free in zip(imprint(fx=10.0), imprint(), strict=True)]
    expected = 10.0 / (2.0 * GEL.shear_modulus_pa / GEL.thickness_m * 2.484e-4) / PIXEL_M  # pixels
    np.testing.assert_allclose(shift, expected, rtol=0.05)


def test_a_force_along_the_closing_direction_presses_one_and_relieves_the_other():
    free, pressed = imprint(), imprint(fy=10.0)
    change_n = (pressed - free).sum(axis=(1, 2)) * PIXEL_M**2 * 3.0 * GEL.shear_modulus_pa / GEL.thickness_m
    np.testing.assert_allclose(change_n, [5.0, -5.0], rtol=0.1)


def test_a_push_on_the_peg_moves_the_edge_of_its_end_towards_the_palm():
    edge = [np.argmax(image[:, PIXELS // 2] > 0.5 * image.max()) for image in (imprint()[0], imprint(fz=-14.0)[0])]
    assert edge[1] < edge[0]


def test_torques_tilt_the_imprint_or_make_a_wedge_of_it():
    tilted, wedge = imprint(ty=0.2), imprint(tx=0.2)
    for image in tilted:  # upper half to one side, lower half to the other
        assert centroid(image[20:30])[1] < PIXELS / 2 - 1 < PIXELS / 2 + 1 < centroid(image[50:])[1]
    slope = [np.diff(image[20:, PIXELS // 2]).mean() for image in wedge]
    assert slope[0] < -1e-6 and slope[1] == pytest.approx(-slope[0])


@settings(deadline=None, max_examples=50)
@given(st.lists(st.floats(-20.0, 20.0), min_size=3, max_size=3), st.lists(st.floats(-0.4, 0.4), min_size=3, max_size=3))
def test_mirrored_loads_give_mirrored_images(force, torque):
    fx, fy, fz, tx, ty, tz = *force, *torque
    image = SENSOR.imprints_m(np.array([fx, fy, fz, tx, ty, tz]))
    across = SENSOR.imprints_m(np.array([-fx, fy, fz, tx, -ty, -tz]))  # mirrored in the plane x = 0
    along = SENSOR.imprints_m(np.array([fx, -fy, fz, -tx, ty, -tz]))  # in the plane y = 0: the fingers change places
    np.testing.assert_allclose(across, image[:, :, ::-1], atol=1e-8)
    np.testing.assert_allclose(along, image[::-1], atol=1e-8)
    assert np.isfinite(image).all() and image.min() >= 0.0 and image.max() <= np.float32(GEL.thickness_m)


@pytest.fixture(scope="module")
def peg():
    task = make_task("peg")
    yield task
    task.close()


def test_the_load_is_what_pushes_at_the_peg(peg):
    """A steady force at the tip: the same force at the grip, and its torque by the lever between them."""
    peg.reset(seed=0)
    link = peg.arm.links["peg"]
    for _ in range(480):
        peg.arm.apply_torques(1 / 240)
        tip = pb.getLinkState(peg.arm.body, peg.arm.tcp_link, 1, 1, peg.client)[4]
        pb.applyExternalForce(peg.arm.body, link, (0.0, 3.0, 0.0), tip, pb.WORLD_FRAME, peg.client)
        pb.stepSimulation(peg.client)
        peg.arm.refresh()
    peg.elapsed_steps = 1
    lever_m = 0.075 - 0.008
    # The hand looks down: its y axis is the base's, its x and z axes are turned round.
    np.testing.assert_allclose(peg.load_on_peg(), [0.0, 3.0, 0.0, -3.0 * lever_m, 0.0, 0.0], atol=0.1)


def test_readings_fit_their_space_and_repeat_with_the_seed(peg):
    readings = []
    for _ in range(2):
        peg.reset(seed=5)
        free = peg.read("tactile")
        for _ in range(40):
            peg.advance(np.array([0.05, 0.0, -0.15, 0.0, 0.0, 0.0]))
        readings.append((free, peg.read("tactile")))
    for one, other in zip(*readings, strict=True):
        assert peg.sensors["tactile"].space.contains(one)
        np.testing.assert_array_equal(one, other)
    assert np.abs(readings[0][1] - readings[0][0]).max() > 1e-4


def test_the_images_tell_where_the_hole_lies(peg):
    told = bench_tactile.measure(peg, 120)["tactile"]
    assert told["median_error_deg"] < 30.0  # chance: 90
    assert told["share_within_45_deg"] > 0.6  # chance: 0.25
