"""The marker of the door task pays when the door is open and only then: scene, detector and gate together."""

import numpy as np
import pybullet as pb
import pytest

from sac_gmm.perception import ArucoDetector, Camera
from sac_gmm.tasks import make_task

MAX_TILT_RAD = 1.45  # default of the aruco_reward node


@pytest.fixture(scope="module")
def task():
    task = make_task("door")
    yield task
    task.close()


@pytest.mark.parametrize("seed", range(4))
def test_the_marker_counts_from_about_the_angle_of_success_on(task, seed):
    info = task.camera_info("fixed")
    detector = ArucoDetector("DICT_4X4_50", 7, 0.08, Camera.create(info.width, info.height, info.matrix))
    task.reset(seed=seed)

    def counts(angle_rad):
        pb.resetJointState(task.door, task.hinge, angle_rad, 0.0, task.client)
        marker = detector.detect(task.camera("fixed"))
        return marker is not None and marker.pose is not None and marker.pose.tilt_rad <= MAX_TILT_RAD

    assert not any(counts(angle) for angle in np.arange(0.0, 0.53, 0.05))
    assert all(counts(angle) for angle in np.arange(0.7, 0.9, 0.04))
