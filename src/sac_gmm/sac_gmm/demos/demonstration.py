"""One demonstration, checked on construction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError

MIN_SAMPLES = 3  # fewer do not make a motion


@dataclass(frozen=True)
class Demonstration:
    """A motion of the end-effector and the target it was made for, in the axes of `frame_id` and SI units.

    Attributes:
        time_s: (T,) seconds, increasing.
        position_m: (T, 3) end-effector position.
        velocity_m_s: (T, 3) measured velocity.
        target_m: (3,) detected target.
        frame_id: The base frame.
        task: Name of the task; empty if unknown.
        meta: What else is known: `name` for messages to the user, operator, bag path.

    Raises:
        UserError: Shapes disagree, fewer than three samples, a number is not finite, or time does not increase.
    """

    time_s: npt.NDArray[np.float64]
    position_m: npt.NDArray[np.float64]
    velocity_m_s: npt.NDArray[np.float64]
    target_m: npt.NDArray[np.float64]
    frame_id: str = "base"
    task: str = ""
    meta: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("time_s", "position_m", "velocity_m_s", "target_m"):
            array = np.array(getattr(self, name), dtype=np.float64)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        T = self.time_s.size
        if T < MIN_SAMPLES:
            raise UserError(
                f"{self.name}: the demonstration has {T} sample{'' if T == 1 else 's'}, expected at least "
                f"{MIN_SAMPLES}: record it again"
            )
        expected = {"time_s": (T,), "position_m": (T, 3), "velocity_m_s": (T, 3), "target_m": (3,)}
        for name, shape in expected.items():
            array = getattr(self, name)
            if array.shape != shape:
                raise UserError(f"{self.name}: {name} has shape {array.shape}, expected {shape}")
            bad = np.argwhere(~np.isfinite(array.reshape(len(array), -1)).all(axis=1))
            if bad.size:
                where = "" if name == "target_m" else f" in sample {int(bad[0, 0])}"
                raise UserError(f"{self.name}: {name} holds a number that is not finite{where}: record it again")
        backwards = np.flatnonzero(np.diff(self.time_s) <= 0.0)
        if backwards.size:
            raise UserError(
                f"{self.name}: time does not increase from sample {int(backwards[0])} to the next: "
                "the recording mixes clocks or episodes"
            )

    @property
    def name(self) -> str:
        """The name of this demonstration in messages to the user."""
        return str(self.meta.get("name", "demonstration"))

    @property
    def n_samples(self) -> int:
        """T."""
        return int(self.time_s.size)

    @property
    def duration_s(self) -> float:
        """Time from the first sample to the last."""
        return float(self.time_s[-1] - self.time_s[0])

    @property
    def relative_m(self) -> npt.NDArray[np.float64]:
        """(T, 3) end-effector position minus detected target, base axes: the state of a skill."""
        return self.position_m - self.target_m
