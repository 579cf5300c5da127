"""The motion of a skill, integrated over time without a robot."""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.core.errors import UserError
from sac_gmm.models.fields.model import SkillModel
from sac_gmm.models.mixtures.mixture import Array
from sac_gmm.models.mixtures.regression import Regressor, gains

_STABLE_STEP = {"euler": 1.0, "rk4": 2.5}  # largest dt |lambda| for which each integrator does not grow


def limit_speed(velocity: Array, max_speed: float) -> Array:
    """Scale velocities (..., d) down to at most `max_speed`, direction kept.

    This keeps stability: a positive factor does not change the sign of dV/dt, and near the attractor it is one.
    """
    speed = np.linalg.norm(velocity, axis=-1, keepdims=True)
    return velocity * np.minimum(1.0, max_speed / np.maximum(speed, np.finfo(float).tiny))


def rollout(
    model: SkillModel,
    x0: ArrayLike,
    dt_s: float,
    n_steps: int,
    *,
    max_speed: float = np.inf,
    integrator: Literal["euler", "rk4"] = "euler",
    check_step: bool = True,
) -> Array:
    """Integrate the field of `model` from `x0`.

    Args:
        model: What to play.
        x0: (d,) one start, or (N, d) several, integrated side by side.
        dt_s: Time step.
        n_steps: Steps to take.
        max_speed: Velocities are scaled down to this norm.
        integrator: "euler" (as a robot that holds each velocity for `dt_s`) or "rk4" (close to the true flow).
        check_step: Refuse a step that is too long for the model.

    Returns:
        (n_steps + 1, d) states beginning with `x0`; (n_steps + 1, N, d) for many starts.

    Raises:
        UserError: `x0` does not fit, or the step is so long that the integration would be unstable.
    """
    start = np.asarray(x0, dtype=np.float64)
    if start.ndim not in (1, 2) or start.shape[-1] != model.state_dim:
        raise UserError(f"x0 must have shape ({model.state_dim},) or (N, {model.state_dim}), not {start.shape}")
    if check_step:
        fastest = float(np.abs(np.linalg.eigvals(gains(model.mixture, model.state_dim)[0])).max())
        if dt_s * fastest > _STABLE_STEP[integrator]:
            raise UserError(
                f"a step of {dt_s} s is too long for this model, whose fastest mode has rate {fastest:.3g} 1/s: "
                f"take at most {_STABLE_STEP[integrator] / fastest:.3g} s"
            )
    regressor = Regressor(model.mixture, input_dim=model.state_dim)

    def velocity(x: Array) -> Array:
        return limit_speed(regressor.batch(x), max_speed)

    states = np.atleast_2d(start)
    path = np.empty((n_steps + 1, *states.shape))
    path[0] = states
    for step in range(n_steps):
        k1 = velocity(states)
        if integrator == "euler":
            states = states + dt_s * k1
        else:
            k2 = velocity(states + 0.5 * dt_s * k1)
            k3 = velocity(states + 0.5 * dt_s * k2)
            k4 = velocity(states + dt_s * k3)
            states = states + dt_s / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        path[step + 1] = states
    return path[:, 0] if start.ndim == 1 else path
