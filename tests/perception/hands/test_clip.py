"""The tracker on real footage with reference landmarks, where that is there."""

import json
from pathlib import Path

import numpy as np
import pytest

from sac_gmm.perception.camera_file import guess_camera
from sac_gmm.perception.film_file import Film
from sac_gmm.perception.hands.model_files import prepared_path
from sac_gmm.perception.hands.tracker import HandTracker

CLIP = Path(__file__).parents[4] / "shared" / "data" / "hands" / "asl_hand.25fps.mp4"

pytestmark = [
    pytest.mark.skipif(not CLIP.exists(), reason=f"the real footage {CLIP} is not here"),
    pytest.mark.skipif(not prepared_path().exists(), reason="the hand model is not prepared: sac-gmm hands prepare"),
]


def reference(name):
    return np.array(json.loads((CLIP.parent / name).read_text()))


def test_the_hand_is_found_where_the_references_say():
    pixels, metres = reference("asl_hand.full.json"), reference("asl_hand_3d.full.json")
    seen = []
    with Film(CLIP) as film:
        tracker = HandTracker(guess_camera(film.width, film.height), palm_width_m=0.065)
        for _, time_s, picture in film.frames():
            pose = tracker.track(picture, time_s)
            seen.append(tracker.observation)
            if pose is not None:
                assert pose.palm_width_m == pytest.approx(0.065, abs=0.02)
        tracker.close()
    assert len(seen) == len(pixels) == 325
    found = [i for i, hand in enumerate(seen) if hand is not None]
    assert len(found) >= 0.99 * 325
    assert {seen[i].side for i in found} == {"right"}
    away_px = [np.linalg.norm(seen[i].landmarks_px - pixels[i][:, :2], axis=1).mean() for i in found]
    away_m = [np.linalg.norm(seen[i].shape_m - metres[i], axis=1).mean() for i in found]
    assert np.mean(away_px) <= 1.0
    assert np.mean(away_m) <= 1e-3


def test_two_hands_in_one_picture_do_not_confuse_it():
    """The clip beside its mirror image: it follows the side that it was told, throughout."""
    with Film(CLIP) as film:
        tracker = HandTracker(guess_camera(2 * film.width, film.height), side="left")
        lefts = 0
        for number, time_s, picture in film.frames():
            if number == 60:
                break
            tracker.track(np.concatenate([picture, picture[:, ::-1]], axis=1), time_s)
            hand = tracker.observation
            lefts += hand is not None and hand.side == "left" and hand.centre_px[0] > film.width
        tracker.close()
    assert lefts >= 57


def test_depth_tells_how_far_away_the_hand_is_and_how_large():
    """A wall half a metre away, which the hand lies against: the pictures alone do not tell."""
    with Film(CLIP) as film:
        tracker = HandTracker(guess_camera(film.width, film.height))
        wall = np.full((film.height, film.width), 0.5, np.float32)
        for number, time_s, picture in film.frames():
            depth = wall if number < 10 else None
            pose = tracker.track(picture, time_s, depth)
            assert pose.size_from == ("depth" if number < 10 else "palm width")
            assert pose.position_m[2] == pytest.approx(0.5, abs=0.03 if number < 10 else 0.08)
            if number == 20:
                break
        tracker.close()
