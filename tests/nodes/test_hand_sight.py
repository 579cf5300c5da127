import os
import pty
import sys
import time

import pytest
from sensor_msgs.msg import Image

from sac_gmm_nodes.conversions import header, stamp_of
from sac_gmm_nodes.hand_sight import DepthPairing
from sac_gmm_nodes.keyboard import Keyboard

pytestmark = pytest.mark.ros


def image(ms):
    return Image(header=header(stamp_of(ms * 1_000_000)))


def test_a_picture_waits_for_its_depth_and_not_longer_than_for_the_next_picture():
    pairing = DepthPairing(wanted=True)
    first, depth = image(0), image(5)
    assert pairing.picture(first) == []
    assert pairing.depth(depth) == [(first, depth)]
    second, third, late = image(33), image(66), image(34)
    assert pairing.picture(second) == []
    assert pairing.picture(third) == [(second, None)], "its depth did not come"
    assert pairing.depth(late) == [], "which belongs to none that waits"
    early = image(100)
    assert pairing.depth(early) == []
    fourth = image(100)
    assert pairing.picture(fourth) == [(third, None), (fourth, early)]
    assert DepthPairing(wanted=False).picture(first) == [(first, None)]


def test_keys_come_from_a_terminal_and_only_from_one(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r", buffering=1) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        keyboard = Keyboard()
        assert keyboard.start()
        os.write(ours, b" s")
        assert [keyboard.keys.get(timeout=5.0) for _ in range(2)] == [" ", "s"]
        began_s = time.monotonic()
        keyboard.close()
        assert time.monotonic() - began_s < 2.0
    os.close(ours)
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        keyboard = Keyboard()
        assert not keyboard.start()
        keyboard.close()
