"""Mixtures, regression and files: against plain dense algebra, on inputs that hypothesis makes up."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sac_gmm.core.errors import UserError
from sac_gmm.models import (
    GaussianMixture,
    Regressor,
    SkillModel,
    fit_gmm,
    load_model,
    parameters_checksum,
    rotate,
    save_model,
    translate,
)


def random_mixture(seed: int, k: int, dim: int, scale: float = 1.0) -> GaussianMixture:
    rng = np.random.default_rng(seed)
    factors = rng.normal(size=(k, dim, dim)) * scale
    covariances = factors @ np.swapaxes(factors, 1, 2) + 0.05 * scale**2 * np.eye(dim)
    return GaussianMixture(rng.dirichlet(np.ones(k)), rng.normal(size=(k, dim)) * scale, covariances)


def textbook(mixture: GaussianMixture, x: np.ndarray, d: int) -> np.ndarray:
    """Mixture regression with explicit inverses and densities (reference 4.1)."""
    weights, means = [], []
    for prior, mean, covariance in zip(mixture.priors, mixture.means, mixture.covariances, strict=True):
        inverse = np.linalg.inv(covariance[:d, :d])
        gap = x - mean[:d]
        density = np.exp(-0.5 * gap @ inverse @ gap) / np.sqrt(np.linalg.det(2 * np.pi * covariance[:d, :d]))
        weights.append(prior * density)
        means.append(mean[d:] + covariance[d:, :d] @ inverse @ gap)
    return np.average(means, axis=0, weights=weights)


shapes = st.tuples(st.integers(0, 10**6), st.integers(1, 8), st.integers(1, 6))


@settings(max_examples=60, deadline=None)
@given(shapes, st.floats(1e-3, 1e3))
def test_the_regressor_is_the_textbook_formula(shape, scale):
    seed, k, d = shape
    mixture = random_mixture(seed, k, 2 * d, scale)
    points = mixture.sample(20, np.random.default_rng(seed))[:, :d]
    expected = np.array([textbook(mixture, x, d) for x in points])
    for backend in ("numba", "numpy"):
        regressor = Regressor(mixture, backend=backend)
        assert np.allclose([regressor(x) for x in points], expected, rtol=1e-9, atol=1e-9 * scale)
        assert np.allclose(regressor.batch(points), expected, rtol=1e-9, atol=1e-9 * scale)


@settings(max_examples=40, deadline=None)
@given(shapes)
def test_conditioning_is_dense_gaussian_algebra(shape):
    seed, k, d = shape
    mixture = random_mixture(seed, k, 2 * d)
    x = mixture.sample(1, np.random.default_rng(seed))[0, :d]
    conditional = mixture.condition(x)
    joint = mixture.sample(5, np.random.default_rng(seed + 1))
    joint[:, :d] = x
    # p(v | x) = p(x, v) / p(x)
    expected = mixture.log_prob(joint) - mixture.marginal(slice(0, d)).log_prob(x)
    assert np.allclose(conditional.log_prob(joint[:, d:]), expected, rtol=1e-8, atol=1e-8)
    mean, covariance = conditional.moments()
    assert np.allclose(mean, Regressor(mixture)(x))
    assert np.allclose(covariance, Regressor(mixture).covariance(x))


def test_conditioning_on_any_coordinates():
    mixture = random_mixture(3, 4, 5)
    conditional = mixture.condition(np.array([0.3, -0.2]), given=[4, 1])
    joint = np.random.default_rng(0).normal(size=(6, 5))
    joint[:, [4, 1]] = [0.3, -0.2]
    expected = mixture.log_prob(joint) - mixture.marginal([4, 1]).log_prob(np.array([0.3, -0.2]))
    assert np.allclose(conditional.log_prob(joint[:, [0, 2, 3]]), expected)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.floats(width=64, allow_nan=True, allow_infinity=True), min_size=3, max_size=3),
    st.floats(1e-6, 1e6),
)
def test_no_input_gives_nan(x, scale):
    mixture = random_mixture(1, 7, 6, scale)
    for backend in ("numba", "numpy"):
        regressor = Regressor(mixture, backend=backend)
        alone, batch = regressor(x), regressor.batch([x])[0]
        assert np.isfinite(alone).all() and np.isfinite(batch).all()
        assert np.allclose(alone, batch, rtol=1e-9)
        if np.isnan(x).any():
            assert not alone.any()
    far = mixture.marginal(slice(0, 3))
    assert np.isfinite(far.log_prob(np.array(x))) and np.isclose(far.responsibilities(np.array(x)).sum(), 1.0)


def test_a_million_sigma_away_the_nearest_component_speaks():
    mixture = random_mixture(2, 5, 6, 1e-3)
    x = np.array([1e3, -2e3, 5e2])
    log_weights = mixture.marginal(slice(0, 3)).component_log_prob(x)
    nearest = int(np.argmax(log_weights))
    assert np.isfinite(mixture.log_prob(np.concatenate([x, x])))
    gain = mixture.covariances[nearest, 3:, :3] @ np.linalg.inv(mixture.covariances[nearest, :3, :3])
    expected = mixture.means[nearest, 3:] + gain @ (x - mixture.means[nearest, :3])
    assert np.allclose(Regressor(mixture)(x), expected, rtol=1e-9)
    assert np.isfinite(Regressor(mixture).covariance(x)).all()


def test_an_update_re_packs_once_and_keeps_the_dimension():
    first, second = random_mixture(0, 4, 6), random_mixture(1, 4, 6)
    for backend in ("numba", "numpy"):
        regressor = Regressor(first, backend=backend)
        assert regressor.generation == 0
        regressor.update(second)
        assert regressor.generation == 1 and regressor.mixture is second
        x = np.array([0.1, 0.2, 0.3])
        assert np.allclose(regressor(x), textbook(second, x, 3))
        with pytest.raises(UserError, match="keep the dimension"):
            regressor.update(random_mixture(0, 4, 4))


@pytest.mark.parametrize("backend", ["numba", "numpy"])
def test_a_state_of_the_wrong_length_is_refused(backend):
    regressor = Regressor(random_mixture(0, 4, 6), backend=backend)
    with pytest.raises(ValueError, match="wrong length"):
        regressor(np.zeros(2))
    with pytest.raises(ValueError, match="wrong length"):
        regressor.batch(np.zeros((4, 2)))


def test_any_memory_layout_is_understood():
    regressor = Regressor(random_mixture(0, 4, 6))
    table = np.arange(12.0).reshape(3, 4)
    expected = regressor(table[:, 1].copy())
    assert np.array_equal(regressor(table[:, 1]), expected)
    assert np.array_equal(regressor.batch(table.T)[1], regressor.batch(table.T.copy())[1])
    table.flags.writeable = False
    assert np.array_equal(regressor(table[:, 1].copy()), expected)
    assert np.array_equal(regressor([1, 5, 9]), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda p, m, c: (p * 2, m, c), "simplex"),
        (lambda p, m, c: (p - [0.5, -0.5, 0], m, c), "simplex"),
        (lambda p, m, c: (p[:2], m, c), "priors must have shape"),
        (lambda p, m, c: (p, m * np.nan, c), "means of component 0"),
        (lambda p, m, c: (p, m, c - 100 * np.eye(4)), "positive definite"),
        (lambda p, m, c: (p, m, c + np.triu(np.ones((4, 4)), 1)), "symmetric"),
        (lambda p, m, c: (p, m, c[:, :3, :3]), "covariances must have shape"),
        (lambda p, m, c: (p, m[0], c), "means must have shape"),
    ],
)
def test_a_bad_mixture_is_refused_by_name(change, message):
    mixture = random_mixture(0, 3, 4)
    with pytest.raises(UserError, match=message):
        GaussianMixture(*change(mixture.priors, mixture.means, mixture.covariances))


def test_a_mixture_cannot_be_changed_from_outside():
    means = np.zeros((1, 2))
    mixture = GaussianMixture(np.ones(1), means, np.eye(2)[None])
    means += 1
    assert not mixture.means.any()
    with pytest.raises(ValueError, match="read-only"):
        mixture.means[0] = 1


def test_sampling_has_the_moments():
    mixture = random_mixture(5, 3, 3)
    samples = mixture.sample(200_000, np.random.default_rng(0))
    mean, covariance = mixture.moments()
    assert np.allclose(samples.mean(axis=0), mean, atol=0.03)
    assert np.allclose(np.cov(samples.T), covariance, atol=0.1)


def test_component_divergence_is_the_expected_log_ratio():
    one, other = random_mixture(1, 1, 3), random_mixture(2, 1, 3)
    samples = one.sample(200_000, np.random.default_rng(0))
    expected = (one.log_prob(samples) - other.log_prob(samples)).mean()
    assert np.isclose(one.component_kl(other)[0], expected, rtol=0.02)
    assert np.allclose(one.component_kl(one), 0.0)


def test_ellipsoids_rebuild_the_covariances():
    mixture = random_mixture(4, 3, 6)
    centres, axes, rotations = mixture.ellipsoids(slice(0, 3), n_sigma=2.0)
    rebuilt = rotations @ (axes[:, :, None] ** 2 / 4 * np.swapaxes(rotations, 1, 2))
    assert np.allclose(rebuilt, mixture.covariances[:, :3, :3])
    assert np.allclose(np.linalg.det(rotations), 1.0) and np.array_equal(centres, mixture.means[:, :3])


@settings(max_examples=40, deadline=None)
@given(shape=shapes)
def test_save_and_load_is_exact(tmp_path_factory, shape):
    seed, k, d = shape
    path = tmp_path_factory.mktemp("models") / "skill.npz"
    model = SkillModel("gmm", random_mixture(seed, k, 2 * d), np.arange(d) / 3, meta={"task": "door", "demos": ["a"]})
    save_model(path, model)
    again = load_model(path)
    for name in ("priors", "means", "covariances"):
        assert np.array_equal(getattr(again.mixture, name), getattr(model.mixture, name))
    assert np.array_equal(again.attractor, model.attractor)
    assert again.meta == model.meta and again.kind == model.kind and again.model_id == model.model_id


def test_a_broken_file_is_named(tmp_path):
    path = tmp_path / "skill.npz"
    with pytest.raises(UserError, match="no such file"):
        load_model(path)
    model = SkillModel("gmm", random_mixture(0, 2, 4), np.zeros(2))
    save_model(path, model)
    whole = path.read_bytes()
    for length in (0, 10, len(whole) // 2, len(whole) - 5):
        path.write_bytes(whole[:length])
        with pytest.raises(UserError, match="not a model file or was cut short"):
            load_model(path)

    def rewrite(**changes):
        save_model(path, model)
        with np.load(path) as archive:
            parts = {name: archive[name] for name in archive.files}
        parts.update({name: change(parts[name]) for name, change in changes.items()})
        np.savez(path, **parts)

    rewrite(header=lambda h: np.frombuffer(h.tobytes().replace(b'"version": 1', b'"version": 9'), np.uint8))
    with pytest.raises(UserError, match="format version 9"):
        load_model(path)
    rewrite(means=lambda m: m + 1e-9)
    with pytest.raises(UserError, match="altered"):
        load_model(path)
    rewrite(means=lambda m: m[:, :3])
    with pytest.raises(UserError, match="covariances must have shape"):
        load_model(path)
    np.savez(path, something=np.ones(3))
    with pytest.raises(UserError, match="not a model file"):
        load_model(path)
    path.write_text("{}")
    with pytest.raises(UserError, match="not a model file"):
        load_model(path)
    with path.open("wb") as file:
        np.save(file, np.ones(3))
    with pytest.raises(UserError, match="not a model file"):
        load_model(path)
    rewrite(attractor=lambda a: a.sum())
    with pytest.raises(UserError, match=r"skill\.npz: .*attractor of shape \(\)"):
        load_model(path)
    with pytest.raises(UserError, match=r"cannot read .*: Is a directory"):
        load_model(tmp_path)


def test_a_flipped_bit_is_found_or_harmless(tmp_path):
    path = tmp_path / "skill.npz"
    model = SkillModel("gmm", random_mixture(0, 2, 4), np.zeros(2))
    save_model(path, model)
    whole = path.read_bytes()
    for place in range(0, 8 * len(whole), 61):
        flipped = bytearray(whole)
        flipped[place // 8] ^= 1 << place % 8
        path.write_bytes(flipped)
        try:
            assert load_model(path).checksum == model.checksum
        except UserError as error:
            assert "skill.npz" in str(error)


def test_the_checksum_sees_every_number_and_shape():
    mixture = random_mixture(0, 2, 4)
    base = parameters_checksum(mixture.priors, mixture.means, mixture.covariances, np.zeros(2))
    assert len(base) == 64
    assert base == parameters_checksum(
        mixture.priors.astype(">f8"), mixture.means.tolist(), np.asfortranarray(mixture.covariances), (0.0, 0.0)
    )
    moved = mixture.means.copy()
    moved[1, 3] = np.nextafter(moved[1, 3], 9)
    assert base != parameters_checksum(mixture.priors, moved, mixture.covariances, np.zeros(2))
    assert base != parameters_checksum(mixture.priors, mixture.means.ravel(), mixture.covariances, np.zeros(2))


def test_translation_and_rotation_carry_the_field_along():
    model = SkillModel("gmm", random_mixture(0, 5, 6), np.array([0.1, 0.2, 0.3]))
    x, shift = np.array([0.3, -0.1, 0.5]), np.array([1.0, 2.0, -3.0])
    field = Regressor(model.mixture)(x)
    moved = translate(model, shift)
    assert np.allclose(Regressor(moved.mixture)(x + shift), field)
    assert np.allclose(moved.attractor, model.attractor + shift)
    angle = 0.7
    turn = np.array([[np.cos(angle), -np.sin(angle), 0], [np.sin(angle), np.cos(angle), 0], [0, 0, 1.0]])
    turned = rotate(model, turn)
    assert np.allclose(Regressor(turned.mixture)(model.attractor + turn @ (x - model.attractor)), turn @ field)
    with pytest.raises(UserError, match="rotation matrix"):
        rotate(model, 2 * np.eye(3))
    with pytest.raises(UserError, match="shift"):
        translate(model, [np.nan, 0, 0])


def test_importing_the_models_loads_neither_numba_nor_clarabel():
    script = (
        "import sys, sac_gmm.models; print([m for m in ('numba', 'clarabel', 'torch', 'rclpy') if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_bad_training_data_is_named():
    x = np.random.default_rng(0).normal(size=(60, 3))
    v = x.copy()
    v[45, 1] = np.nan
    with pytest.raises(UserError, match="sample 15 of demonstration 1"):
        fit_gmm(x, v, [30, 30], 2)
    with pytest.raises(UserError, match="lengths sum to 59"):
        fit_gmm(x, x, [30, 29], 2)
    with pytest.raises(UserError, match="shape"):
        fit_gmm(x, x[:, :2], [30, 30], 2)


def test_components_without_weight_do_not_speak():
    mixture = random_mixture(0, 4, 6)
    silent = GaussianMixture(np.array([0.0, 0.0, 0.7, 0.3]), mixture.means, mixture.covariances)
    speaking = GaussianMixture(np.array([0.7, 0.3]), mixture.means[2:], mixture.covariances[2:])
    for d_in in (2, 3):
        for backend in ("numba", "numpy"):
            one, other = (Regressor(m, input_dim=d_in, backend=backend) for m in (silent, speaking))
            x = np.array([0.3, -0.2, 0.9])[:d_in]
            assert np.allclose(one(x), other(x)) and np.allclose(one.batch([x]), other.batch([x])) and one(x).any()
