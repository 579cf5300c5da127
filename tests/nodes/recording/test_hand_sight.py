import os
import pty
import sys

import pytest
from sensor_msgs.msg import Image

from sac_gmm_nodes.common.conversions import header, stamp_of
from sac_gmm_nodes.common.keyboard import Keyboard
from sac_gmm_nodes.recording.hand_sight import DepthPairing

pytestmark = pytest.mark.ros


def image(ms):
    return Image(header=header(stamp_of(ms * 1_000_000)))


def _ms(message):
    return message.header.stamp.sec * 1000 + message.header.stamp.nanosec // 1_000_000


def test_a_picture_waits_for_its_depth_and_not_longer_than_until_later_depth_comes():
    pairing = DepthPairing(wanted=True)
    first, depth = image(0), image(5)
    assert pairing.picture(first) == []
    assert pairing.depth(depth) == [(first, depth)]
    second, third, fitting = image(33), image(66), image(67)
    assert pairing.picture(second) == pairing.picture(third) == []
    assert pairing.depth(fitting) == [(second, None), (third, fitting)], "the depth of the second was lost"
    assert pairing.depth(image(34)) == [], "which belongs to none that waits"
    early, fourth = image(100), image(100)
    assert pairing.depth(early) == []
    assert pairing.picture(fourth) == [(fourth, early)]
    fifth = image(133)
    assert pairing.picture(fifth) == [] and pairing.flush() == [(fifth, None)]
    assert DepthPairing(wanted=False).picture(first) == [(first, None)]


@pytest.mark.parametrize(("period_ms", "late_ms"), [(33, 0), (33, 40), (33, 200), (16, 40)])
def test_every_picture_gets_its_depth_when_that_comes_late(period_ms, late_ms):
    pictures, depths = ([image(i * period_ms) for i in range(30)] for _ in range(2))
    comes = [(_ms(picture), 0, picture) for picture in pictures]
    comes += [(_ms(depth) + late_ms, 1, depth) for depth in depths]
    pairing, got = DepthPairing(wanted=True), []
    for _, is_depth, message in sorted(comes, key=lambda event: event[:2]):
        got += pairing.depth(message) if is_depth else pairing.picture(message)
    assert [(id(picture), id(depth)) for picture, depth in got] == list(
        zip(map(id, pictures), map(id, depths), strict=True)
    )


@pytest.mark.parametrize("depth_ms", [None, -1000])
def test_pictures_do_not_wait_for_ever_and_keep_their_order(depth_ms):
    pairing, got = DepthPairing(wanted=True), []
    for i in range(100):
        got += pairing.picture(image(10_000 + i))
        if depth_ms is not None:
            got += pairing.depth(image(i + depth_ms + 10_000))
    assert len(got) == 92 and all(depth is None for _, depth in got)
    got += pairing.flush()
    assert [_ms(picture) for picture, _ in got] == [10_000 + i for i in range(100)]
    assert pairing.flush() == []


def test_keys_come_from_a_terminal_and_only_from_one(monkeypatch):
    ours, theirs = pty.openpty()
    with os.fdopen(theirs, "r", buffering=1) as terminal:
        monkeypatch.setattr(sys, "stdin", terminal)
        keyboard = Keyboard()
        assert keyboard.start()
        os.write(ours, b" s")
        assert [keyboard.keys.get(timeout=120.0) for _ in range(2)] == [" ", "s"]
        keyboard.close()  # though no further key is pressed
    os.close(ours)
    with open(os.devnull) as nothing:
        monkeypatch.setattr(sys, "stdin", nothing)
        keyboard = Keyboard()
        assert not keyboard.start()
        keyboard.close()
