import numpy as np
import pytest
from std_msgs.msg import Header

from sac_gmm.core.errors import UserError
from sac_gmm_nodes.common import pictures

pytestmark = pytest.mark.ros
RANDOM = np.random.default_rng(0)


def test_pictures_come_back_as_they_went():
    rgb = RANDOM.integers(0, 255, (5, 7, 3), np.uint8)
    np.testing.assert_array_equal(pictures.picture_array(pictures.image_message(rgb, Header())), rgb)
    grey = RANDOM.integers(0, 255, (5, 7), np.uint8)
    np.testing.assert_array_equal(pictures.picture_array(pictures.grey_message(grey, Header())), grey)
    metres = RANDOM.random((5, 7), np.float32)
    np.testing.assert_array_equal(pictures.depth_array(pictures.metres_message(metres, Header())), metres)


def test_a_picture_that_is_cut_short_is_refused():
    message = pictures.image_message(np.zeros((5, 7, 3), np.uint8), Header())
    message.data = message.data[:-1]
    with pytest.raises(UserError, match="image of 7x5 rgb8"):
        pictures.picture_array(message)


def test_a_camera_says_its_matrix_and_its_distortion():
    matrix = np.array([[100.0, 0.0, 32.0], [0.0, 101.0, 31.0], [0.0, 0.0, 1.0]])
    ideal = pictures.camera_info_message(matrix, 64, 62, Header())
    assert (ideal.width, ideal.height, ideal.distortion_model, list(ideal.d)) == (64, 62, "plumb_bob", [0.0] * 5)
    np.testing.assert_array_equal(np.reshape(ideal.k, (3, 3)), matrix)
    np.testing.assert_array_equal(np.reshape(ideal.p, (3, 4)), np.column_stack((matrix, np.zeros(3))))
    bent = pictures.camera_info_message(matrix, 64, 62, Header(), np.arange(5.0))
    assert list(bent.d) == [0.0, 1.0, 2.0, 3.0, 4.0]
