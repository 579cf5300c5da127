"""What the agent sees at a decision: where the arm is, what it felt, what it did in this episode, and a picture."""

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

# Typical sizes, by which the entries are divided before the networks see them.
_POSITION_M = 0.1
_FORCE_N = 5.0
_TORQUE_NM = 0.5
_PAST_M = 0.02  # of a way since an earlier decision
_HELD_N = 4.0  # mean force over a window from which on the arm is held up rather than free


class WindowObserver(ObservationWindow):
    """Collects one decision window, in the simulator's loop and in the ROS adapter alike.

    The vector holds, in this order: position relative to the detected target (3), mean wrench over the window (6),
    largest force over the window per axis and sign (3), the last action (m), the share of the time limit used (1); with
    `memory`, the way here from the middle of all places where the arm was held up in this episode (3) and the share of
    decisions at which it was (1); and for each of the `history` decisions before, the latest first: the way from there
    to here (3) and the mean wrench of the window before it (6), zeros where there was none; with `camera`, the detected
    target in the camera's frame at the first look (3). Nothing in it depends on the true pose of the target.

    With `camera` the picture is that of the first look in the episode, before the arm moves: where the target is does
    not change afterwards, while what moves it, or hides it, does. Otherwise it is the newest one.

    Args:
        action_dim: m.
        time_limit_s: Of an episode.
        image: Group of sensors whose picture the agent sees (`rgb`, `depth`, `tactile`); None for an agent without.
        memory: Whether it remembers where it was held up: what was tried in vain and need not be tried again.
        history: Earlier decisions of the episode that it repeats.
        touch: Whether it feels the wrench; without, its entries are zero.
        last_action: Whether it knows its last action; without, its entries are zero.
        camera: Where the camera of `image` is, if it is calibrated.
        action_shift: How an action must change for the same motion when the target is detected elsewhere, per metre,
            shape (m, 3): the symmetry in the ObservationSpec. None where there is no such action.
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

    def begin(self) -> None:
        """Start an episode."""
        self._last_action[:] = 0.0
        self._past.clear()
        self._held_m, self._n_held, self._n_decisions = np.zeros(3), 0, 0
        self._look: tuple[NDArray[np.float64], NDArray[np.uint8]] | None = None  # the first: target and picture
        self._begin_window()

    def take_in(self, state: State) -> None:
        """Take in what the scene observes at a control step."""
        self._target_m = state["target_m"]
        self.tick(state["ee_position_m"] - self._target_m, state["wrench"])

    def observation(self, read: Read, elapsed_s: float) -> Observation:
        """The observation for the decision due now; begins the next window."""
        reading = read(self.coding.group) if self.coding is not None and self.looks else None
        return self.observe(reading, elapsed_s, self._target_m)

    def tick(self, relative_m: NDArray[np.floating], wrench: NDArray[np.floating]) -> None:
        """Take in one control step: end-effector minus detected target (3,), and the wrench (6,) in N and Nm."""
        self._position_m[:] = relative_m
        self._ticks += 1
        if self._touch:
            self._wrench_sum += wrench
            stronger = np.abs(wrench[:3]) > np.abs(self._peak_n)
            self._peak_n[stronger] = wrench[:3][stronger]

    @property
    def looks(self) -> bool:
        """Whether the next observation takes in a picture."""
        return self.coding is not None and self._look is None

    def observe(
        self, reading: NDArray[Any] | None, elapsed_s: float, target_m: NDArray[np.floating] | None = None
    ) -> Observation:
        """The observation for the decision due now; begins the next window.

        Args:
            reading: Latest of the image sensor, as `Task.read` gives it, or None where it is not looked at (`looks`).
            elapsed_s: Since the start of the episode.
            target_m: The detected target (3,), base frame; only a camera that stands asks for it.
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
            raise UserError("a camera that stands is asked where the target is: give target_m in the base frame")
        return self._camera.in_camera(np.asarray(target_m), np.zeros(3))

    def _recall(self, wrench: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """Take in this decision, and give what is remembered of the episode."""
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
