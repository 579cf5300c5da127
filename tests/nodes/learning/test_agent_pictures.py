"""What the agent sees of any camera."""

import numpy as np
import pytest
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sac_gmm.core.errors import UserError
from sac_gmm.methods.sac_gmm.images import CameraPlace, image_coding
from sac_gmm_nodes.common.pictures import camera_info_message, grey_message, image_message, metres_message
from sac_gmm_nodes.learning.agent_pictures import AgentPictures

pytestmark = pytest.mark.ros
RANDOM = np.random.default_rng(0)
PLACE = CameraPlace(80.0, True, (0.0, 0.0, 0.1), (0.0, 0.0, -1.0), (1.0, 0.0, 0.0))


def eye(group="rgb", camera=None):
    warned = []
    made = AgentPictures(group, image_coding(group), camera, info_topic="/wrist_camera/camera_info", warn=warned.append)
    return made, warned


def info(focal_px, width, height):
    matrix = np.array([[focal_px, 0.0, width / 2 - 0.5], [0.0, focal_px, height / 2 - 0.5], [0.0, 0.0, 1.0]])
    return camera_info_message(matrix, width, height, Header())


def picture(width, height):
    return RANDOM.integers(0, 255, (height, width, 3), np.uint8)


def test_a_picture_of_the_agent_s_size_stays_as_it_is():
    pictures, _ = eye(camera=PLACE)
    rgb = picture(64, 64)
    np.testing.assert_array_equal(pictures.picture(image_message(rgb, Header())), rgb)


def test_any_other_is_cut_and_resized_and_the_size_may_change():
    pictures, _ = eye()
    for width, height in ((640, 480), (320, 240), (64, 64), (48, 100)):
        assert pictures.picture(image_message(picture(width, height), Header())).shape == (64, 64, 3)
    grey = RANDOM.integers(0, 255, (480, 640), np.uint8)
    assert pictures.picture(grey_message(grey, Header())).shape == (64, 64, 3)


def test_what_is_cut_out_is_what_the_agent_s_camera_sees():
    pictures, warned = eye(camera=PLACE)
    with pytest.raises(UserError, match="no calibration has arrived on /wrist_camera/camera_info"):
        pictures.picture(image_message(picture(640, 480), Header()))
    pictures.calibrate(info(1200.0, 640, 480))
    with pytest.raises(UserError, match=r"focal length of 160\.0 px at least, and 80 px are wanted"):
        pictures.picture(image_message(picture(640, 480), Header()))
    # Half the focal length: of 480 rows 240 are seen, which is 2 x 1 / 80 at 300 px.
    pictures.calibrate(info(300.0, 640, 480))
    framed = np.zeros((480, 640, 3), np.uint8)
    framed[120:360, 200:440] = 200
    assert (pictures.picture(image_message(framed, Header())) == 200).all()
    framed[120:360, 200:440] = 0
    framed[:118] = framed[362:] = framed[:, :198] = framed[:, 442:] = 200
    assert (pictures.picture(image_message(framed, Header())) == 0).all() and not warned


def test_a_region_of_a_binned_sensor_is_cut_like_any_other():
    pictures, _ = eye(camera=PLACE)
    full = info(600.0, 1280, 960)
    full.binning_x = full.binning_y = 2
    full.roi.x_offset, full.roi.y_offset, full.roi.width, full.roi.height = 320, 240, 640, 480
    pictures.calibrate(full)  # pictures of 320 x 240 with a focal length of 300 px
    framed = np.zeros((240, 320, 3), np.uint8)
    framed[:, 40:280] = 200
    assert (pictures.picture(image_message(framed, Header())) == 200).all()


def test_the_wrong_lens_at_the_right_size_is_told():
    pictures, warned = eye(camera=PLACE)
    pictures.calibrate(info(80.0, 64, 64))
    pictures.picture(image_message(picture(64, 64), Header()))
    assert not warned
    pictures.calibrate(info(100.0, 64, 64))
    for _ in range(3):
        pictures.picture(image_message(picture(64, 64), Header()))
    assert len(warned) == 1 and "a focal length of 100.0 px, the method's settings say 80.0" in warned[0]


def test_distances_of_any_size_and_kind_are_metres_of_the_agent_s_size():
    pictures, _ = eye("depth")
    metres = RANDOM.uniform(0.3, 0.8, (64, 64)).astype(np.float32)
    np.testing.assert_array_equal(pictures.picture(metres_message(metres, Header())), metres)
    millimetres = np.full((480, 640), 500, "<u2")
    millimetres[:, 320:] = 0
    message = Image(height=480, width=640, encoding="16UC1", step=1280, data=millimetres.tobytes())
    seen = pictures.picture(message)
    assert seen.shape == (64, 64) and np.allclose(seen[:, :31], 0.5) and np.isnan(seen[:, 33:]).all()
    coded = image_coding("depth").encode(seen)
    assert coded[0, 0, 0] == round(255 * 0.2 / 0.5) and (coded[0, :, 33:] == 255).all(), "what is not known is far"
    with pytest.raises(UserError, match="depth encoding 'rgb8' is not supported"):
        pictures.picture(image_message(picture(64, 64), Header()))


def test_an_agent_that_takes_any_size_gets_what_comes():
    free = AgentPictures("rgb", None, None, info_topic="", warn=print)
    rgb = picture(50, 30)
    np.testing.assert_array_equal(free.picture(image_message(rgb, Header())), rgb)


def test_both_fingers_are_told_apart_at_any_size():
    pictures, _ = eye("tactile")
    left, right = np.full((32, 32), 0.001, np.float32), np.zeros((32, 32), np.float32)
    seen = pictures.picture(metres_message(np.vstack((left, right)), Header()))
    assert seen.shape == (2, 64, 64) and (seen[0] == np.float32(0.001)).all() and not seen[1].any()
    with pytest.raises(UserError, match="the tactile sensor sends 32 x 33: expected two pictures"):
        pictures.picture(metres_message(np.zeros((33, 32), np.float32), Header()))
