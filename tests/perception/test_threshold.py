"""Numbers in messages by name, and when they count."""

import math
from types import SimpleNamespace as Message

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.perception.threshold import Field, ThresholdGate

JOINTS = Message(name=["hinge", "lbr_A1", "a.b"], position=[0.7, -1.0, 2.0], velocity=[])
WRENCH = Message(wrench=Message(force=Message(x=2.0, y=-3.0, z=6.0), torque=Message(x=0.0, y=0.0, z=1.0)))


@pytest.mark.parametrize(
    ("message", "path", "value"),
    [
        (JOINTS, "position[hinge]", 0.7),
        (JOINTS, "position[1]", -1.0),
        (JOINTS, "position[a.b]", 2.0),
        (WRENCH, "wrench.force.z", 6.0),
        (WRENCH, "wrench.force", 7.0),
        (Message(data=True), "data", 1.0),
        (Message(poses=[Message(position=Message(x=0.0, y=0.0, z=4.0))]), "poses[0].position", 4.0),
        (
            Message(interface_values=[Message(values=[1.5])], joint_names=["jaw"]),
            "interface_values[jaw].values[0]",
            1.5,
        ),
    ],
)
def test_a_number_is_found_by_its_name(message, path, value):
    assert Field(path).read(message) == pytest.approx(value)


@pytest.mark.parametrize("path", ["", "a..b", "position[", "a b", "position[]"])
def test_what_is_no_path_is_refused_at_once(path):
    with pytest.raises(UserError, match=r"field is '.*': expected names with dots"):
        Field(path)


@pytest.mark.parametrize(
    ("message", "path", "words"),
    [
        (JOINTS, "positon[0]", "there is no 'positon' in SimpleNamespace"),
        (JOINTS, "position[door]", "no entry 'door' in position .* expected one of hinge, lbr_A1, a.b"),
        (JOINTS, "velocity[hinge]", "velocity has no entry 0 .* too short"),
        (JOINTS, "position", "is list, not a number"),
        (Message(values=[1.0]), "values[one]", "expected a whole number from 0"),
        (Message(data=math.nan), "data", "field data is nan: check what measures it"),
        (Message(force=Message(x=0.0, y=math.nan, z=0.0)), "force", "field force is nan"),
    ],
)
def test_what_is_missing_is_named(message, path, words):
    with pytest.raises(UserError, match=words):
        Field(path).read(message)


def test_it_counts_beyond_the_threshold_and_a_little_way_back():
    above, below = ThresholdGate(0.5, "above", 0.1), ThresholdGate(0.5, "below", 0.1)
    assert [above.counts(value) for value in (0.49, 0.5, 0.6)] == [False, True, True]
    assert [above.counts(value, done=True) for value in (0.39, 0.41)] == [False, True]
    assert [below.counts(value) for value in (0.49, 0.51)] == [True, False]
    assert [below.counts(value, done=True) for value in (0.59, 0.61)] == [True, False]
    with pytest.raises(UserError, match="threshold is nan"):
        ThresholdGate(math.nan)
