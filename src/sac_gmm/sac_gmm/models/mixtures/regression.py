"""Gaussian mixture regression for a control loop: what does not depend on the state is computed once."""

from __future__ import annotations

import importlib.util
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.core.errors import UserError
from sac_gmm.models.mixtures.mixture import Array, GaussianMixture, log_priors

_LIMIT = 1e100  # states are clipped here, as in the compiled kernel
_QUADRATIC_CAP = 1e300
_CHUNK = 2048  # states per batch step in numpy: the intermediate arrays stay in the cache


class Regressor:
    """f(x) = sum_k h_k(x) (A_k x + b_k), the conditional mean E[v | x] of the mixture, for one state or for many.

    The velocity is never NaN: a state that is not a number gives zero, one beyond 1e100 is clipped. Far from the data
    the nearest component (in its own sigmas) takes over.

    Args:
        mixture: Over [x; v].
        input_dim: How many leading coordinates are x; by default half of them.
        backend: "numba" (compiled, loaded from the disk cache), "numpy", or "auto": numba if it is installed.

    Attributes:
        mixture: The parameters in force.
        generation: Incremented by every `update`.
    """

    def __init__(
        self,
        mixture: GaussianMixture,
        *,
        input_dim: int | None = None,
        backend: Literal["auto", "numba", "numpy"] = "auto",
    ) -> None:
        self.input_dim = mixture.dim // 2 if input_dim is None else input_dim
        self.output_dim = mixture.dim - self.input_dim
        if self.input_dim < 1 or self.output_dim < 1:
            raise UserError(
                f"regression needs inputs and outputs: {self.input_dim} of {mixture.dim} coordinates are inputs"
            )
        if backend == "auto":
            backend = "numba" if importlib.util.find_spec("numba") else "numpy"
        self.backend = backend
        self._field: Any
        self._field_batch: Any
        self._prepare: Any
        if backend == "numba":
            from sac_gmm.models.mixtures import kernels

            self._field, self._field_batch, self._prepare = kernels.field, kernels.field_batch, _prepare_block
        else:
            self._field, self._field_batch, self._prepare = _field_numpy, _field_batch_numpy, _PreparedNumpy
        self.mixture = mixture
        self.generation = -1
        self.update(mixture)
        self(np.zeros(self.input_dim))

    def update(self, mixture: GaussianMixture) -> None:
        """Replace the parameters; the next call uses the new ones.

        Raises:
            UserError: The dimension changed.
        """
        if mixture.dim != self.input_dim + self.output_dim:
            raise UserError(f"an update must keep the dimension: {self.mixture.dim} in force, {mixture.dim} offered")
        # A single assignment: a call in another thread sees the old parameters or the new ones, never a mix.
        self._prepared = self._prepare(mixture, self.input_dim)
        self.mixture = mixture
        self.generation += 1

    def __call__(self, x: ArrayLike) -> Array:
        """The velocity (d_out,) at the state `x` (d_in,), as a new array."""
        out = np.empty(self.output_dim)
        self._field(np.asarray(x, np.float64), self._prepared, out)
        return out

    def into(self, x: Array, out: Array) -> None:
        """Write the velocity at `x` (d_in,) into `out` (d_out,), both float64, without allocating."""
        self._field(x, self._prepared, out)

    def batch(self, x: ArrayLike) -> Array:
        """The velocities (N, d_out) at the states `x` (N, d_in), on one thread."""
        states = np.array(x, dtype=np.float64, order="C", ndmin=2)
        out = np.empty((states.shape[0], self.output_dim))
        self._field_batch(states, self._prepared, out)
        return out

    def covariance(self, x: ArrayLike) -> Array:
        """The conditional covariance Cov[v | x] (d_out, d_out) of the whole mixture at one state `x` (d_in,)."""
        return self.mixture.condition(np.clip(np.asarray(x, dtype=np.float64), -_LIMIT, _LIMIT)).moments()[1]


def linear_gains(covariances: Array, input_dim: int) -> Array:
    """S_vx S_xx^-1 (K, d_out, d_in) of joint covariances (K, d, d)."""
    s_xx, s_xv = covariances[:, :input_dim, :input_dim], covariances[:, :input_dim, input_dim:]
    return np.swapaxes(np.linalg.solve(s_xx, s_xv), 1, 2)


def gains(mixture: GaussianMixture, input_dim: int) -> tuple[Array, Array]:
    """A_k = S_vx S_xx^-1 (K, d_out, d_in) and b_k = mu_v - A_k mu_x (K, d_out): each component's affine field."""
    A = linear_gains(mixture.covariances, input_dim)
    return A, mixture.means[:, input_dim:] - np.einsum("kij,kj->ki", A, mixture.means[:, :input_dim])


