"""What the robot says of itself, judged: what stops the arm, what latches, what heals, what a version does not say."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sac_gmm.control import Reason, remedy
from sac_gmm.control.codes import Limit
from sac_gmm.control.lbr_state import LbrJudge, LbrSettings, LbrState
from sac_gmm.core.errors import UserError

READY = LbrState(4, 3, 0, 0, 2, 1.0, None)


class Clock:
    """A robot that sends its state every 10 ms."""

    def __init__(self, **settings):
        self.judge = LbrJudge(LbrSettings(**settings))
        self.now_s = 100.0

    def __call__(self, state, seconds=0.01):
        for _ in range(max(1, round(seconds / 0.01))):
            self.now_s += 0.01
            reason = self.judge.judge(state, self.now_s)
        return reason


@pytest.mark.parametrize(
    "change, reason",
    [
        ({"session_state": 0}, Reason.SESSION_LOST),
        ({"session_state": 3}, Reason.SESSION_LOST),
        ({"session_state": 9}, Reason.SESSION_LOST),
        ({"safety_state": 2}, Reason.SAFETY_STOP),
        ({"safety_state": 1, "session_state": 0, "drive_state": 0}, Reason.SAFETY_STOP),
        ({"drive_state": 1}, Reason.DRIVES_OFF),
        ({"drive_state": 0, "session_state": 2}, Reason.DRIVES_OFF),
        ({"connection_quality": 1}, Reason.POOR_CONNECTION),
        ({"connection_quality": -1}, Reason.POOR_CONNECTION),
        ({"connection_quality": 7}, Reason.POOR_CONNECTION),
        ({"tracking_performance": 0.3}, Reason.POOR_TRACKING),
        ({"tracking_performance": float("nan")}, Reason.POOR_TRACKING),
        ({}, Reason.NONE),
        ({"operation_mode": 2}, Reason.NONE),
        ({"connection_quality": 2, "tracking_performance": 0.5}, Reason.NONE),
    ],
)
def test_each_state_that_forbids_motion_has_its_reason_and_a_remedy(change, reason):
    clock = Clock()
    assert clock(replace(READY, **change)) is reason
    assert bool(remedy(reason, Limit.NONE)) == (reason is not Reason.NONE)


def test_waiting_for_the_first_session_does_not_latch():
    clock = Clock()
    for session in (0, 1, 2, 3):
        assert clock(replace(READY, session_state=session), 0.1) is Reason.SESSION_LOST
    assert clock(READY) is Reason.NONE


@pytest.mark.parametrize("change", [{"session_state": 1}, {"safety_state": 1}, {"drive_state": 0}])
def test_what_failed_once_it_was_good_latches_until_it_is_cleared(change):
    clock = Clock()
    assert clock(READY) is Reason.NONE
    reason = clock(replace(READY, **change), 0.2)
    assert clock(READY, 5.0) is reason
    clock.judge.clear()
    assert clock(READY) is Reason.NONE


def test_clearing_does_not_help_while_the_cause_lasts():
    clock = Clock()
    clock(READY)
    lost = replace(READY, session_state=2)
    clock(lost)
    clock.judge.clear()
    assert clock(lost) is Reason.SESSION_LOST
    assert clock(READY) is Reason.SESSION_LOST


def test_quality_and_tracking_heal_after_a_while():
    clock = Clock(recovery_s=0.5)
    clock(READY)
    assert clock(replace(READY, connection_quality=1), 0.1) is Reason.POOR_CONNECTION
    assert clock(READY, 0.4) is Reason.POOR_CONNECTION
    assert clock(READY, 0.2) is Reason.NONE
    assert clock(replace(READY, tracking_performance=0.1)) is Reason.POOR_TRACKING
    assert clock(READY, 0.6) is Reason.NONE


def test_no_recovery_time_does_not_let_a_bad_state_pass():
    clock = Clock(recovery_s=0.0)
    assert clock(replace(READY, connection_quality=0)) is Reason.POOR_CONNECTION
    assert clock(READY) is Reason.NONE


def test_a_robot_whose_clock_stands_still_is_gone():
    """The driver publishes on when the robot has gone: each message is new and says what it always said."""
    clock = Clock(robot_clock_timeout_s=0.1)
    for k in range(20):
        assert clock(replace(READY, robot_time_ns=k)) is Reason.NONE
    frozen = replace(READY, robot_time_ns=19)
    assert clock(frozen, 0.08) is Reason.NONE
    assert clock(frozen, 0.05) is Reason.STALE_STATE
    assert clock(replace(READY, robot_time_ns=20)) is Reason.NONE


def test_a_message_is_read_and_absent_fields_are_left_out():
    whole = SimpleNamespace(
        session_state=4, connection_quality=3, safety_state=0, operation_mode=0, drive_state=2,
        tracking_performance=0.9, time_stamp_sec=7, time_stamp_nano_sec=5,
    )  # fmt: skip
    state = LbrState.of(whole)
    assert state == LbrState(4, 3, 0, 0, 2, 0.9, 7_000_000_005)
    assert state.text.startswith("session COMMANDING_ACTIVE, connection EXCELLENT, safety NORMAL_OPERATION, mode T1")
    assert state.text.endswith("drives ACTIVE, tracking 0.90")
    assert "session 9 (unknown)" in replace(state, session_state=9).text
    bare = LbrState.of(SimpleNamespace(session_state=4))
    assert bare == LbrState(session_state=4)
    assert Clock()(bare) is Reason.NONE
    assert Clock()(LbrState.of(SimpleNamespace(session_state=1))) is Reason.SESSION_LOST


@given(
    states=st.lists(
        st.builds(
            LbrState,
            *(st.one_of(st.none(), st.integers(-128, 127)) for _ in range(5)),
            st.one_of(st.none(), st.floats()),
            st.one_of(st.none(), st.integers(0, 2**62)),
        ),
        max_size=30,
    )
)
def test_it_never_allows_what_a_state_itself_forbids(states):
    clock = Clock()
    for state in states:
        if clock(state) is Reason.NONE:
            assert state.session_state in (None, 4) and state.safety_state in (None, 0)
            assert state.drive_state in (None, 2) and state.connection_quality in (None, 2, 3)
            assert state.tracking_performance is None or state.tracking_performance >= 0.5


def test_settings_out_of_range_are_refused():
    with pytest.raises(UserError, match=r"min_connection_quality = 4.*expected 0 to 3"):
        LbrSettings(min_connection_quality=4)
