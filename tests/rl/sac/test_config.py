import json

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.rl import SacConfig


def test_survives_json():
    config = SacConfig(critic_hidden=(32, 16), gamma=0.99)
    assert SacConfig.from_json(json.loads(json.dumps(config.to_json()))) == config


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("gamma", 1.5),
        ("gamma", float("nan")),
        ("target_entropy_per_action", float("nan")),
        ("anchor_weight", float("inf")),
        ("anchor_weight", 10**400),
        ("max_std", float("inf")),
        ("return_bounds", (0.0, float("inf"))),
        ("batch_size", 0),
        ("target_subset", 9),
        ("return_bounds", (1.0, 0.0)),
        ("actor_hidden", (1_000_000_000, 1_000_000_000)),
        ("critic_hidden", (1,) * 100),
        ("replay_capacity", 100_000_000),
    ],
)
def test_a_value_out_of_range_is_named(field, value):
    with pytest.raises(UserError, match=field):
        SacConfig(**{field: value})


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("n_step", 1.5, "a whole number"),
        ("n_step", True, "a whole number"),
        ("gamma", "high", "a number"),
        ("zero_init", "False", "true or false"),
        ("zero_init", 0, "true or false"),
        ("actor_hidden", 64, "a list of whole numbers"),
        ("critic_hidden", [64, 0.5], "a list of whole numbers"),
        ("return_bounds", [0, 1, 2], "a list of 2 numbers or null"),
    ],
)
def test_a_value_of_another_kind_is_named(field, value, expected):
    with pytest.raises(UserError, match=f"{field} is .*, expected {expected}$"):
        SacConfig(**{field: value})


def test_whole_numbers_are_numbers():
    assert SacConfig(gamma=1, return_bounds=[0, 1], actor_hidden=[]).return_bounds == (0, 1)


def test_an_unknown_field_is_named():
    with pytest.raises(UserError, match="learning_rte"):
        SacConfig.from_json({"learning_rte": 1.0})