def _gates(mixture: GaussianMixture, input_dim: int) -> tuple[Array, Array, Array]:
    """Numbers c (K,), W (K, d, d), w (K, d): log(prior_k N(x; ...)) = c_k - |W_k x + w_k|^2 up to a common constant."""
    lower = np.linalg.cholesky(mixture.covariances[:, :input_dim, :input_dim])
    W = np.linalg.inv(lower) * np.sqrt(0.5)
    w = -np.einsum("kij,kj->ki", W, mixture.means[:, :input_dim])
    return log_priors(mixture.priors) + np.log(np.diagonal(W, axis1=1, axis2=2)).sum(axis=1), W, w


def _prepare_block(mixture: GaussianMixture, input_dim: int) -> Array:
    """The flat block of numbers that the compiled kernels read, see `kernels`."""
    from sac_gmm.models.mixtures import kernels

    k, d_in, d_out = mixture.n_components, input_dim, mixture.dim - input_dim
    block = np.empty(kernels.HEADER + k * (1 + d_in * d_in + d_in + d_out * d_in + d_out))
    block[:3] = k, d_in, d_out
    if not kernels.prepare(mixture.priors, mixture.means, mixture.covariances, block):
        raise UserError("a position covariance is not positive definite in double precision: widen it")
    return block


class _PreparedNumpy:
    """The same numbers stacked for numpy: G x + g gives every component's whitened state and its velocity at once.

    An additional last output is always one, so that the same product gives the sum of the weights.
    """

    def __init__(self, mixture: GaussianMixture, input_dim: int) -> None:
        k, d_in, d_out = mixture.n_components, input_dim, mixture.dim - input_dim
        self.shape = (d_in,)
        self.c, W, w = _gates(mixture, d_in)
        A, b = gains(mixture, d_in)
        A = np.concatenate([A, np.zeros((k, 1, d_in))], axis=1)
        b = np.concatenate([b, np.ones((k, 1))], axis=1)
        self.G = np.concatenate([W.reshape(-1, d_in), A.reshape(-1, d_in)])
        self.g = np.concatenate([w.ravel(), b.ravel()])
        self.y = np.empty(k * (d_in + d_out + 1))
        self.z = self.y[: k * d_in].reshape(k, d_in)
        self.velocities = self.y[k * d_in :].reshape(k, d_out + 1)
        self.ones = np.ones(d_in)
        self.weights = np.empty(k)
        self.sums = np.empty(d_out + 1)


def _field_numpy(x: Array, p: _PreparedNumpy, out: Array) -> None:
    """`kernels.field` without a compiler; its buffers make it one thread's."""
    if x.shape != p.shape:
        raise ValueError("the state has the wrong length")
    for value in x.tolist():  # a loop over three floats is faster than a numpy call
        if not -_LIMIT <= value <= _LIMIT:
            _field_batch_numpy(x[None], p, out[None])
            return
    np.dot(p.G, x, p.y)
    np.add(p.y, p.g, p.y)
    z, weights, sums = p.z, p.weights, p.sums
    np.multiply(z, z, z)
    np.dot(z, p.ones, weights)
    np.subtract(p.c, weights, weights)
    np.subtract(weights, weights[weights.argmax()], weights)
    np.exp(weights, weights)
    np.dot(weights, p.velocities, sums)
    np.divide(sums[:-1], sums[-1], out)


def _field_batch_numpy(x: Array, p: _PreparedNumpy, out: Array) -> None:
    """`kernels.field_batch` without a compiler."""
    k, d_in = p.z.shape
    if x.shape[1:] != p.shape:
        raise ValueError("the states have the wrong length")
    for start in range(0, x.shape[0], _CHUNK):
        states = x[start : start + _CHUNK].T
        bad = np.isnan(states).any(axis=0)
        y = p.G @ np.clip(np.where(bad, 0.0, states), -_LIMIT, _LIMIT) + p.g[:, None]
        quadratic = np.square(y[: k * d_in].reshape(k, d_in, -1)).sum(axis=1)
        weights = p.c[:, None] - np.minimum(quadratic, _QUADRATIC_CAP)
        weights = np.exp(weights - weights.max(axis=0))
        sums = np.einsum("kn,kin->in", weights, y[k * d_in :].reshape(k, -1, states.shape[1]))
        result = sums[:-1] / sums[-1]
        result[:, bad | ~np.isfinite(result).all(axis=0)] = 0.0
        out[start : start + _CHUNK] = result.T
