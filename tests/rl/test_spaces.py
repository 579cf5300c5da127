import json

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.rl import ObservationSpec, Sight

DOWN = ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0))
SIGHT = Sight(80.0, DOWN, first=0)


@pytest.mark.parametrize(
    "spec",
    [
        ObservationSpec(2, (1, 64, 48), (0.0, 1.0), (0.1, 2.0)),
        ObservationSpec(3, (1, 64, 64), sight=Sight(80.0, DOWN, 0, (0.1, 0.5))),
        ObservationSpec(2, vector_shift=((1.0,), (0.0,)), action_shift=((2.0,),)),
    ],
)
def test_survives_json(spec):
    assert ObservationSpec.from_json(json.loads(json.dumps(spec.to_json()))) == spec


def test_a_wrong_observation_is_refused():
    with pytest.raises(UserError, match="image_shape"):
        ObservationSpec(3, (64, 64, 3))
    with pytest.raises(UserError, match="vector_scale"):
        ObservationSpec(3, vector_scale=(1.0, 0.0, 1.0))
    with pytest.raises(UserError, match="vector_size"):
        ObservationSpec(0)


def test_wrong_cameras_are_refused():
    with pytest.raises(UserError, match="orthonormal"):
        Sight(80.0, ((1, 0, 0), (0, 1, 0), (0, 0, 2)), 0)
    with pytest.raises(UserError, match="focal length"):
        Sight(0.0, DOWN, 0)
    with pytest.raises(UserError, match="three entries"):
        ObservationSpec(2, (1, 64, 64), sight=SIGHT)
