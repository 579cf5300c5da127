"""A person's word on an episode, booked where it belongs."""

import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.perception.button import ButtonPresses, Call, EpisodeCalls

SECOND_NS = 10**9
BUTTONS = {Call.SUCCESS: 0, Call.FAILURE: 1, Call.DISCARD: 3}


def presses(*states, debounce_s=0.05, every_s=0.1):
    taken = ButtonPresses(BUTTONS, debounce_s)
    return [[call.value for call in taken.take(state, every_s * k)] for k, state in enumerate(states)]


def test_a_press_counts_once_however_long_it_is_held():
    assert presses([0] * 4, [1, 0, 0, 0], [1, 0, 0, 0], [0] * 4, [1, 0, 0, 0]) == [[], ["success"], [], [], ["success"]]
    assert presses([0] * 4, [0, 1, 1, 1]) == [[], ["failure", "discard"]], "button 2 is nobody's"


def test_a_button_that_is_down_at_first_must_be_released_first():
    assert presses([1, 0, 0, 0], [1, 0, 0, 0], [0] * 4, [1, 0, 0, 0]) == [[], [], [], ["success"]]


def test_a_contact_that_bounces_presses_once():
    states = [[0] * 4, [1, 0, 0, 0], [0] * 4, [1, 0, 0, 0], [0] * 4, [1, 0, 0, 0]]
    assert presses(*states, every_s=0.01) == [[], ["success"], [], [], [], []]
    assert [called for called in presses(*states, every_s=0.1) if called] == [["success"]] * 3


def test_a_joystick_without_the_button_and_two_calls_of_one_are_named():
    with pytest.raises(UserError, match="discard_button is 3, but the joystick has 2 buttons: expected 0 to 1"):
        ButtonPresses(BUTTONS, 0.05).take([0, 0], 0.0)
    with pytest.raises(UserError, match=r"two calls have one button \(success 0, failure 0\)"):
        ButtonPresses({Call.SUCCESS: 0, Call.FAILURE: 0}, 0.05)


class Episodes:
    """Calls with one clock for stamps and wall, unless the stamps stand still."""

    def __init__(self, late_window_s):
        self.calls = EpisodeCalls(late_window_s)

    def running(self, episode_id, start_s, limit_s=5.0):
        self.calls.running(episode_id, start_s * SECOND_NS, limit_s)

    def call(self, call, at_s, stamp_s=None):
        return self.calls.call(call, round((at_s if stamp_s is None else stamp_s) * SECOND_NS), at_s)

    def judge(self, at_s, stamp_s=None):
        """Stamp in seconds, and the call."""
        judged = self.calls.judge(round((at_s if stamp_s is None else stamp_s) * SECOND_NS), at_s)
        return judged and (judged.stamp_ns / SECOND_NS, judged.call)


@pytest.fixture
def episodes():
    """An episode from 10 s to 15 s, in which calls count until 17 s."""
    made = Episodes(late_window_s=2.0)
    made.running(4, 10)
    return made


@pytest.mark.parametrize("call", list(Call))
def test_an_early_call_ends_the_episode_and_is_repeated_until_it_has(episodes, call):
    assert episodes.judge(11) == (11, None)
    assert episodes.call(call, 12) == f"{call.value} is called for episode 4, which ends it"
    for second in (12, 13):
        assert episodes.judge(second) == (second, call)
    assert "the first call counts" in episodes.call(Call.FAILURE, 13)
    episodes.running(4, 10)  # the same announcement again
    assert episodes.judge(14) == (14, call)
    episodes.calls.not_running(14)
    episodes.running(5, 20)
    assert episodes.judge(21) == (21, None), "the next episode is another one"


def test_a_late_call_counts_for_the_episode_whose_time_has_run_out(episodes):
    assert episodes.judge(14.9) == (14.9, None)
    for second in (15.0, 16.9):
        assert episodes.judge(second) is None, "its last moment is not judged yet"
    assert episodes.call(Call.SUCCESS, 16) == "success is called for episode 4, 1.0 s after its time limit"
    assert episodes.judge(16) == (15, Call.SUCCESS)


def test_without_a_call_its_time_has_run_out_after_the_window(episodes):
    assert episodes.judge(15) is None
    assert episodes.judge(17) == (15, None)
    assert "it comes too late" in episodes.call(Call.SUCCESS, 17.1)
    assert episodes.judge(18) == (15, None), "what was told stays"


def test_a_person_s_time_goes_on_where_a_simulation_stands_still(episodes):
    assert episodes.judge(15.0, stamp_s=15) is None and episodes.judge(16.9, stamp_s=15) is None
    assert episodes.judge(17.0, stamp_s=15) == (15, None)


def test_a_call_outside_of_an_episode_counts_for_none(episodes):
    episodes.calls.not_running(17)
    said = episodes.call(Call.SUCCESS, 18)
    assert said == "success is called while no episode runs; episode 4 has been over for 1.0 s: it counts for none"
    assert episodes.judge(19) == (19, None)
    episodes.running(5, 30)
    assert episodes.judge(31) == (31, None)
    assert "while no episode runs: it counts" in Episodes(2.0).call(Call.DISCARD, 0)


def test_a_window_of_zero_judges_at_once():
    episodes = Episodes(late_window_s=0.0)
    episodes.running(1, 0)
    assert episodes.judge(5) == (5, None)
