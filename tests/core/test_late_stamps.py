import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from sac_gmm.core.late_stamps import JITTER_NS, in_order, is_late

MS = 1_000_000


def test_a_message_that_was_overtaken_takes_its_place():
    stamps = [i * MS for i in (0, 1, 2, 4, 3, 5, 6)]
    assert [stamps[i] // MS for i in in_order(stamps)] == [0, 1, 2, 3, 4, 5, 6]


def test_one_without_room_is_left_out():
    """At 100 Hz a stamp 1 ms back would make ten times the speed."""
    stamps = [i * MS for i in (0, 10, 20, 30, 29, 40, 39, 50)]
    assert in_order(stamps) == [0, 1, 2, 3, 5, 7]
    assert in_order([5, 5, 5]) == [0] and in_order([]) == []


def test_what_is_late():
    assert is_late(9 * MS, 10 * MS) and is_late(10 * MS - 1, 10 * MS)
    assert not is_late(10 * MS, 10 * MS) and not is_late(11 * MS, 10 * MS)
    assert not is_late(10 * MS - JITTER_NS - 1, 10 * MS)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=80))
def test_stamps_come_out_in_order_with_room(jitter_ms):
    stamps = [(10 * i + jitter) * MS for i, jitter in enumerate(jitter_ms)]
    chosen = in_order(stamps)
    assert (np.diff([stamps[i] for i in chosen]) > 0).all() and len(set(chosen)) == len(chosen) > 0
