"""The observation for a decision: a window over the control steps since the last decision."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.methods.decoder import State
from sac_gmm.rl import Observation, ObservationSpec
from sac_gmm.tasks import PRIVILEGED

Read = Callable[[str], NDArray[Any]]  # reads the image sensor of a group, as `Scene.read` does


class ObservationWindow(ABC):
    """Collects the observation for the next decision.

    Attributes:
        spec: Shapes of the observation.
        groups: Sensor groups of the scene that it uses.
        training_groups: Additional groups that a critic or discriminator may see, in training only.
        looks_once: Whether it uses the first picture of an episode alone.
    """

    spec: ObservationSpec
    groups: tuple[str, ...]
    training_groups: tuple[str, ...] = ()
    looks_once: bool = False

    @property
    def looks(self) -> bool:
        """Whether the next observation needs pictures of its groups."""
        return True

    @abstractmethod
    def begin(self) -> None:
        """Start an episode."""

    @abstractmethod
    def take_in(self, state: State) -> None:
        """Add the scene's observation at a control step."""

    @abstractmethod
    def observation(self, read: Read, elapsed_s: float) -> Observation:
        """Return the observation for the current decision and begin the next window.

        Args:
            read: Reads an image sensor; called only for the groups needed.
            elapsed_s: Time since the start of the episode.
        """

    @abstractmethod
    def acted(self, action: NDArray[np.floating]) -> None:
        """Remember the action that was taken, for the next observation."""


def refuse_the_truth(window: ObservationWindow) -> None:
    """Reject a window that would show a policy the true state of the scene.

    Raises:
        UserError: `groups` names the truth. The truth may only score an episode or train a critic (`training_groups`).
    """
    if PRIVILEGED in window.groups:
        raise UserError(f"a policy may not see '{PRIVILEGED}', the true state of the scene: remove it from groups")
