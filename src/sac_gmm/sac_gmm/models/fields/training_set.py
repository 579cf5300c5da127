"""The samples of a fit: checked, and with the common end of the demonstrations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.core.errors import UserError
from sac_gmm.models.fields.lyapunov import learn_metric
from sac_gmm.models.mixtures.mixture import Array


@dataclass(frozen=True, eq=False)
class TrainingSet:
    """Checked samples of one skill.

    Attributes:
        x: (N, d) states.
        v: (N, d) velocities.
        lengths: Samples per demonstration, summing to N.
        attractor: (d,) the mean of the demonstrations' ends.
    """

    x: Array
    v: Array
    lengths: tuple[int, ...]
    attractor: Array

    @property
    def joint(self) -> Array:
        """(N, 2 d) samples [x; v]."""
        return np.concatenate([self.x, self.v], axis=1)

    @property
    def groups(self) -> list[int]:
        """Which coordinates of `joint` share a unit."""
        d = self.x.shape[1]
        return [0] * d + [1] * d

    def scales(self) -> tuple[float, float]:
        """Typical distance from the attractor and typical speed, both root mean squares.

        Raises:
            UserError: The demonstrations stand still.
        """
        reach = float(np.sqrt(np.square(self.x - self.attractor).mean()))
        speed = float(np.sqrt(np.square(self.v).mean()))
        if not (reach > 0.0 and speed > 0.0):
            raise UserError("the demonstrations do not move: a dynamical system needs motion")
        return reach, speed

    @cached_property
    def metric(self) -> Array:
        """(d, d) the Lyapunov metric learned from the directions of motion; it does not depend on any mixture."""
        return learn_metric(self.x - self.attractor, self.v)

    def demonstrations(self) -> list[TrainingSet]:
        """One set per demonstration, with the common attractor."""
        cuts = np.cumsum(self.lengths)[:-1]
        pairs = zip(np.split(self.x, cuts), np.split(self.v, cuts), strict=True)
        return [TrainingSet(x, v, (len(x),), self.attractor) for x, v in pairs]

    def without(self, index: int) -> TrainingSet:
        """All demonstrations but one."""
        return _join([demo for i, demo in enumerate(self.demonstrations()) if i != index])


def training_set(x: ArrayLike, v: ArrayLike, lengths: Sequence[int], *, align_ends: bool) -> TrainingSet:
    """Check the samples.

    Args:
        x: (N, d) states, demonstration after demonstration.
        v: (N, d) velocities.
        lengths: Samples per demonstration.
        align_ends: Shift every demonstration so that all end at the mean end, which removes the errors in the
            detected target; systems with one attractor need this.

    Raises:
        UserError: Shapes do not fit, a demonstration is too short, or a number is not finite; the sentence names the
            demonstration and the sample.
    """
    x, v = np.array(x, dtype=np.float64), np.array(v, dtype=np.float64)
    lengths = tuple(int(length) for length in lengths)
    if x.ndim != 2 or x.shape != v.shape or 0 in x.shape:
        raise UserError(f"states and velocities must both have shape (N, d), not {x.shape} and {v.shape}")
    if sum(lengths) != len(x) or not lengths:
        raise UserError(f"the demonstrations' lengths sum to {sum(lengths)} but there are {len(x)} samples")
    if min(lengths) < 3:
        raise UserError(f"demonstration {int(np.argmin(lengths))} has {min(lengths)} samples; it needs at least 3")
    starts = np.concatenate([[0], np.cumsum(lengths)[:-1]])
    bad = ~(np.isfinite(x).all(axis=1) & np.isfinite(v).all(axis=1))
    if bad.any():
        sample = int(np.argmax(bad))
        demo = int(np.searchsorted(starts, sample, side="right")) - 1
        raise UserError(
            f"sample {sample - int(starts[demo])} of demonstration {demo} is not finite: remove or correct it"
        )
    ends = x[starts + np.array(lengths) - 1]
    attractor = ends.mean(axis=0)
    if align_ends:
        x -= np.repeat(ends - attractor, lengths, axis=0)
    return TrainingSet(x, v, lengths, attractor)


def _join(demos: Sequence[TrainingSet]) -> TrainingSet:
    x, v = np.concatenate([demo.x for demo in demos]), np.concatenate([demo.v for demo in demos])
    return TrainingSet(x, v, tuple(len(demo.x) for demo in demos), demos[0].attractor)
