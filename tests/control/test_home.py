"""The file of a start pose: what is written is read, and nothing else is taken for one."""

import json

import numpy as np
import pytest

from sac_gmm.control.home import Home, load_home, save_home
from sac_gmm.core.errors import UserError

HOME = Home("base", np.array([0.5, 0.1, 0.3]), np.array([0.0, 0.6, 0.0, 0.8]), ("A1", "A2"), np.array([0.1, -1.2]))


@pytest.mark.parametrize("home", [HOME, Home("base", np.array([0.5, 0.1, 0.3]))], ids=["whole", "position alone"])
def test_what_is_written_is_read(tmp_path, home):
    save_home(tmp_path / "home.json", home)
    read = load_home(tmp_path / "home.json")
    assert (read.base_frame, read.joint_names) == (home.base_frame, home.joint_names)
    for name in ("position_m", "quaternion_xyzw", "joints_rad"):
        np.testing.assert_array_equal(getattr(read, name), getattr(home, name))


def test_a_pose_is_replaced_only_if_that_is_asked_for(tmp_path):
    path = tmp_path / "home.json"
    save_home(path, HOME)
    before = path.read_bytes()
    with pytest.raises(UserError, match="never overwritten"):
        save_home(path, Home("other", HOME.position_m))
    assert path.read_bytes() == before
    save_home(path, Home("other", HOME.position_m), overwrite=True)
    assert load_home(path).base_frame == "other"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda content: content["position_m"].__setitem__(0, 0.6), "was altered after it was written"),
        (lambda content: content.update(version=7), "has version 7, expected 1"),
        (lambda content: content.update(format="sac_gmm/extrinsics"), "is not a file of a start pose"),
    ],
)
def test_what_is_no_start_pose_is_refused(tmp_path, change, sentence):
    path = tmp_path / "home.json"
    save_home(path, HOME)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(UserError, match=f"home.json {sentence}.*teach-home"):
        load_home(path)


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"position_m": np.array([0.5, np.nan, 0.3])}, "position_m .* expected 3 finite numbers"),
        ({"quaternion_xyzw": np.array([0.0, 0.0, 0.0, 0.5])}, "norm 1"),
        ({"joint_names": ("A1",)}, "joints_rad .* expected 1 finite numbers"),
    ],
)
def test_numbers_that_are_none_are_refused(changes, sentence):
    with pytest.raises(UserError, match=sentence):
        Home(**{**vars(HOME), **changes})
