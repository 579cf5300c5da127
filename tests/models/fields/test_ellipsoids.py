"""What viewers draw of a skill: checked against covariances whose ellipsoids are known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sac_gmm.core.errors import UserError
from sac_gmm.models import GaussianMixture, SkillModel
from sac_gmm.models.fields.ellipsoids import MIN_HALF_AXIS_M, path_preview, position_ellipsoids


def mixture_of(covariance: np.ndarray, mean: tuple[float, ...] = (0.1, 0.2, 0.3)) -> GaussianMixture:
    """One component with this covariance (3, 3) of the position."""
    whole = np.eye(6)
    whole[:3, :3] = covariance
    return GaussianMixture(np.ones(1), np.array([[*mean, 0.0, 0.0, 0.0]]), whole[None])


def line_to(attractor: np.ndarray, rate_1_s: float = 1.0) -> SkillModel:
    """v = -rate (x - attractor), written as a mixture."""
    gain = -rate_1_s * np.eye(3)
    covariance = np.block([[np.eye(3), gain.T], [gain, rate_1_s**2 * np.eye(3) + 1e-6 * np.eye(3)]])
    mean = np.concatenate([attractor, np.zeros(3)])
    return SkillModel("gmm", GaussianMixture(np.ones(1), mean[None], covariance[None]), attractor)


def test_a_known_covariance_gives_the_known_ellipsoid():
    ellipsoids = position_ellipsoids(mixture_of(np.diag([0.04, 0.01, 0.09]) ** 2), n_sigma=3.0)
    assert np.allclose(ellipsoids.centres_m, [[0.1, 0.2, 0.3]])
    assert np.allclose(ellipsoids.half_axes_m, [[0.03, 0.12, 0.27]])
    axes = Rotation.from_quat(ellipsoids.quaternions[0]).as_matrix()
    assert np.allclose(np.abs(axes), np.eye(3)[:, [1, 0, 2]])  # its shortest axis lies along y


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6))
def test_axes_and_turn_make_the_covariance_again(seed):
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(3, 3))
    covariance = factor @ factor.T + 1e-3 * np.eye(3)
    ellipsoids = position_ellipsoids(mixture_of(covariance), n_sigma=2.0)
    axes = Rotation.from_quat(ellipsoids.quaternions[0]).as_matrix()  # right-handed, as every quaternion is
    again = axes @ np.diag((ellipsoids.half_axes_m[0] / 2.0) ** 2) @ axes.T
    assert np.allclose(again, covariance, atol=1e-9)
    assert np.isclose(np.linalg.norm(ellipsoids.quaternions[0]), 1.0)


def test_a_flat_component_keeps_a_visible_thickness():
    ellipsoids = position_ellipsoids(mixture_of(np.diag([1e-16, 1e-2, 1e-2])))
    assert ellipsoids.half_axes_m.min() == MIN_HALF_AXIS_M


def test_a_skill_in_the_plane_has_no_ellipsoids_in_space():
    flat = GaussianMixture(np.ones(1), np.zeros((1, 4)), np.eye(4)[None])
    with pytest.raises(UserError, match="positions in space: the skill's state has 2"):
        position_ellipsoids(flat)


def test_the_preview_follows_the_field_and_ends_where_it_rests():
    attractor, start = np.array([0.5, 0.0, 0.2]), np.array([0.0, 0.0, 0.2])
    path = path_preview(line_to(attractor, rate_1_s=2.0), start, dt_s=0.05, duration_s=60.0)
    assert np.allclose(path[0], start)
    expected = attractor + (start - attractor) * np.exp(-2.0 * 0.05 * np.arange(len(path)))[:, None]
    assert np.allclose(path, expected, atol=1e-4)
    assert 3.0 < 0.05 * len(path) < 8.0  # rest: 0.1 mm away, after ln(5000) / 2 s


def test_the_preview_keeps_the_speed_limit_and_takes_many_starts():
    starts = np.array([[0.0, 0.0, 0.0], [0.0, 0.3, 0.0]])
    path = path_preview(line_to(np.zeros(3) + 1.0), starts, dt_s=0.1, duration_s=1.0, max_speed=0.2)
    assert path.shape == (11, 2, 3)
    assert np.linalg.norm(np.diff(path, axis=0), axis=-1).max() <= 0.2 * 0.1 + 1e-12


def test_at_rest_the_preview_is_a_point():
    path = path_preview(line_to(np.ones(3)), np.ones(3), dt_s=0.1, duration_s=1.0)
    assert path.shape == (2, 3)
    assert np.allclose(path, 1.0)
