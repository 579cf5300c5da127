"""The certificate is true, projection restores it after any edit, and what is certified arrives."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from sac_gmm.core.errors import UserError
from sac_gmm.models import (
    GaussianMixture,
    Regressor,
    SkillModel,
    certify,
    fit_lpv_ds,
    fit_seds,
    limit_speed,
    load_model,
    project,
    project_parameters,
    rollout,
    rotate,
    save_model,
    translate,
)
from sac_gmm.models.fields import stability
from sac_gmm.models.mixtures.regression import gains


def motions(d: int = 3, n: int = 4) -> tuple[np.ndarray, np.ndarray, list[int]]:
    """Bowed reaches to a point off the origin, in metres and seconds."""
    rng = np.random.default_rng(0)
    s = np.linspace(0, 1, 120)[:, None]
    left = 1 - (10 * s**3 - 15 * s**4 + 6 * s**5)
    rate = -(30 * s**2 - 60 * s**3 + 30 * s**4) / 3.0
    x, v = [], []
    for _ in range(n):
        start, bow = 0.2 * np.ones(d) + 0.02 * rng.normal(size=d), 0.06 * np.eye(d)[1] * (1 + 0.1 * rng.normal())
        x.append(start * left + bow * np.sin(np.pi * left) + 0.05)
        v.append(start * rate + np.pi * bow * np.cos(np.pi * left) * rate)
    return np.concatenate(x), np.concatenate(v), [120] * n


ROOT = Path(__file__).resolve().parents[3]
# A large margin makes everything that is certified arrive within seconds.
BASE = fit_lpv_ds(*motions(), 5, margin_1_s=1.0)


def random_edit(seed: int, scale: float) -> SkillModel:
    """Any edit that leaves a mixture: priors, position and velocity means, covariances by a congruence."""
    rng = np.random.default_rng(seed)
    mixture = BASE.mixture
    priors = rng.dirichlet(np.full(5, 0.5))
    spread = np.repeat([0.1, 0.3], 3)
    means = mixture.means + scale * spread * rng.normal(size=mixture.means.shape)
    bend = np.eye(6) + 0.3 * scale * np.clip(rng.normal(size=(5, 6, 6)), -1.5, 1.5)
    covariances = bend @ mixture.covariances @ np.swapaxes(bend, 1, 2) + 1e-6 * np.eye(6)
    covariances = 0.5 * (covariances + np.swapaxes(covariances, 1, 2))
    return dataclasses.replace(BASE, mixture=GaussianMixture(priors, means, covariances))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 3.0))
def test_any_edit_is_certified_after_project(seed, scale):
    edited = random_edit(seed, scale)
    projected = project(edited)
    assert projected.certificate is not None and projected.certificate.holds
    again = certify(projected)
    assert again.holds and again.decay_rate_1_s >= 1.0 - 1e-5
    # Checked by hand, from the definition.
    A, _ = gains(projected.mixture, 3)
    P = projected.certificate.P
    for k in range(5):
        inequality = A[k].T @ P + P @ A[k] + 2.0 * (1.0 - 1e-4) * P
        assert np.linalg.eigvalsh(inequality)[-1] <= 1e-6
        offset = projected.mixture.means[k, 3:] - A[k] @ (projected.mixture.means[k, :3] - projected.attractor)
        assert np.abs(offset).max() < 1e-8
    assert np.array_equal(projected.mixture.priors, edited.mixture.priors)
    assert np.array_equal(projected.mixture.means[:, :3], edited.mixture.means[:, :3])
    assert np.abs(Regressor(projected.mixture)(projected.attractor)).max() < 1e-7


@settings(max_examples=8, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 2.0))
def test_rollouts_of_a_projected_edit_arrive_from_everywhere(seed, scale):
    model = project(random_edit(seed, scale))
    rng = np.random.default_rng(seed)
    starts = model.attractor + rng.normal(size=(1000, 3)) * rng.choice([0.05, 0.3, 3.0], size=(1000, 1))
    fastest = np.abs(np.linalg.eigvals(gains(model.mixture, 3)[0])).max()
    dt = min(0.02, 0.5 / fastest)
    P = model.certificate.P
    path = rollout(model, starts, dt, int(np.ceil(4.0 / dt)), integrator="rk4") - model.attractor
    energy = np.sqrt(np.einsum("tni,ij,tnj->tn", path, P, path))
    assert (energy[-1] <= energy[0] * np.exp(-0.9 * 4.0)).all()
    assert (np.diff(energy, axis=0) <= 1e-9).all()


def test_projection_leaves_a_certified_field_alone():
    x = motions()[0]
    projected = project(BASE)
    assert np.allclose(Regressor(projected.mixture).batch(x), Regressor(BASE.mixture).batch(x), atol=1e-9)
    assert np.allclose(projected.mixture.covariances, BASE.mixture.covariances, rtol=1e-6, atol=1e-12)


def test_an_edited_velocity_mean_bends_the_field():
    means = BASE.mixture.means.copy()
    towards = BASE.attractor - means[0, :3]
    means[0, 3:] = 4.0 * towards
    edited = dataclasses.replace(BASE, mixture=GaussianMixture(BASE.mixture.priors, means, BASE.mixture.covariances))
    before, after = BASE.mixture.means[0, 3:], project(edited).mixture.means[0, 3:]
    assert np.linalg.norm(after - means[0, 3:]) < 0.5 * np.linalg.norm(before - means[0, 3:])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.0, 50.0))
@example(436, 3.0)  # the nearest gains are beyond double precision
def test_any_finite_numbers_become_a_certified_skill(seed, scale):
    rng = np.random.default_rng(seed)
    mixture = BASE.mixture
    model = project_parameters(
        BASE,
        mixture.priors + scale * rng.normal(size=5),
        mixture.means + scale * rng.normal(size=(5, 6)),
        mixture.covariances + scale * 1e-3 * rng.normal(size=(5, 6, 6)),
    )
    assert model.certificate.holds and certify(model).holds
    with pytest.raises(UserError, match="finite"):
        project_parameters(BASE, mixture.priors, mixture.means * np.nan, mixture.covariances)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.floats(-10, 10), min_size=1, max_size=8))
def test_the_nearest_simplex_point(values):
    weights = np.array(values)
    point = stability.nearest_simplex(weights)
    assert np.isclose(point.sum(), 1.0) and (point >= 0).all()
    for corner in np.eye(len(weights)):  # the projection makes an obtuse angle with every direction into the simplex
        assert (weights - point) @ (corner - point) <= 1e-6


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 10**6), st.floats(0.1, 2.0), st.booleans(), st.sampled_from([2, 3]))
def test_the_projected_field_is_the_nearest_certified_one(seed, scale, elongated, d):
    """No certified gain near the projected one lies closer, in mean square velocity, to the gain that was asked for."""
    P = np.diag([1.0, 40.0, 1500.0]) if elongated else BASE.certificate.P
    edited = random_edit(seed, scale)
    kept = [*range(d), *range(3, 3 + d)]
    mixture = GaussianMixture(
        edited.mixture.priors, edited.mixture.means[:, kept], edited.mixture.covariances[:, kept][:, :, kept]
    )
    edited = dataclasses.replace(edited, mixture=mixture, attractor=edited.attractor[:d])
    projected = project(edited, P=P[:d, :d])
    P = projected.certificate.P
    gap = mixture.means[:, :d] - edited.attractor
    S = mixture.covariances[:, :d, :d] + gap[:, :, None] * gap[:, None, :]
    asked = np.swapaxes(
        np.linalg.solve(S, mixture.covariances[:, :d, d:] + gap[:, :, None] * mixture.means[:, None, d:]), 1, 2
    )
    found, _ = gains(projected.mixture, d)

    def distance(A: np.ndarray) -> np.ndarray:
        return np.einsum("kij,kjl,kil->k", A - asked, S, A - asked)

    least = distance(found) - 1e-6 * distance(0.0 * asked)
    rng = np.random.default_rng(seed)
    others = [found + 10.0 ** rng.uniform(-4, 1) * np.abs(asked).max() * rng.normal(size=(5, d, d)) for _ in range(50)]
    for other in [stability.clip_gains(A, P, 1.002) for A in [asked, *others]]:  # the reserve of `project` included
        for part in (1.0, 0.1, 0.01):  # between two certified gains all are certified
            assert (distance(found + part * (other - found)) >= least).all()


def test_a_small_edit_of_an_elongated_skill_changes_its_field_little():
    """The gains of a fit lie at their margin, so that nearly every edit has to be projected."""
    base = load_model(ROOT / "models" / "door" / "sac_gmm" / "skill.npz")
    assert np.linalg.cond(base.certificate.P) > 1000.0
    rng = np.random.default_rng(0)
    for _ in range(20):
        means = base.mixture.means.copy()
        means[:, :3] += 0.005 * np.tanh(rng.normal(size=means[:, :3].shape))
        mixture = GaussianMixture(base.mixture.priors, means, base.mixture.covariances)
        change = project(dataclasses.replace(base, mixture=mixture)).mixture.means[:, 3:] - base.mixture.means[:, 3:]
        assert np.linalg.norm(change, axis=1).max() < 0.02  # m/s


def test_steps_below_the_certified_length_shrink_v():
    step = BASE.certificate.max_step_s
    A, _ = gains(BASE.mixture, 3)
    root = np.linalg.cholesky(BASE.certificate.P).T
    norms = [np.linalg.norm(root @ (np.eye(3) + 0.999 * step * a) @ np.linalg.inv(root), 2) for a in A]
    assert max(norms) < 1.0
    norms = [np.linalg.norm(root @ (np.eye(3) + 1.01 * step * a) @ np.linalg.inv(root), 2) for a in A]
    assert max(norms) > 1.0


@pytest.mark.parametrize("kind", ["lpv_ds", "seds"])
def test_a_fit_is_certified_follows_its_demonstrations_and_arrives(kind, tmp_path):
    x, v, lengths = motions()
    fit = {"lpv_ds": fit_lpv_ds, "seds": fit_seds}[kind]
    model = fit(x, v, lengths, 6)
    assert model.kind == kind and certify(model).holds
    error = Regressor(model.mixture).batch(x) - v
    assert np.sqrt(np.square(error).mean()) < 0.12 * np.abs(v).max()
    assert np.allclose(rollout(model, x[:: lengths[0]], 0.02, 6000, integrator="rk4")[-1], model.attractor, atol=1e-4)
    path = tmp_path / "skill.npz"
    save_model(path, model)
    again = load_model(path)
    assert again.model_id == model.model_id
    assert np.array_equal(again.certificate.P, model.certificate.P)
    assert again.certificate.decay_rate_1_s == model.certificate.decay_rate_1_s


def test_translated_and_rotated_systems_stay_certified():
    turn = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    turn *= np.sign(np.linalg.det(turn))
    for moved in (translate(BASE, [0.3, -1.0, 0.2]), rotate(BASE, turn)):
        assert certify(moved).holds
        assert np.isclose(certify(moved).decay_rate_1_s, BASE.certificate.decay_rate_1_s, rtol=1e-6)


def test_a_free_mixture_has_a_certificate_that_says_no_and_can_be_projected():
    bare = dataclasses.replace(random_edit(3, 2.0), kind="gmm", certificate=None)
    assert not certify(bare).holds
    assert project(bare, margin_1_s=0.5).certificate.holds
    with pytest.raises(UserError, match="positive definite"):
        certify(bare, P=-np.eye(3))
    with pytest.raises(UserError, match="margin"):
        project(bare, margin_1_s=-1.0)


def test_a_speed_limit_keeps_direction_and_arrival():
    velocity = np.array([[3.0, 4.0, 0.0], [0.3, 0.4, 0.0], [0.0, 0.0, 0.0]])
    limited = limit_speed(velocity, 1.0)
    assert np.allclose(limited, [[0.6, 0.8, 0.0], [0.3, 0.4, 0.0], [0.0, 0.0, 0.0]])
    path = rollout(BASE, BASE.attractor + [[0.5, 0.5, -0.5]], 0.01, 3000, max_speed=0.1, integrator="rk4")
    assert np.linalg.norm(np.diff(path[:, 0], axis=0), axis=1).max() <= 0.1 * 0.01 * 1.0001
    assert np.allclose(path[-1], BASE.attractor, atol=1e-3)


def test_a_step_that_is_too_long_is_refused():
    fastest = np.abs(np.linalg.eigvals(gains(BASE.mixture, 3)[0])).max()
    with pytest.raises(UserError, match="too long"):
        rollout(BASE, np.zeros(3), 1.1 / fastest, 3)
    with pytest.raises(UserError, match="x0"):
        rollout(BASE, np.zeros(2), 0.001, 3)
    assert rollout(BASE, np.zeros(3), 0.5 / fastest, 3).shape == (4, 3)


@pytest.mark.parametrize("clustering", ["spans", "positions", "directions"])
@pytest.mark.parametrize("metric", ["learned", "refined", "identity"])
def test_every_way_to_fit_lpv_ds_is_certified(clustering, metric):
    x, v, lengths = motions(d=2)
    model = fit_lpv_ds(x, v, lengths, 4, clustering=clustering, metric=metric)
    assert certify(model).holds
    if metric == "identity":
        assert np.array_equal(model.certificate.P, np.eye(2))


def test_automatic_choices_are_made_and_written_down():
    x, v, lengths = motions(d=2)
    model = fit_lpv_ds(x, v, lengths)
    assert model.meta["fit"]["clustering"] in ("spans", "positions", "directions")
    assert certify(model).holds
    single = fit_lpv_ds(x[:120], v[:120], [120])
    assert certify(single).holds


@pytest.mark.parametrize("objective", ["mse", "likelihood"])
def test_seds_lowers_its_objective(objective):
    x, v, lengths = motions(d=2)
    start, end = (fit_seds(x, v, lengths, 4, objective=objective, max_iterations=n) for n in (0, 100))
    if objective == "mse":
        errors = [np.square(Regressor(m.mixture).batch(x) - v).sum() for m in (start, end)]
        assert errors[1] < 0.9 * errors[0]
    else:
        joint = np.concatenate([x, v], axis=1)
        assert end.mixture.log_prob(joint).mean() > start.mixture.log_prob(joint).mean() + 0.1
    assert certify(end).holds


@pytest.mark.parametrize("n", [42, 84])
@pytest.mark.parametrize("count", [1, 2])
def test_a_fast_approach_and_a_slow_insertion_are_fitted(n, count):
    """Spans of progress are then of few samples at the beginning; what is chosen has some in each."""
    s = np.linspace(0.0, 1.0, n)
    height = np.interp(s, [0.0, 0.06, 1.0], [0.30, 0.03, 0.0])
    x = np.concatenate([np.column_stack([0.05 * height + 1e-3 * i, height]) for i in range(count)])
    v = np.concatenate([np.gradient(x[i * n : (i + 1) * n], 1 / 30, axis=0) for i in range(count)])
    for fit in (fit_lpv_ds, fit_seds):
        model = fit(x, v, [n] * count)
        assert certify(model).holds


def test_demonstrations_that_do_not_move_are_refused():
    still = np.zeros((40, 2))
    for fit in (fit_lpv_ds, fit_seds):
        with pytest.raises(UserError, match="do not move"):
            fit(still, still, [20, 20], 2)
