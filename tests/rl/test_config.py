import json

import pytest

from sac_gmm.errors import SacGmmError
from sac_gmm.rl import ObservationSpec, SacConfig


def test_survives_json():
    config = SacConfig(critic_hidden=(32, 16), gamma=0.99)
    assert SacConfig.from_json(json.loads(json.dumps(config.to_json()))) == config
    spec = ObservationSpec(2, (1, 64, 48), (0.0, 1.0), (0.1, 2.0))
    assert ObservationSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


@pytest.mark.parametrize(
    ("field", "value"),
    [("gamma", 1.5), ("gamma", float("nan")), ("batch_size", 0), ("target_subset", 9), ("return_bounds", (1.0, 0.0))],
)
def test_a_value_out_of_range_is_named(field, value):
    with pytest.raises(SacGmmError, match=field):
        SacConfig(**{field: value})


def test_an_unknown_field_is_named():
    with pytest.raises(SacGmmError, match="learning_rte"):
        SacConfig.from_json({"learning_rte": 1.0})


def test_a_wrong_observation_is_refused():
    with pytest.raises(SacGmmError, match="image_shape"):
        ObservationSpec(3, (64, 64, 3))
    with pytest.raises(SacGmmError, match="vector_scale"):
        ObservationSpec(3, vector_scale=(1.0, 0.0, 1.0))
    with pytest.raises(SacGmmError, match="vector_size"):
        ObservationSpec(0)
