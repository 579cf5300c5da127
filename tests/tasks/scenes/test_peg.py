"""The peg scene: the right size, no way through but the hole, honest about what it shows."""

from pathlib import Path

import numpy as np
import pybullet as pb
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.tasks import ScriptedTeleoperator, make_task
from sac_gmm.tasks.scenes.peg import CHAMFER_M, HOLE_RADIUS_M, PEG_RADIUS_M, SUCCESS_DEPTH_M
from sac_gmm.tasks.twist_task import TOOL_DOWN_XYZW

DEMONSTRATIONS = Path(__file__).parents[3] / "demos"
DOWN = np.array([0.0, 0.0, -0.05, 0.0, 0.0, 0.0])


@pytest.fixture(scope="module")
def peg():
    task = make_task("peg")
    yield task
    task.close()


def hang_over(task, offset_m, seed=0):
    """Begin an episode with the peg a few millimetres over the lid, (x, y) beside the hole."""
    task.reset(seed=seed, options={"target_noise_std_m": 0.0})
    task.arm.place(task.target_m + np.array([*offset_m, 0.004]), TOOL_DOWN_XYZW)


def distance(task, body, link, point_m):
    """From a point to a link, as the physics engine sees it."""
    ball = pb.createCollisionShape(pb.GEOM_SPHERE, radius=1e-4, physicsClientId=task.client)
    probe = pb.createMultiBody(0, ball, basePosition=list(point_m), physicsClientId=task.client)
    found = pb.getClosestPoints(probe, body, 0.1, linkIndexB=link, physicsClientId=task.client)
    pb.removeBody(probe, task.client)
    return min(entry[8] for entry in found) + 1e-4


@pytest.mark.parametrize("hole", HOLE_RADIUS_M)
def test_the_hole_is_as_wide_as_it_says(hole):
    task = make_task("peg", hole=hole)
    task.reset(seed=0)
    centre, _ = pb.getBasePositionAndOrientation(task.box, task.client)
    radius = HOLE_RADIUS_M[hole]
    gaps = [
        distance(task, task.box, -1, np.array(centre) + [0.01 * np.cos(a), 0.01 * np.sin(a), -0.012])
        for a in np.linspace(0.0, 2.0 * np.pi, 30)
    ]
    assert radius - 5e-5 < 0.01 + min(gaps) and 0.01 + max(gaps) < radius + 3e-4
    on_chamfer = np.array(centre) + [(radius + CHAMFER_M) * np.cos(0.13), (radius + CHAMFER_M) * np.sin(0.13), 0.0]
    assert abs(distance(task, task.box, -1, on_chamfer)) < 5e-4
    task.close()


def test_the_peg_is_as_thick_as_it_says(peg):
    peg.reset(seed=0)
    tip, link = peg.arm.position_m, peg.arm.links["peg"]
    sides = [
        distance(peg, peg.arm.body, link, tip + [0.04 * np.cos(a), 0.04 * np.sin(a), 0.03])
        for a in np.linspace(0.0, 2.0 * np.pi, 30)
    ]
    assert 0.04 - max(sides) > PEG_RADIUS_M - 2e-4 and 0.04 - min(sides) < PEG_RADIUS_M + 1e-5
    assert distance(peg, peg.arm.body, link, tip - [0.0, 0.0, 0.01]) == pytest.approx(0.01, abs=1e-5)


@pytest.mark.parametrize(("name", "seed"), [("peg", 0), ("peg", 1), ("peg_medium", 2), ("peg_easy", 3)])
def test_the_scripted_operator_inserts_it(name, seed):
    task = make_task(name)
    observation, _ = task.reset(seed=seed, options={"target_noise_std_m": 0.0})
    operator = ScriptedTeleoperator(name, seed)
    while not operator.done:
        relative = observation["ee_position_m"] - observation["target_m"]
        task.advance(operator.twist(relative, task.control_dt_s))
        observation = task.observe()
    truth = task.truth()
    task.close()
    assert truth["success"] == 1.0 and truth["depth_m"] > SUCCESS_DEPTH_M


@pytest.mark.parametrize("offset_m", [(0.012, 0.0), (0.0, -0.012), (-0.05, 0.05)])
def test_beside_the_hole_it_does_not_go_through(peg, offset_m):
    hang_over(peg, offset_m)
    for _ in range(45):
        peg.advance(DOWN)
        contacts = pb.getContactPoints(peg.arm.body, peg.box, physicsClientId=peg.client)
        assert min((contact[8] for contact in contacts), default=0.0) > -5e-4
    truth = peg.truth()
    assert truth["success"] == 0.0 and abs(truth["depth_m"]) < 0.002
    assert 5.0 < -peg.load_on_peg()[2] < 1.3 * 1200 * 0.012


def test_beside_the_box_depth_is_no_success(peg):
    hang_over(peg, (0.0, 0.0), seed=4)
    peg.arm.place(peg.target_m + [0.0, -0.14, -0.05], TOOL_DOWN_XYZW)
    assert peg.truth()["depth_m"] > SUCCESS_DEPTH_M and peg.truth()["success"] == 0.0


def test_nothing_at_the_start_gives_the_true_hole_away(peg):
    plain, _ = peg.reset(seed=3, options={"target_noise_std_m": 0.0})
    touch = peg.read("tactile")
    noisy, _ = peg.reset(seed=3, options={"target_noise_std_m": 0.02})
    assert not np.allclose(plain["target_m"], noisy["target_m"], atol=1e-3)
    relative = [o["ee_position_m"] - o["target_m"] for o in (plain, noisy)]
    np.testing.assert_allclose(*relative, atol=1e-6)
    np.testing.assert_array_equal(touch, peg.read("tactile"))


def test_an_unknown_hole_lists_those_there_are():
    with pytest.raises(UserError, match="easy, medium, hard"):
        make_task("peg", hole="tiny")


def test_the_demonstrations_are_clean_and_small():
    from sac_gmm.demos import check_set, find_bags, read_demonstration

    bags = find_bags((DEMONSTRATIONS / "peg",))
    report = check_set([read_demonstration(bag) for bag in bags])
    assert len(bags) == 20 and report.all_problems == []
    assert max(file.stat().st_size for bag in bags for file in bag.iterdir()) < 100_000


def test_with_an_exact_target_the_base_skill_inserts_it():
    from sac_gmm.evaluation.noise_sweep import plain_env
    from sac_gmm.methods.sac_gmm.base_skill import fit_base_skill

    env = plain_env("peg", fit_base_skill("peg", demonstrations=DEMONSTRATIONS))
    for seed in range(5):
        env.reset(seed, {"target_noise_std_m": 0.0})
        while not (step := env.step(np.zeros(0))).terminated:
            assert not step.truncated
    env.task.close()
