"""The agent's observation at a decision: arm position, forces, history of the episode, and a picture."""

from __future__ import annotations

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.methods.decoder import State
from sac_gmm.methods.observation import ObservationWindow, Read
from sac_gmm.methods.sac_gmm.images import CameraPlace, image_coding
from sac_gmm.rl import Observation, ObservationSpec, Sight

# Typical magnitudes: entries are divided by these before they reach the networks.
_POSITION_M = 0.1
_FORCE_N = 5.0
_TORQUE_NM = 0.5
_PAST_M = 0.02  # displacement since an earlier decision
_HELD_N = 4.0  # mean force over a window above which the arm counts as blocked


class WindowObserver(ObservationWindow):
    """Collects one decision window, both in the simulator's loop and in the ROS adapter.

    The vector holds, in this order: position relative to the detected target (3), mean wrench over the window (6),
    largest force over the window per axis and sign (3), last action (m), used share of the time limit (1). With
    `memory` follow the displacement from the mean of all places where the arm was blocked in this episode (3), and the
    share of decisions at which it was blocked (1). For each of the `history` previous decisions, latest first, follow
    the displacement since then (3) and the mean wrench of the window before it (6), or zeros if there was none. With
    `camera`, the last entries are the detected target in the camera's frame at the first look (3). Nothing in it
    depends on the true pose of the target.

    With `camera`, the picture is the first one of the episode, before the arm moves: the target's initial position
    stays valid, while later the arm may move or hide the target. Otherwise it is the newest picture.

    Args:
        action_dim: m.
        time_limit_s: Time limit of an episode.
        image: Sensor group of the agent's picture (`rgb`, `depth`, `tactile`); None for no picture.
        memory: Whether to remember where the arm was blocked, so as not to try again what has failed.
        history: Number of earlier decisions to include.
        touch: Whether to include the wrench; otherwise its entries are zero.
        last_action: Whether to include the last action; otherwise its entries are zero.
        camera: Pose of the camera of `image`, if it is calibrated.
        action_shift: Change of action, per metre of shift in the detected target, that keeps the motion the same,
            shape (m, 3): the symmetry in the ObservationSpec. None if there is no such action.
    """

    def __init__(
        self,
        action_dim: int,
        time_limit_s: float = 10.0,
        image: str | None = None,
        *,
        memory: bool = False,
        history: int = 0,
        touch: bool = True,
        last_action: bool = True,
        camera: CameraPlace | None = None,
        action_shift: NDArray[np.floating] | None = None,
    ) -> None:
        self._time_limit_s = time_limit_s
        self._touch = touch
        self._knows_action = last_action
        self.coding = None if image is None else image_coding(image)
        self.groups = ("proprio", "target", "wrench", *([image] if image is not None else []))
        wrench = [_FORCE_N] * 3 + [_TORQUE_NM] * 3
        scale = [_POSITION_M] * 3 + wrench + [_FORCE_N] * 3 + [1.0] * (action_dim + 1)
        scale += ([_PAST_M] * 3 + [1.0]) * memory + ([_PAST_M] * 3 + wrench) * history
        self._camera = camera if self.coding is not None else None
        self.looks_once = self._camera is not None
        sight: Sight | None = None
        if self._camera is not None and self.coding is not None:
            depth_range_m = (self.coding.low, self.coding.high) if self.coding.group == "depth" else None
            rotation = tuple(tuple(row) for row in self._camera.rotation.tolist())
            sight = Sight(self._camera.focal_px, rotation, len(scale), depth_range_m)
            scale += [1.0] * 3
        shifts: dict[str, Any] = {}
        if action_shift is not None and action_dim:
            vector_shift = np.zeros((len(scale), 3))
            vector_shift[:3] = np.eye(3)
            if last_action:
                vector_shift[12 : 12 + action_dim] = action_shift
            if self._camera is not None:
                vector_shift[-3:] = -self._camera.rotation
            shifts = {"vector_shift": vector_shift.tolist(), "action_shift": np.asarray(action_shift).tolist()}
        shape = None if self.coding is None else self.coding.shape
        self.spec = ObservationSpec(len(scale), shape, vector_scale=tuple(scale), sight=sight, **shifts)
        self._position_m, self._target_m = np.zeros(3), np.zeros(3)
        self._last_action = np.zeros(action_dim)
        self._memory = memory
        self._n_past = history
        self._past: deque[tuple[NDArray[np.float64], NDArray[np.float64]]] = deque(maxlen=history)
        self.begin()

    @property
    def camera(self) -> CameraPlace | None:
        """The camera of its pictures, if it is calibrated."""
        return self._camera

    def begin(self) -> None:
        """Start an episode."""
        self._last_action[:] = 0.0
        self._past.clear()
        self._held_m, self._n_held, self._n_decisions = np.zeros(3), 0, 0
        self._look: tuple[NDArray[np.float64], NDArray[np.uint8]] | None = None  # first look: target and picture
        self._begin_window()

    def take_in(self, state: State) -> None:
        """Add the scene's observation at a control step."""
        self._target_m = state["target_m"]
        self.tick(state["ee_position_m"] - self._target_m, state["wrench"])

    def observation(self, read: Read, elapsed_s: float) -> Observation:
        """Return the observation for the current decision and begin the next window."""
        reading = read(self.coding.group) if self.coding is not None and self.looks else None
        return self.observe(reading, elapsed_s, self._target_m)

    def tick(self, relative_m: NDArray[np.floating], wrench: NDArray[np.floating]) -> None:
        """Add one control step: end-effector minus detected target (3,), and the wrench (6,) in N and Nm."""
        self._position_m[:] = relative_m
        self._ticks += 1
        if self._touch:
            self._wrench_sum += wrench
            stronger = np.abs(wrench[:3]) > np.abs(self._peak_n)
            self._peak_n[stronger] = wrench[:3][stronger]

    @property
    def looks(self) -> bool:
        """Whether the next observation needs a picture."""
        return self.coding is not None and self._look is None

    def observe(
        self, reading: NDArray[Any] | None, elapsed_s: float, target_m: NDArray[np.floating] | None = None
    ) -> Observation:
        """Return the observation for the current decision and begin the next window.

        Args:
            reading: Latest image sensor reading, as returned by `Task.read`; None if no picture is needed (`looks`).
            elapsed_s: Time since the start of the episode.
            target_m: The detected target (3,), base frame; needed only for a fixed camera.
        """
        wrench = self._wrench_sum / max(self._ticks, 1)
        clock = np.array([elapsed_s / self._time_limit_s])
        parts = [self._position_m, wrench, self._peak_n, self._last_action, clock]
        if self._memory:
            parts += self._recall(wrench)
        for position_m, felt in self._past:
            parts += [self._position_m - position_m, felt]
        parts += [np.zeros(9)] * (self._n_past - len(self._past))
        self._past.appendleft((self._position_m.copy(), wrench))
        self._begin_window()
        picture = None if self.coding is None or reading is None else self.coding.encode(reading)
        if self._camera is not None:
            if self._look is None and picture is not None:
                self._look = self._target_in_camera(target_m), picture
            target_in_camera_m, picture = self._look or (np.zeros(3), picture)
            parts.append(target_in_camera_m)
        observation: Observation = {"vector": np.concatenate(parts).astype(np.float32)}
        if picture is not None:
            observation["image"] = picture
        return observation

    def _target_in_camera(self, target_m: NDArray[np.floating] | None) -> NDArray[np.float64]:
        assert self._camera is not None
        if self._camera.rides:
            return self._camera.in_camera(np.zeros(3), self._position_m)
        if target_m is None:
            raise UserError("a fixed camera needs the detected target: give target_m in the base frame")
        return self._camera.in_camera(np.asarray(target_m), np.zeros(3))

    def _recall(self, wrench: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Record this decision, and return the history of the episode."""
        self._n_decisions += 1
        if np.linalg.norm(wrench[:3]) > _HELD_N:
            self._n_held += 1
            self._held_m += (self._position_m - self._held_m) / self._n_held
        way_m = self._position_m - self._held_m if self._n_held else np.zeros(3)
        return [way_m, np.array([self._n_held / self._n_decisions])]

    def acted(self, action: NDArray[np.floating]) -> None:
        """Remember the action that was taken, for the next observation."""
        if self._knows_action:
            self._last_action[:] = action

    def _begin_window(self) -> None:
        self._wrench_sum = np.zeros(6)
        self._peak_n = np.zeros(3)
        self._ticks = 0
