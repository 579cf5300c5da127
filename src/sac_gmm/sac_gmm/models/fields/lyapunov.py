"""Learning the metric P of a quadratic Lyapunov function V = y' P y that falls along the demonstrations."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from sac_gmm.models.mixtures.mixture import Array

_FLOOR = 1e-3  # smallest share of the identity in P
_DESCENT_WEIGHT = 1e-4  # weight of samples along which V already falls
_MAX_SAMPLES = 1000


def learn_metric(y: Array, v: Array, seed: int = 0, restarts: int = 6) -> Array:
    """The P (d, d), trace d, under which the velocities point downhill most.

    Minimises the mean of s(psi), psi the cosine between grad V = P y and v, s = psi^2 uphill and -1e-4 psi^2 downhill
    (Khansari-Zadeh and Billard, RAS 62(6) 2014, eq. 7-8, quadratic part), from several starts with L-BFGS.

    Args:
        y: (N, d) states relative to the attractor.
        v: (N, d) velocities.
        seed: For the random starts.
        restarts: How many starts; the first is the identity.
    """
    d = y.shape[1]
    keep = np.linspace(0, len(y) - 1, min(_MAX_SAMPLES, len(y))).astype(int)
    y, v = y[keep], v[keep]
    moving = (np.linalg.norm(v, axis=1) > 1e-9) & (np.linalg.norm(y, axis=1) > 1e-9)
    y, v = y[moving] / y.std(), v[moving] / np.linalg.norm(v[moving], axis=1, keepdims=True)

    def objective(P: Array) -> tuple[float, Array]:
        g = y @ P
        length = np.linalg.norm(g, axis=1, keepdims=True)
        psi = (g * v).sum(axis=1, keepdims=True) / length
        weight = np.where(psi > 0.0, 1.0, -_DESCENT_WEIGHT)
        slope = 2.0 * weight * psi * (v - psi * g / length) / length
        return float((weight * psi**2).mean()), slope.T @ y / len(y)

    rng = np.random.default_rng(seed)
    starts = [np.eye(d)] + [np.linalg.cholesky(_random_metric(d, rng)) for _ in range(restarts - 1)]
    return min((minimise_metric(objective, start) for start in starts), key=lambda result: result[0])[1]


def minimise_metric(
    objective: Callable[[Array], tuple[float, Array]], start: Array, max_evaluations: int = 200
) -> tuple[float, Array]:
    """Minimise a smooth function of a metric P = c (L L' + 1e-3 I) of trace d over L.

    Args:
        objective: P -> (value, gradient (d, d) with respect to P).
        start: (d, d) lower triangular L.
        max_evaluations: Maximum number of evaluations.

    Returns:
        The best value seen and its P.
    """
    from scipy.optimize import minimize

    d = len(start)
    index = np.tril_indices(d)
    best: tuple[float, Array] = (np.inf, np.eye(d))

    def value(parameters: Array) -> tuple[float, Array]:
        nonlocal best
        L = np.zeros((d, d))
        L[index] = parameters
        raw = L @ L.T
        raw += _FLOOR * np.trace(raw) / d * np.eye(d) + 1e-12 * np.eye(d)
        c = d / np.trace(raw)
        P = c * raw
        cost, gradient = objective(P)
        if cost < best[0]:
            best = (cost, P)
        gradient = 0.5 * c * (gradient + gradient.T)
        gradient -= np.sum(gradient * P) / d * np.eye(d)  # the trace is fixed
        return cost, ((2.0 * gradient + 2.0 * _FLOOR * np.trace(gradient) / d * np.eye(d)) @ L)[index]

    minimize(value, start[index], jac=True, method="L-BFGS-B", options={"maxfun": max_evaluations})
    return best


def _random_metric(d: int, rng: np.random.Generator) -> Array:
    Q, _ = np.linalg.qr(rng.normal(size=(d, d)))
    return (Q * np.exp(rng.normal(size=d))) @ Q.T
