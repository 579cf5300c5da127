"""The cameras of `config/methods/sac_gmm` stand where the simulation has them."""

from pathlib import Path

import numpy as np
import pytest

from sac_gmm.methods import method
from sac_gmm.methods.settings import load_settings
from sac_gmm.tasks import make_task

CONFIG = Path(__file__).parents[3] / "config" / "methods"


@pytest.mark.parametrize("name", ["door", "lever"])
def test_the_configured_camera_is_the_simulated_one(name):
    own = load_settings(method("sac_gmm"), name, CONFIG).skill
    task = make_task(name)
    try:
        camera = task.sensors[own.image].camera
        for seed in range(3):
            task.reset(seed=seed)
            tip_m, target_m = task.arm.position_m, task.target_m
            view = np.array(camera._view).reshape(4, 4).T  # OpenGL: x right, y up, z backwards
            truly = np.diag([1.0, -1.0, -1.0]) @ (view @ [*target_m, 1.0])[:3]
            told = own.camera.in_camera(target_m, tip_m)
            np.testing.assert_allclose(told, truly, atol=0.002)
            assert own.camera.focal_px == pytest.approx(camera.info.focal_px, rel=1e-3)
    finally:
        task.close()
