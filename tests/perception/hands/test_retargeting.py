import numpy as np
import pytest
from scipy.spatial.transform import Rotation
from test_track import made_track, way

from sac_gmm.core.errors import UserError
from sac_gmm.perception.extrinsics import RigidTransform, load_extrinsics, save_extrinsics
from sac_gmm.perception.hands import Retargeting, clean


def test_the_tool_goes_with_the_hand_in_the_base_frame():
    motion = clean(made_track())
    camera = RigidTransform.of([1.0, 2.0, 3.0], Rotation.from_euler("xyz", [0.3, -2.0, 1.0]).as_quat())
    tool = RigidTransform.of([0.0, 0.05, -0.1], Rotation.from_euler("z", 0.5).as_quat())
    moved = Retargeting(camera, tool).apply(motion)
    for i in (0, 57, -1):
        hand = RigidTransform(motion.position_m[i], motion.rotation[i])
        expected = camera @ hand @ tool
        assert np.allclose(moved.position_m[i], expected.position_m)
        assert abs(moved.quaternion_xyzw[i] @ expected.quaternion_xyzw) == pytest.approx(1.0)
    speed = np.linalg.norm(np.gradient(way(motion.time_s), motion.time_s, axis=0), axis=1)
    still = Retargeting(camera).apply(motion)
    assert np.allclose(np.linalg.norm(still.velocity_m_s, axis=1), speed, atol=5e-3)


def test_poses_multiply_and_invert():
    a = RigidTransform.of([1.0, 0.0, 2.0], Rotation.from_euler("xyz", [1, 2, 3]).as_quat())
    b = RigidTransform.of([0.5, -1.0, 0.0], Rotation.from_euler("xyz", [-1, 0.2, 0.3]).as_quat())
    both = a @ b
    points = np.random.default_rng(0).normal(size=(5, 3))
    assert np.allclose(both.apply(points), a.apply(b.apply(points)))
    assert np.allclose((both.inverse @ both).apply(points), points)


def test_extrinsics_survive_their_file(tmp_path):
    pose = RigidTransform.of([1.0, 0.0, 2.0], Rotation.from_euler("xyz", [1, 2, 3]).as_quat())
    save_extrinsics(tmp_path / "camera.json", "base", "eye", pose, {"quality": {"views": 3}})
    parent, child, again = load_extrinsics(tmp_path / "camera.json")
    assert (parent, child) == ("base", "eye")
    assert np.allclose(again.position_m, pose.position_m) and np.allclose(again.rotation, pose.rotation)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "not valid JSON"),
        ("{}", "not a file of camera extrinsics"),
        ('{"format": "sac_gmm/extrinsics", "version": 1}', "position_m"),
        (
            '{"format": "sac_gmm/extrinsics", "version": 1, "parent_frame": "a", "child_frame": "b", '
            '"position_m": [0, 0, 0], "quaternion_xyzw": [0, 0, 0, 0]}',
            "norm 1",
        ),
        (
            '{"format": "sac_gmm/extrinsics", "version": 1, "parent_frame": "a", "child_frame": "b", '
            '"position_m": ["abc", 0, 0], "quaternion_xyzw": [0, 0, 0, 1]}',
            "three finite numbers .*'abc'",
        ),
    ],
)
def test_bad_extrinsics_are_refused_by_name(tmp_path, text, words):
    (tmp_path / "camera.json").write_text(text)
    with pytest.raises(UserError, match=words) as caught:
        load_extrinsics(tmp_path / "camera.json")
    assert "camera.json" in str(caught.value)
