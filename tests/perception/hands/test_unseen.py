import numpy as np
import pytest

from sac_gmm.perception.hands.unseen import Unseen

RANDOM = np.random.default_rng(0)
ROOM = np.clip(RANDOM.normal(120, 40, (120, 160, 3)), 0, 255).astype(np.uint8)


def why(*pictures, side="any", marker="", **seen):
    unseen = Unseen(side, marker)
    for picture in pictures:
        unseen.take(picture, placed=False, **seen)
    return unseen.why()


@pytest.mark.parametrize(
    ("picture", "words"),
    [
        (np.zeros((120, 160, 3), np.uint8), "5 of 5 pictures are black"),
        (RANDOM.integers(0, 12, (120, 160), np.uint8), "5 of 5 pictures are black"),
        (np.full((120, 160, 3), 128, np.uint8), "5 of 5 pictures show nothing but one even colour"),
        ((ROOM * 0.15).astype(np.uint8), "are dark (brightness 1"),
        (np.clip(ROOM.astype(int) + 170, 0, 255).astype(np.uint8), "are overexposed (brightness 25"),
        (ROOM, "neither dark nor overexposed (brightness 1"),
    ],
)
def test_what_the_pictures_look_like_is_said(picture, words):
    assert words in why(*[picture] * 5)


def test_a_hand_of_the_other_side_is_said():
    said = why(ROOM, ROOM, side="left", sides=["right"])
    assert said.startswith("a right hand was seen in 2 of 2 pictures, a left one in none: set the side to right or any")
    assert "mirrored" in said
    assert "at no distance from 0.05 to 5 m" in why(ROOM, side="left", sides=["left"])
    assert "at no distance from 0.05 to 5 m" in why(ROOM, sides=["right"])


def test_another_marker_in_its_place_is_said():
    assert why(ROOM, marker="DICT_4X4_50:7:0.06", near_miss="marker 8 is in the image, not 7") == (
        "in 1 of 1 pictures marker 8 is in the image, not 7"
    )
    assert "is it DICT_4X4_50:7:0.06, sharp" in why(ROOM, marker="DICT_4X4_50:7:0.06")


def test_only_what_came_since_the_hand_was_seen_counts():
    unseen = Unseen()
    assert unseen.why() == ""
    unseen.take(np.zeros((8, 8), np.uint8), placed=False)
    unseen.take(ROOM, placed=True)
    assert unseen.why() == ""
    unseen.take(ROOM, placed=False)
    assert "neither dark" in unseen.why()
