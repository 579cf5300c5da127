import cv2
import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.perception.camera_file import load_camera

MATRIX = np.array([[711.5, 0.0, 402.0], [0.0, 709.25, 297.5], [0.0, 0.0, 1.0]])
BENT = np.array([[0.1, -0.2, 1e-4, 2e-5, 0.05]])


def by_opencv(path, **values):
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    for name, value in values.items():
        storage.write(name, value)
    storage.release()
    return path


@pytest.mark.parametrize("kind", ["yml", "yaml", "xml", "json"])
@pytest.mark.parametrize(
    ("matrix", "bent"), [("camera_matrix", "distortion_coefficients"), ("cameraMatrix", "distCoeffs"), ("K", "D")]
)
def test_what_opencv_writes_is_read(tmp_path, kind, matrix, bent):
    values = {"image_width": 800, "image_height": 600, matrix: MATRIX, bent: BENT, "avg_reprojection_error": 0.2}
    camera = load_camera(by_opencv(tmp_path / f"camera.{kind}", calibration_time="Mon 2 Mar", **values))
    assert (camera.width, camera.height) == (800, 600)
    assert np.allclose(camera.matrix, MATRIX) and np.allclose(camera.distortion, BENT[0])


@pytest.mark.parametrize("kind", ["yml", "xml", "json"])
def test_opencvs_larger_and_smaller_models(tmp_path, kind):
    base = {"image_width": 800, "image_height": 600, "camera_matrix": MATRIX}
    assert load_camera(by_opencv(tmp_path / f"ideal.{kind}", **base)).distortion.size == 0
    rational = np.zeros((14, 1))
    rational[:8, 0] = 0.01
    large = by_opencv(tmp_path / f"large.{kind}", **base, distortion_coefficients=rational)
    assert np.allclose(load_camera(large).distortion, [0.01] * 8)
    rational[9, 0] = 0.01
    with pytest.raises(UserError, match="14 distortion coefficients"):
        load_camera(by_opencv(tmp_path / f"prism.{kind}", **base, distortion_coefficients=rational))
    fish = by_opencv(tmp_path / f"fish.{kind}", **base, distortion_coefficients=BENT[:, :4], fisheye_model=1)
    with pytest.raises(UserError, match="model is 'fisheye'"):
        load_camera(fish)


def test_a_camera_infos_binning_region_and_capitals(tmp_path):
    path = tmp_path / "info.yaml"
    path.write_text(
        "height: 480\nwidth: 640\ndistortion_model: plumb_bob\nD: [0.1, 0.0, 0.0, 0.0, 0.0]\n"
        "K: [600.0, 0.0, 320.0, 0.0, 600.0, 240.0, 0.0, 0.0, 1.0]\nbinning_x: 2\nbinning_y: 2\n"
        "roi:\n  x_offset: 40\n  y_offset: 20\n  height: 400\n  width: 560\n  do_rectify: false\n---\n"
    )
    camera = load_camera(path)
    assert (camera.width, camera.height) == (280, 200)
    assert np.allclose(camera.matrix, [[300, 0, 140], [0, 300, 110], [0, 0, 1]])


@pytest.mark.parametrize("text", ["<opencv_storage>", "<html></html>", "%YAML:1.0\n---\nx: [", "%YAML:1.0\n---\n"])
def test_what_is_no_calibration_is_named(tmp_path, text):
    path = tmp_path / "camera.yml"
    path.write_text(text)
    with pytest.raises(UserError, match=r"camera\.yml"):
        load_camera(path)
