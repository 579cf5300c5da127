import array

import cv2
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
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


def test_compressed_messages_are_pictures_and_distances_too():
    rgb = RANDOM.integers(0, 255, (5, 7, 3), np.uint8)
    packed = cv2.imencode(".png", np.ascontiguousarray(rgb[..., ::-1]))[1].tobytes()
    message = CompressedImage(format="rgb8; png compressed bgr8", data=array.array("B", packed))
    np.testing.assert_array_equal(pictures.picture_array(message), rgb)
    millimetres = np.array([[500, 0], [1234, 65535]], np.uint16)
    packed = cv2.imencode(".png", millimetres)[1].tobytes()
    message = CompressedImage(format="16UC1; png compressed ", data=array.array("B", packed))
    np.testing.assert_allclose(pictures.depth_array(message), [[0.5, np.nan], [1.234, 65.535]], rtol=1e-6)


def test_what_has_no_colours_is_shown_in_grey():
    grey = RANDOM.integers(0, 255, (5, 7), np.uint8)
    np.testing.assert_array_equal(pictures.rgb_array(pictures.grey_message(grey, Header())), np.dstack([grey] * 3))


def test_a_driver_may_write_the_larger_byte_first():
    message = Image(height=1, width=2, encoding="16UC1", is_bigendian=1, step=4, data=[1, 0, 0, 2])
    np.testing.assert_allclose(pictures.depth_array(message), [[0.256, 0.002]], rtol=1e-6)


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


def test_a_calibration_is_for_the_pictures_that_are_sent():
    calibration = pictures.Calibration("none has come")
    with pytest.raises(UserError, match="none has come"):
        calibration.camera()
    matrix = np.array([[600.0, 0.0, 320.0], [0.0, 600.0, 240.0], [0.0, 0.0, 1.0]])
    info = pictures.camera_info_message(matrix, 640, 480, Header())
    assert calibration.take(info) and not calibration.take(info) and calibration.has_come
    assert calibration.camera((640, 480)).matrix[0, 2] == 320.0
    binned = pictures.camera_info_message(matrix, 640, 480, Header())
    binned.binning_x = binned.binning_y = 2
    binned.roi.x_offset, binned.roi.y_offset, binned.roi.width, binned.roi.height = 100, 40, 400, 300
    assert calibration.take(binned)
    for size in (None, (200, 150)):
        sent = calibration.camera(size)
        assert (sent.width, sent.height, sent.matrix[0, 0]) == (200, 150, 300.0)
        assert sent.matrix[:2, 2].tolist() == [110.0, 100.0]
    assert calibration.camera((640, 480)).matrix[0, 0] == 600.0, "a driver that bins nothing, whatever it says"
    with pytest.raises(UserError, match="the image is 320x240 but the calibration is for 200x150"):
        calibration.camera((320, 240))
