"""What the log says of the reasons that hold the arm."""

import pytest

from sac_gmm.control import Limit, Reason, remedy
from sac_gmm_nodes.control.reason_log import AS_IT_SHOULD_BE, ReasonLog

pytestmark = pytest.mark.ros


class Lab:
    """A log that is looked at, and a clock that is set."""

    def __init__(self):
        self.lines, self.now_s = [], 0.0
        self.log = ReasonLog(self, lambda: self.now_s)

    def info(self, text):
        self.lines.append(("info", text))

    def warning(self, text):
        self.lines.append(("warn", text))

    def go(self, *reasons, each_s=0.01):
        for reason in reasons:
            self.log.note(reason)
            self.now_s += each_s
        self.log.tell(lambda reason: remedy(reason, Limit.NONE))
        said, self.lines = self.lines, []
        return said


@pytest.fixture
def lab():
    return Lab()


@pytest.mark.parametrize("reason", [r for r in Reason if r not in AS_IT_SHOULD_BE], ids=lambda r: r.name)
def test_each_reason_that_lasts_is_a_warning_with_what_to_do_and_so_is_its_end(lab, reason):
    (line,) = lab.go(Reason.NONE, reason, each_s=3.0)
    assert line == ("warn", f"the arm is held ({reason.name}): {remedy(reason, Limit.NONE)}")
    assert lab.go(reason, reason, reason, each_s=5.0) == [], "once, however long it lasts"
    assert lab.go(Reason.NONE) == [("info", f"no longer held for {reason.name}: the arm may move")]


def test_episodes_that_follow_each_other_are_no_news(lab):
    assert lab.go(*[Reason.NO_EPISODE, Reason.NO_TARGET, Reason.NONE] * 20) == []


def test_a_reason_of_the_start_is_told_once_it_has_lasted(lab):
    assert lab.go(Reason.NO_STATE, each_s=1.0) == []
    assert lab.go(Reason.NO_STATE, each_s=1.5) == [
        ("warn", f"the arm is held (NO_STATE): {remedy(Reason.NO_STATE, Limit.NONE)}")
    ]
    assert lab.go(Reason.NO_TARGET, Reason.NO_EPISODE) == [("info", "no longer held for NO_STATE: now NO_EPISODE")]


def test_a_short_stop_between_two_looks_is_told(lab):
    told = lab.go(Reason.NONE, Reason.STALE_STATE, Reason.SESSION_LOST, Reason.NONE)
    assert [kind for kind, _ in told] == ["warn", "warn", "info"]


def test_one_that_comes_and_goes_does_not_flood_the_log(lab):
    told = lab.go(*[Reason.POOR_TRACKING, Reason.NONE] * 200)  # in four seconds
    assert sum(kind == "warn" for kind, _ in told) <= 4
