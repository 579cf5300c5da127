import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from sac_gmm.perception import Camera
from sac_gmm.perception.hands.marker import MarkerHandTracker
from sac_gmm.perception.render import clutter, degrade, facing_rotation, render_marker

CAMERA = Camera.create(640, 480, [600.0, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0])


@pytest.mark.parametrize(
    ("distance_m", "tilt_deg", "ambiguous"), [(0.5, 0, False), (0.5, 25, False), (1.0, 8, True), (1.0, 30, False)]
)
def test_a_marker_that_faces_the_camera_keeps_its_place_and_its_direction_is_doubted_where_it_must_be(
    distance_m, tilt_deg, ambiguous
):
    rng = np.random.default_rng(0)
    tracker = MarkerHandTracker("DICT_4X4_50", 3, 0.06, CAMERA)
    background, turn = clutter(rng, 480, 640), facing_rotation(np.radians(tilt_deg), 0.4)
    doubted, angles_deg = [], []
    for i in range(15):
        place = np.array([-0.05 + 0.005 * i, 0.02, distance_m])
        picture = render_marker(background, CAMERA, "DICT_4X4_50", 3, 0.06, place, turn)
        pose = tracker.track(degrade(picture, rng, blur_px=0.8, noise=5), i / 30)
        assert np.linalg.norm(pose.position_m - place) < 0.005
        angles_deg.append(np.degrees(Rotation.from_matrix(pose.rotation @ turn.T).magnitude()))
        doubted.append(tracker.ambiguous)
    assert np.mean(doubted) > 0.7 if ambiguous else np.mean(doubted) < 0.2
    assert ambiguous or max(angles_deg) < 5.0
