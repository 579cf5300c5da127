"""A scripted teleoperator that follows a path by twists as a person would, a little differently each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.tasks.registry import task_class
from sac_gmm.tasks.twist_task import Task


class ScriptedTeleoperator:
    """Generates the twists of one demonstration.

    It chases a point that moves along the path with a bell-shaped speed profile (people start and stop gently). The
    seed determines the pace, a detour on the way in and the tremor of the hand.
    """

    def __init__(
        self,
        task: str,
        seed: int,
        *,
        speed_m_s: float = 0.06,
        gain_1_s: float = 4.0,
        detour_std_m: float = 0.008,
        tremor_std_m_s: float = 0.004,
    ):
        shown = task_class(task)
        if not issubclass(shown, Task):
            raise UserError(
                f"task '{task}' is not commanded by a twist: it cannot be shown by the scripted teleoperator"
            )
        rng = np.random.default_rng(seed)
        self._rng = rng
        self._gain_1_s = gain_1_s
        self._speed_m_s = speed_m_s * rng.uniform(0.8, 1.25)
        self._detour_m = detour_std_m * rng.standard_normal(2)
        self._tremor_std_m_s = tremor_std_m_s
        self._tremor = np.zeros(3)
        self._care = shown.care
        self._path = shown.demonstrated_path_m()
        self._arc_m = np.concatenate(([0.0], np.cumsum(np.linalg.norm(np.diff(self._path, axis=0), axis=1))))
        self._start: NDArray[np.float64] | None = None
        self._travelled_m = 0.0

    @property
    def done(self) -> bool:
        """Whether the moving point has reached the end of the path."""
        return self._travelled_m >= self._arc_m[-1]

    def twist(self, relative_m: NDArray[np.float64], dt_s: float) -> NDArray[np.float64]:
        """The command for the next `dt_s` seconds.

        Args:
            relative_m: Fingertip minus target, shape (3,), base axes.
            dt_s: Time since the last call.

        Returns:
            Twist, shape (6,): linear m/s, angular rad/s (zero), base axes.
        """
        if self._start is None:
            # Start from the hand's position and join the path along its first stretch.
            self._start = np.array(relative_m)
            self._lead_in = self._start - self._path[0]
        progress = self._travelled_m / self._arc_m[-1]
        pace = max(0.25, min(1.0, 12.0 * progress + 0.25, 12.0 * (1.0 - progress)))
        if self._care is not None:
            near_m, share = self._care
            from_target_m = float(np.linalg.norm(self._on_path()))
            pace *= 1.0 - (1.0 - share) * np.exp(-((from_target_m / near_m) ** 2))
        self._travelled_m = min(self._travelled_m + pace * self._speed_m_s * dt_s, self._arc_m[-1])
        goal = self._on_path()
        join = np.clip(1.0 - self._travelled_m / 0.07, 0.0, 1.0)  # 1 at the start, 0 after seven centimetres
        goal += self._lead_in * join**2
        goal[:2] += self._detour_m * np.sin(np.pi * join)
        keep = np.exp(-dt_s / 0.15)
        self._tremor = keep * self._tremor + np.sqrt(1.0 - keep**2) * self._tremor_std_m_s * self._rng.standard_normal(
            3
        )
        twist = np.zeros(6)
        twist[:3] = self._gain_1_s * (goal - relative_m) + self._tremor
        return twist

    def _on_path(self) -> NDArray[np.float64]:
        """The moving point, shape (3,), relative to the target."""
        return np.array([np.interp(self._travelled_m, self._arc_m, axis) for axis in self._path.T])
