import pytest
from hypothesis import given
from hypothesis import strategies as st

from sac_gmm.core.errors import UserError
from sac_gmm.perception import RewardDebouncer, RewardJudge

MS = 1_000_000


@given(st.lists(st.booleans(), max_size=60), st.integers(1, 5), st.integers(1, 5))
def test_success_changes_only_after_enough_pictures_in_a_row(pictures, frames_on, frames_off):
    debouncer = RewardDebouncer(frames_on, frames_off)
    before = False
    for i, seen in enumerate(pictures):
        success = debouncer.update(seen)
        needed = frames_off if before else frames_on
        last = pictures[max(0, i + 1 - needed) : i + 1]
        assert (success != before) == (last == [not before] * needed and changed_long_ago(pictures, i, needed, before))
        before = success


def changed_long_ago(pictures, i, needed, before):
    """The last `needed` pictures all contradict the state: that is enough whenever the state changed before them."""
    return i + 1 >= needed and all(seen != before for seen in pictures[i + 1 - needed : i + 1])


def test_bad_frame_counts_are_named():
    with pytest.raises(UserError, match="frames_on is 0"):
        RewardDebouncer(0, 1)


def test_an_old_success_does_not_leak_into_the_next_episode():
    judge = RewardJudge(RewardDebouncer(2, 2))
    judge.episode_running(1, 0)
    assert [judge.judge(t, True) for t in (10, 20, 30)] == [False, True, True]
    judge.episode_resetting(2)
    assert not any(judge.judge(t, True) for t in (40, 50, 60)), "the door is still open while the scene is put back"
    judge.episode_running(2, 100)
    assert not any(judge.judge(t, True) for t in (80, 90)), "taken before the episode began"
    assert [judge.judge(t, True) for t in (100, 110)] == [False, True]


def test_a_new_episode_forgets_even_when_no_reset_was_announced():
    judge = RewardJudge(RewardDebouncer(1, 1))
    judge.episode_running(1, 0)
    assert judge.judge(10, True)
    judge.episode_running(2, 20)
    assert not judge.judge(20, False)
    judge.episode_running(2, 20)  # the same phase again (a late joiner's copy) changes nothing
    assert judge.judge(30, True)


def test_the_same_picture_counts_once():
    judge = RewardJudge(RewardDebouncer(3, 1))
    assert [judge.judge(10, True) for _ in range(5)] == [False] * 5
    assert [judge.judge(t, True) for t in (20, 30, 30)] == [False, True, True]


def test_a_clock_that_is_set_back_starts_anew():
    judge = RewardJudge(RewardDebouncer(2, 2))
    assert [judge.judge(t, True) for t in (100 * MS, 200 * MS)] == [False, True]
    assert not judge.judge(10 * MS, True)
    assert judge.judge(20 * MS, True)


def test_a_picture_that_was_overtaken_changes_nothing():
    judge = RewardJudge(RewardDebouncer(2, 2))
    assert [judge.judge(t, True) for t in (100 * MS, 200 * MS)] == [False, True]
    assert judge.judge(199 * MS, False), "it neither counts nor makes a new beginning"
    assert judge.judge(300 * MS, False)
    assert not judge.judge(400 * MS, False)
