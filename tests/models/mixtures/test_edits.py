"""Parametrisations and orientation: any numbers give a valid mixture, and the maps undo each other."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sac_gmm.core import geometry as orientation
from sac_gmm.core.errors import UserError
from sac_gmm.models import GaussianMixture, Regressor, certify, fit_lpv_ds
from sac_gmm.models.mixtures.edits import edit_covariances, edit_means, edit_priors, n_covariance_numbers


def mixture(k: int = 3, dim: int = 4) -> GaussianMixture:
    rng = np.random.default_rng(0)
    factors = rng.normal(size=(k, dim, dim))
    return GaussianMixture(np.array([0.2, 0.0, 0.8]), rng.normal(size=(k, dim)), factors @ np.swapaxes(factors, 1, 2))


@pytest.mark.parametrize("form", ["log_cholesky", "eigen_scale"])
def test_an_edit_of_zeros_changes_nothing(form):
    base = mixture()
    same = edit_covariances(base, np.zeros((3, n_covariance_numbers(4, form))), form)
    assert np.allclose(same.covariances, base.covariances)
    assert np.allclose(edit_priors(base, np.zeros(3)).priors, base.priors)
    assert np.array_equal(edit_means(base, np.zeros((3, 4))).means, base.means)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 1e3))
def test_any_edit_gives_a_mixture(seed, scale):
    rng = np.random.default_rng(seed)
    base = mixture()
    edited = edit_priors(base, scale * rng.normal(size=3))
    assert np.isclose(edited.priors.sum(), 1.0)
    for form in ("log_cholesky", "eigen_scale"):
        edit_covariances(base, scale * rng.normal(size=(3, n_covariance_numbers(4, form))), form)


def test_eigen_scale_stretches_the_axes():
    base = mixture()
    stretched = edit_covariances(base, np.full((3, 4), np.log(2.0)), "eigen_scale")
    assert np.allclose(stretched.covariances, 4.0 * base.covariances, rtol=1e-3)


def test_an_edit_of_the_wrong_shape_is_refused():
    with pytest.raises(UserError, match="shape"):
        edit_priors(mixture(), np.zeros(2))
    with pytest.raises(UserError, match="finite"):
        edit_means(mixture(), np.full((3, 4), np.nan))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-9, 3.1))
def test_log_and_exp_undo_each_other(seed, angle):
    rng = np.random.default_rng(seed)
    base = Rotation.random(random_state=seed)
    axis = rng.normal(size=3)
    u = angle * axis / np.linalg.norm(axis)
    q = orientation.exp_map(u, base.as_quat())
    assert np.allclose(q @ q, 1.0)
    expected = (base * Rotation.from_rotvec(u)).as_quat()
    assert np.isclose(abs(q @ expected), 1.0)
    assert np.allclose(orientation.log_map(q, base.as_quat()), u, atol=1e-9)
    assert np.allclose(orientation.log_map(-q, base.as_quat()), u, atol=1e-9)


@given(st.integers(0, 10**6))
def test_a_rotation_matrix_and_its_quaternion_are_the_same_turn(seed):
    turns = Rotation.random(5, rng=np.random.default_rng(seed))
    q = orientation.from_matrix(turns.as_matrix())
    assert np.allclose(q, turns.as_quat(canonical=True), atol=1e-9)
    about_x = orientation.from_matrix(np.diag([1.0, -1.0, -1.0]))
    assert np.allclose(np.abs(about_x), [1.0, 0.0, 0.0, 0.0])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(1e-6, 3.0))
def test_angular_velocity_is_the_derivative_of_the_turn(seed, angle):
    rng = np.random.default_rng(seed)
    u, rate = rng.normal(size=3), rng.normal(size=3)
    u *= angle / np.linalg.norm(u)
    h = 1e-6
    ahead, behind = Rotation.from_rotvec(u + h * rate), Rotation.from_rotvec(u - h * rate)
    expected = (ahead * behind.inv()).as_rotvec() / (2 * h)
    assert np.allclose(orientation.angular_velocity(u, rate), expected, atol=1e-6)
    assert np.allclose(orientation.tangent_rate(u, expected), rate, atol=1e-5)


def test_a_path_through_half_a_turn_has_no_jump():
    angles = np.linspace(2.5, 4.0, 40)
    axis = np.array([0.0, 0.6, 0.8])
    q = Rotation.from_rotvec(angles[:, None] * axis).as_quat()
    u = orientation.continuous(orientation.log_map(q, [0, 0, 0, 1]))
    assert np.allclose(u, angles[:, None] * axis)


def test_the_mean_orientation_is_central():
    base = Rotation.from_rotvec([0.3, -0.2, 1.0])
    turns = np.random.default_rng(0).normal(size=(20, 3)) * 0.3
    turns -= turns.mean(axis=0)
    q = (base * Rotation.from_rotvec(turns)).as_quat()
    q[::2] *= -1
    mean = orientation.mean_orientation(q)
    assert np.allclose(orientation.log_map(q, mean).mean(axis=0), 0.0, atol=1e-9)


def test_a_zero_quaternion_is_refused():
    with pytest.raises(UserError, match="quaternion"):
        orientation.normalised([0, 0, 0, 0])


def test_an_orientation_skill_is_an_ordinary_skill_in_tangent_vectors():
    """Turns towards one orientation, learned as LPV-DS on u and its rate, played out on the quaternions."""
    goal = Rotation.from_rotvec([0.4, -0.8, 0.3]).as_quat()
    s = np.linspace(0, 1, 100)[:, None]
    left, rate = (1 - s) ** 2, -(1 - s)
    u = np.concatenate([left * [1.2, 0.3 * i, -0.9] for i in range(3)])
    u_rate = np.concatenate([rate * [1.2, 0.3 * i, -0.9] for i in range(3)])
    demonstrated = orientation.exp_map(u, goal)
    model = fit_lpv_ds(orientation.log_map(demonstrated, goal), u_rate, [100] * 3, 4)
    assert certify(model).holds
    regressor = Regressor(model.mixture)
    q, dt = orientation.exp_map([1.0, 0.4, -1.0], goal), 0.02
    for _ in range(2000):
        tangent = orientation.log_map(q, goal)
        omega = orientation.angular_velocity(tangent, regressor(tangent))  # in the goal's axes
        in_goal = orientation.multiply(orientation.conjugate(goal), q)
        turned = orientation.multiply(orientation.exp_map(omega * dt, [0, 0, 0, 1]), in_goal)
        q = orientation.multiply(goal, turned)
    assert np.linalg.norm(orientation.log_map(q, goal)) < 1e-3
