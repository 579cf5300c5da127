"""Exploration noise that is smooth in time."""

from __future__ import annotations

import numpy as np


class Ar1Noise:
    """First-order autoregressive Gaussian noise of unit variance at every step.

    u_0 ~ N(0, 1) and u_t = a u_{t-1} + sqrt(1 - a²) eps_t, so that the noise is stationary from its first sample and
    its lag-1 correlation is a. It replaces the standard normal sample inside the squashed Gaussian policy:
    the noise is smoothed, not the action, so nothing lags behind the observation.
    a = 0 is white noise; a = 1 holds one exploratory offset for the whole episode.

    Args:
        size: Number of action entries.
        correlation: a in [0, 1].
        rng: Source of the samples.
    """

    def __init__(self, size: int, correlation: float, rng: np.random.Generator) -> None:
        if not 0.0 <= correlation <= 1.0:
            raise ValueError(f"correlation is {correlation}; it must be in [0, 1]")
        self.size = size
        self.correlation = correlation
        self._rng = rng
        self._fresh = float(np.sqrt(1.0 - correlation**2))
        self._value: np.ndarray | None = None

    def reset(self) -> None:
        """Start an episode: the next sample is independent of the past."""
        self._value = None

    def sample(self) -> np.ndarray:
        """Return the next noise vector (size,), float32."""
        eps = self._rng.standard_normal(self.size)
        self._value = eps if self._value is None else self.correlation * self._value + self._fresh * eps
        return self._value.astype(np.float32)

    def state_dict(self) -> dict:
        """Return the current value and the random state, ready for JSON."""
        value = None if self._value is None else self._value.tolist()
        return {"value": value, "rng": self._rng.bit_generator.state}

    def load_state_dict(self, state: dict) -> None:
        """Continue exactly where `state_dict` was taken."""
        self._value = None if state["value"] is None else np.array(state["value"])
        self._rng.bit_generator.state = state["rng"]
