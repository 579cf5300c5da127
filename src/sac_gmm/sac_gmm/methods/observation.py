"""What a decision is made on: a window over the control steps since the last decision."""

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
    """Gathers the observation for the next decision.

    Attributes:
        spec: Shapes of the observation.
        groups: Groups of the scene's sensors that it uses.
        training_groups: Groups that a critic or discriminator may see besides, in training only.
    """

    spec: ObservationSpec
    groups: tuple[str, ...]
    training_groups: tuple[str, ...] = ()

    @abstractmethod
    def begin(self) -> None:
        """Start an episode."""

    @abstractmethod
    def take_in(self, state: State) -> None:
        """Take in what the scene observes at a control step."""

    @abstractmethod
    def observation(self, read: Read, elapsed_s: float) -> Observation:
        """The observation for the decision due now; begins the next window.

        Args:
            read: Reads an image sensor; called only for what is needed.
            elapsed_s: Since the start of the episode.
        """

    @abstractmethod
    def acted(self, action: NDArray[np.floating]) -> None:
        """Remember the action that was taken, for the next observation."""


def refuse_the_truth(window: ObservationWindow) -> None:
    """Refuse a window through which a policy would see the true state of the scene.

    Raises:
        UserError: `groups` names the truth. It may score an episode, and train a critic (`training_groups`).
    """
    if PRIVILEGED in window.groups:
        raise UserError(f"a policy may not see '{PRIVILEGED}', the true state of the scene: remove it from groups")
