import numpy as np

from sac_gmm.perception.hands import HandFollower, HandObservation


def hand(x, size=100.0, side="right"):
    landmarks = np.zeros((21, 2)) + [x, 200.0]
    landmarks[8, 1] += size
    return HandObservation(landmarks, np.zeros((21, 3)), side, 0.9)


def test_the_nearest_hand_is_chosen_and_kept():
    follower = HandFollower()
    near, far = hand(100), hand(500, size=60)
    assert follower.choose([far, near], 0.0) is near
    moved, grown = hand(130, size=90), hand(480, size=150)
    assert follower.choose([grown, moved], 0.1) is moved, "another hand that is larger now is still another one"
    assert follower.choose([grown], 0.2) is None, "nor does it take the place of one just lost"
    back = hand(160)
    assert follower.choose([grown, back], 0.5) is back
    assert follower.choose([grown], 2.0) is grown, "after a second any hand may"


def test_the_side_asked_for_is_the_one_to_begin_with():
    follower = HandFollower("left")
    right, left = hand(100, side="right"), hand(400, size=50, side="left")
    assert follower.choose([right], 0.0) is None
    assert follower.choose([right, left], 0.1) is left
    mislabelled = hand(405, size=50, side="right")
    assert follower.choose([right, mislabelled], 0.2) is mislabelled, "a label that flickers does not make it jump"


def test_a_clock_that_is_set_back_begins_anew():
    follower = HandFollower()
    follower.choose([hand(100)], 50.0)
    other = hand(600)
    assert follower.choose([other], 1.0) is other
    assert follower.choose([], 1.1) is None


def test_a_stamp_a_millisecond_back_does_not_change_hands():
    follower = HandFollower()
    follower.choose([hand(100)], 5.0)
    assert follower.choose([hand(600, size=150), hand(105)], 4.999).centre_px[0] == 105


def test_a_first_label_that_is_wrong_does_not_make_it_follow_the_other_hand():
    follower = HandFollower("left")
    left, right = hand(100, side="left"), hand(500, size=150, side="right")
    swapped = [hand(100, side="right"), hand(500, size=150, side="left")]
    assert follower.choose(swapped, 0.0) is swapped[1]
    seen = [follower.choose([right, left], 0.03 * i) for i in range(1, 40)]
    assert seen[:4] == [right] * 4 and seen[4:] == [left] * 35, "as soon as its labels contradict the side together"
    assert follower.choose(swapped, 1.2) is swapped[0], "but no more for a single one"
    assert follower.choose([right], 1.3) is None
    alone = HandFollower("left")
    alone.choose([left], 0.0)
    mislabelled = hand(105, side="right")
    assert {id(alone.choose([mislabelled], 0.03 * i)) for i in range(1, 40)} == {id(mislabelled)}
