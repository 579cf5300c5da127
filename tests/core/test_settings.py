from dataclasses import dataclass

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_ranges, check_settings, check_types, number


@dataclass(frozen=True)
class Own:
    """Settings with all kinds of fields."""

    speed_m_s: float = 0.5
    count: int = 3
    noise_m: float | None = None
    sides: tuple[int, ...] = (1, 2)
    bounds: tuple[float, float] = (0.0, 1.0)
    on: bool = True
    name: str = "own"


@dataclass(frozen=True)
class Numbers:
    rate_hz: float = number(100.0, 30.0, 500.0, "Hz", "ticks a second")
    count: int = number(2, 1, 100_000_000, "", "how many")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"speed_m_s": "fast"}, "speed_m_s is 'fast', expected a number"),
        ({"speed_m_s": float("nan")}, "speed_m_s is nan, expected a number"),
        ({"speed_m_s": True}, "speed_m_s is True, expected a number"),
        ({"count": 1.5}, "count is 1.5, expected a whole number"),
        ({"noise_m": "none"}, "noise_m is 'none', expected a number or null"),
        ({"sides": (1, 0.5)}, "expected a list of whole numbers"),
        ({"bounds": (1.0,)}, "expected a list of 2 numbers"),
        ({"on": 1}, "on is 1, expected true or false"),
        ({"name": None}, "name is None, expected a text"),
    ],
)
def test_a_value_of_another_type_is_named(change, message):
    with pytest.raises(UserError, match=message):
        check_types(Own(**change))


def test_values_of_the_annotated_types_pass():
    check_types(Own(speed_m_s=1, noise_m=0.1, sides=()))


def test_a_value_out_of_its_range_is_named():
    bounds = {"speed_m_s": (0.0, 1.0), "count": (1, 10_000_000), "noise_m": (0.0, 0.2)}
    check_ranges(Own(speed_m_s=1.0), bounds)  # the noise is None: not set
    for change, message in (
        ({"speed_m_s": 1.5}, "speed_m_s = 1.5 is out of range: expected 0 to 1$"),
        ({"speed_m_s": float("nan")}, "speed_m_s = nan is out of range"),
        ({"count": 20_000_000}, "count = 20000000 is out of range: expected 1 to 10000000$"),
        ({"count": 10**400}, "count = 1000"),
        ({"noise_m": -0.1}, "noise_m = -0.1 is out of range: expected 0 to 0.2$"),
    ):
        with pytest.raises(UserError, match=message):
            check_ranges(Own(**change), bounds)


def test_a_range_without_an_upper_end_says_so():
    bounds = {"speed_m_s": (0.0, float("inf"))}
    check_ranges(Own(speed_m_s=1e6), bounds)
    for value in (-1.0, float("inf")):
        with pytest.raises(UserError, match=r"is out of range: expected at least 0$"):
            check_ranges(Own(speed_m_s=value), bounds)


def test_a_field_made_with_number_has_its_range_and_unit():
    check_settings(Numbers())
    with pytest.raises(UserError, match=r"rate_hz = 5 is out of range: expected 30 to 500 Hz$"):
        check_settings(Numbers(rate_hz=5.0))
    with pytest.raises(UserError, match=r"count = 0 is out of range: expected 1 to 100000000$"):
        check_settings(Numbers(count=0))
    with pytest.raises(UserError, match=r"count = '2' is not a number: expected 1 to 100000000$"):
        check_settings(Numbers(count="2"))
