from pathlib import Path

import numpy as np
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from sac_gmm.core.errors import UserError
from sac_gmm.perception import LampGate
from sac_gmm.tasks import make_task

ROOT = Path(__file__).parents[2]
SETTINGS = yaml.safe_load((ROOT / "config" / "simulation.yaml").read_text())["/**/lamp_reward"]["ros__parameters"]
REGION = tuple(float(part) for part in SETTINGS["region"].split(","))


def test_the_lever_s_lamp_is_told_lit_from_dark_wherever_the_board_stands():
    gate = LampGate(REGION, SETTINGS["brightness_on"], SETTINGS["brightness_off"])
    task = make_task("lever")
    try:
        for seed in range(5):
            task.reset(seed=seed)
            assert gate.brightness(task.camera("fixed")) < 0.7 * SETTINGS["brightness_off"]
            task._show_light(True)
            assert gate.brightness(task.camera("fixed")) > 1.3 * SETTINGS["brightness_on"]
    finally:
        task.close()


@given(
    edges=st.lists(st.floats(0, 1), min_size=4, max_size=4, unique=True),
    height=st.integers(1, 40),
    width=st.integers(1, 40),
    value=st.integers(0, 255),
)
def test_a_region_always_has_a_pixel_and_only_it_is_judged(edges, height, width, value):
    left, right = sorted(edges[:2])
    top, bottom = sorted(edges[2:])
    gate = LampGate((left, top, right, bottom))
    rows, columns = gate.window(height, width)
    picture = np.zeros((height, width, 3), np.uint8)
    picture[rows, columns, 1] = value
    assert picture[rows, columns].size
    assert gate.brightness(picture) == pytest.approx(value / 255)
    assert gate.brightness(picture.max(axis=2)) == pytest.approx(value / 255)


def test_a_lamp_near_the_threshold_does_not_flicker():
    gate = LampGate((0, 0, 1, 1), 0.5, 0.4)
    assert [gate.counts(0.45), gate.counts(0.5), gate.counts(0.45, lit=True), gate.counts(0.39, lit=True)] == [
        False,
        True,
        True,
        False,
    ]


@pytest.mark.parametrize("region", [(0.5, 0, 0.5, 1), (0, 0.6, 1, 0.5), (0, 0, 1.1, 1), (-0.1, 0, 1, 1)])
def test_a_region_outside_the_picture_is_refused(region):
    with pytest.raises(UserError, match="region"):
        LampGate(region)


def test_brightnesses_that_contradict_each_other_are_refused():
    with pytest.raises(UserError, match="brightness_off"):
        LampGate((0, 0, 1, 1), 0.3, 0.4)
