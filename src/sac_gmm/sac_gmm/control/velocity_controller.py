"""One tick of the velocity controller: state in, twist out. No clock, no ROS, no threads of its own.

update -> UpdateGate.judge -> VelocityController.swap          (from the thread that receives updates)
state  -> VelocityController.tick -> Tick(twist, reason, ...)   (from the thread that keeps the deadlines)
"""

from __future__ import annotations

import threading
from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from sac_gmm.control.codes import Reason
from sac_gmm.control.safe_motion import SafeMotion, Tick
from sac_gmm.control.safety import JointLimiter, SafetyLimits
from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, number
from sac_gmm.models import Regressor, SkillModel

_KEPT_VERSIONS = 8


@dataclass(frozen=True)
class ArmState:
    """What the controller knows about the arm, in the base frame.

    Attributes:
        position_m: Position of the end-effector, shape (3,).
        target_m: Detected position of the target, shape (3,).
        age_s: Present age of the position.
    """

    position_m: np.ndarray
    target_m: np.ndarray
    age_s: float = 0.0


@dataclass(frozen=True)
class BlendSettings:
    """How a new version of the model takes over, and what happens when updates stop."""

    blend_s: float = number(0.3, 0.0, 2.0, "s", "time over which the new model's velocity replaces the old one's")
    adapter_timeout_s: float = number(2.0, 0.05, 600.0, "s", "time without an update until the return to the base")
    adapter_return_s: float = number(1.0, 0.0, 10.0, "s", "time over which the base model then takes over")

    def __post_init__(self) -> None:
        check_settings(self)


class _Version(NamedTuple):
    number: int
    model: SkillModel
    field: Regressor


class _Layer:
    """A model that takes over from those below it: its weight rises from 0 to 1."""

    def __init__(self, version: _Version, blend_s: float) -> None:
        self.version = version
        self.rate_per_s = 1 / blend_s if blend_s > 0 else float("inf")
        self.weight = 0.0


class VelocityController(SafeMotion):
    """Follows the field of a skill model through the safety pipeline, and changes models without a jump.

    Args:
        model: The base model, version 0.
        limits: What the arm may do.
        dt_s: The control period.
        blend: How new versions take over.
        joints: What the joints allow, kept up to date by the caller.
    """

    def __init__(
        self,
        model: SkillModel,
        limits: SafetyLimits | None = None,
        dt_s: float = 1 / 30,
        blend: BlendSettings | None = None,
        joints: JointLimiter | None = None,
    ) -> None:
        if model.state_dim != 3:
            raise UserError(f"the skill moves in {model.state_dim} dimensions: the velocity controller expects 3")
        super().__init__(limits or SafetyLimits(), dt_s, joints)
        self.blend = blend or BlendSettings()
        self._base = _Version(0, model, Regressor(model.mixture))
        self._layers = [_Layer(self._base, 0.0)]
        self._history: deque[_Version] = deque([self._base], maxlen=_KEPT_VERSIONS)
        self._lock = threading.Lock()  # shared by `swap` and the start of a tick
        self._pending: _Layer | None = None
        self._since_update_s = float("inf")
        self._ramp = 0.0
        self._x = np.empty(3)
        self._layer_velocity = np.zeros(3)

    @property
    def base(self) -> SkillModel:
        """The base model."""
        return self._base.model

    @property
    def version(self) -> int:
        """Number of the version that is active, or will be from the next tick on."""
        return self._newest.version.number

    @property
    def model(self) -> SkillModel:
        """The model that is active, or will be from the next tick on."""
        return self._newest.version.model

    @property
    def adapter_alive(self) -> bool:
        """Whether an update came within the last `adapter_timeout_s` of motion."""
        return self._since_update_s < self.blend.adapter_timeout_s

    def swap(self, model: SkillModel, version: int) -> int:
        """Activate another version from the next tick on; may be called from another thread.

        Returns:
            The number of the first tick that uses it.
        """
        new = _Version(version, model, Regressor(model.mixture))
        with self._lock:
            self._history.append(new)
            self._pending = _Layer(new, self.blend.blend_s)
            self._since_update_s = 0.0
            return self.ticks + 1

    def roll_back(self) -> int:
        """Return to the version before the active one, blending as always.

        Returns:
            Its number; 0, the base, if no older one is kept.
        """
        with self._lock:
            if self._history[-1] is not self._base:
                self._history.pop()
            if not self._history:  # all kept versions are undone
                self._history.append(self._base)
            older = self._history[-1]
            self._pending = _Layer(older, self.blend.blend_s)
            return older.number

    def reset(self, *, moving: bool = False) -> None:
        """Start an episode: the base model active, no fault, the allowed speed growing from zero.

        Call it from the thread that ticks.

        Args:
            moving: The arm may still be following the last command, so the next one must continue from it. If false,
                the arm is taken to be at rest, as after a simulation's reset.
        """
        with self._lock:
            self._pending = None
            self._history = deque([self._base], maxlen=_KEPT_VERSIONS)
            self._layers = [_Layer(self._base, 0.0)]
            self._since_update_s = float("inf")
        self._ramp = 0.0
        super().reset(moving=moving)

    def start_from_rest(self) -> None:
        """Start the next command from zero: the arm has stopped by itself after a long time without a command.

        Call it from the thread that ticks.
        """
        self._ramp = 0.0
        super().start_from_rest()

    def tick(self, state: ArmState | None, hold: Reason = Reason.NONE) -> Tick:
        """Compute one command.

        Args:
            state: The present state of arm and target; None if either is unknown.
            hold: The caller's reason not to move (paused, no episode, …): the arm is ramped to zero.

        Returns:
            The command and what shaped it. Whatever the input, the command is finite and within the limits on speed,
                acceleration and jerk.
        """
        with self._lock:
            self.ticks += 1
            if self._pending is not None:
                self._layers.append(self._pending)
                self._pending = None

        if state is None:
            position, reason = None, self._reason_to_hold(None, 0.0, hold)
        else:
            position = state.position_m
            reason = self._reason_to_hold(position, state.age_s, hold, state.target_m)
            if reason is Reason.NONE:
                self._follow(state)
        tick = self._limited(reason, position if reason is Reason.NONE else None)
        if tick.reason is not Reason.NONE and self.at_rest:
            self._ramp = 0.0
        return tick

    @property
    def _newest(self) -> _Layer:
        return self._pending or self._layers[-1]

    def _follow(self, state: ArmState) -> None:
        """Set `_asked` to the blended velocity of the active models, under the start ramp."""
        dt_s, ramp_s = self.pipeline.dt_s, self.limits.start_ramp_s
        self._return_to_base_without_adapter(dt_s)
        np.subtract(state.position_m, state.target_m, out=self._x)
        layers = self._layers
        layers[0].version.field.into(self._x, self._asked)
        done = 0
        for index, layer in enumerate(layers[1:], start=1):
            layer.weight = min(1.0, layer.weight + dt_s * layer.rate_per_s)
            layer.version.field.into(self._x, self._layer_velocity)
            self._layer_velocity -= self._asked
            self._layer_velocity *= layer.weight
            self._asked += self._layer_velocity
            if layer.weight == 1.0:
                done = index
        del layers[:done]  # layers below one of weight 1 no longer contribute
        self._ramp = min(1.0, self._ramp + dt_s / ramp_s) if ramp_s > 0 else 1.0
        self._asked *= self._ramp

    def _return_to_base_without_adapter(self, dt_s: float) -> None:
        self._since_update_s += dt_s
        if not self.adapter_alive and self.version != self._base.number:
            self._layers.append(_Layer(self._base, self.blend.adapter_return_s))
            self._history.append(self._base)
