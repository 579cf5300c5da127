"""What the agent sees at a decision: where the arm is, what it felt since the last decision, and a picture."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from sac_gmm.rl import Observation, ObservationSpec

# Typical sizes, by which the entries are divided before the networks see them.
_POSITION_M = 0.1
_FORCE_N = 5.0
_TORQUE_NM = 0.5


class WindowObserver:
    """Collects one decision window, in the simulator's loop and in the ROS adapter alike.

    The vector holds, in this order: position relative to the detected target (3), mean wrench over the window (6),
    largest force over the window per axis and sign (3), the last action (m), the share of the time limit used (1).
    Nothing in it depends on the true pose of the target.

    Args:
        action_dim: m.
        time_limit_s: Of an episode.
        image_shape: (height, width, channels) of the picture; None for an agent without eyes.
    """

    def __init__(
        self, action_dim: int, time_limit_s: float = 10.0, image_shape: tuple[int, int, int] | None = (64, 64, 3)
    ) -> None:
        self._time_limit_s = time_limit_s
        scale = [_POSITION_M] * 3 + [_FORCE_N] * 3 + [_TORQUE_NM] * 3 + [_FORCE_N] * 3 + [1.0] * (action_dim + 1)
        channels_first = None if image_shape is None else (image_shape[2], *image_shape[:2])
        self.spec = ObservationSpec(len(scale), channels_first, vector_scale=tuple(scale))
        self._position_m = np.zeros(3)
        self._last_action = np.zeros(action_dim)
        self.begin()

    def begin(self) -> None:
        """Start an episode."""
        self._last_action[:] = 0.0
        self._begin_window()

    def tick(self, relative_m: NDArray[np.floating], wrench: NDArray[np.floating]) -> None:
        """Take in one control step: end-effector minus detected target (3,), and the wrench (6,) in N and Nm."""
        self._position_m[:] = relative_m
        self._wrench_sum += wrench
        stronger = np.abs(wrench[:3]) > np.abs(self._peak_n)
        self._peak_n[stronger] = wrench[:3][stronger]
        self._ticks += 1

    def observe(self, image: NDArray[np.uint8] | None, elapsed_s: float) -> Observation:
        """The observation for the decision due now; begins the next window.

        Args:
            image: Latest picture, shape (height, width, channels), or None where the spec has none.
            elapsed_s: Since the start of the episode.
        """
        vector = np.concatenate(
            (
                self._position_m,
                self._wrench_sum / max(self._ticks, 1),
                self._peak_n,
                self._last_action,
                [elapsed_s / self._time_limit_s],
            )
        ).astype(np.float32)
        self._begin_window()
        observation: Observation = {"vector": vector}
        if image is not None:
            observation["image"] = np.ascontiguousarray(np.moveaxis(image, -1, 0))
        return observation

    def acted(self, action: NDArray[np.floating]) -> None:
        """Remember the action that was taken, for the next observation."""
        self._last_action[:] = action

    def _begin_window(self) -> None:
        self._wrench_sum = np.zeros(6)
        self._peak_n = np.zeros(3)
        self._ticks = 0
