"""A decoder carries out a decision: action in, one command for each of the next `interval` control steps out."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from sac_gmm.control import SafetyLimits

State = dict[str, NDArray[np.float64]]  # the scene's observation at a control step, by name


class Decoder(ABC):
    """Turns decisions into motion.

    Attributes:
        action_dim: Entries of an action; 0 if there is nothing to decide.
        interval: Control steps from one decision to the next.
        limits: What its commands keep to; a skill's file names them, and a guard with tighter ones refuses it.
    """

    action_dim: int
    interval: int
    limits: SafetyLimits = SafetyLimits()

    @abstractmethod
    def begin(self) -> None:
        """Start an episode."""

    @abstractmethod
    def decide(self, action: NDArray[np.floating]) -> None:
        """Set the action, shape (action_dim,), entries in [-1, 1]; it holds until the next one."""

    @abstractmethod
    def command(self, state: State) -> NDArray[np.float64]:
        """The command for one control step, in the shape and units of the scene's action. Valid until the next call."""

    def desired(self, state: State) -> NDArray[np.float64]:
        """What this control step should do, for whoever keeps the arm safe: over ROS that is the node `guard`.

        Same shape, units and lifetime as `command`. A decoder whose `command` is its wish within safety limits returns
        the bare wish here, so that the limits hold once wherever it runs. By default it is the command itself: limits
        that are already in it then hold twice over ROS, and the arm follows a little later.
        """
        return self.command(state)
