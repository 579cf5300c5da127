"""Settings that are plain values."""

from dataclasses import dataclass

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import number
from sac_gmm.methods import MethodSettings


@dataclass(frozen=True)
class Settings(MethodSettings):
    reach_m: float = number(0.03, 0.0, 0.2, "m", "how far an action of 1 goes")


def test_settings_survive_json_and_change_by_name():
    settings = Settings().changed(reach_m=0.1, interval=4)
    assert (settings.reach_m, settings.interval) == (0.1, 4)
    assert Settings.from_json(settings.to_json()) == settings
    assert Settings.from_json({}) == Settings()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reach": 1.0}, "no setting 'reach': known are interval, .*reach_m"),
        ({"reach_m": 1.0}, "reach_m = 1 is out of range: expected 0 to 0.2 m"),
        ({"reach_m": "far"}, "reach_m is 'far', expected a number"),
        ({"interval": 2.5}, "interval is 2.5, expected a whole number"),
    ],
)
def test_a_mistake_is_named(change, told):
    with pytest.raises(UserError, match=told):
        Settings().changed(**change)
