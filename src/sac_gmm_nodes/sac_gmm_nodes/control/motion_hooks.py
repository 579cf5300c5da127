"""What a node that moves the arm adds of its own to `MotionNode`: what it follows, and when."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

from sac_gmm_interfaces.msg import ControllerStatus

from sac_gmm.control import Reason, SafeMotion, Tick
from sac_gmm.control.twist_guard import ArmJoints
from sac_gmm_nodes.control.episode import Episode
from sac_gmm_nodes.control.robot_link import ArmReading

Motion = TypeVar("Motion", bound=SafeMotion)


class MotionHooks(Generic[Motion]):
    """Called by `MotionNode`, most of it on every tick. Only `make_motion` and `move` must be there."""

    def make_motion(self, joints: ArmJoints | None) -> Motion:
        """What the loop ticks.

        Args:
            joints: What the joints allow; None for a copy that moves nothing, or where they are unknown.
        """
        raise NotImplementedError

    def move(self, motion: Motion, reading: ArmReading | None, age_s: float, hold: Reason) -> Tick:
        """Tick once.

        Args:
            motion: The real one, or the copy that rehearses.
            reading: The present state of the arm; None if unknown.
            age_s: Its age; 0 in lock-step.
            hold: Why the arm must not move.
        """
        raise NotImplementedError

    def may_rehearse(self) -> bool:
        """Whether all is known that a rehearsal of `move` needs, apart from the state of the arm."""
        return True

    def shared_reason(self) -> Reason:
        """Why the arm must not move, whoever asks for it."""
        return Reason.NONE

    def wanted_by(self) -> str:
        """Who else than a reset asks for a motion between episodes, in words; empty if nobody does."""
        return ""

    def own_reason(self, now_s: float, running: bool) -> Reason:
        """Why the arm must not move, last of all, and unless it is moved by a reset.

        Args:
            now_s: By time.monotonic.
            running: Whether an episode is running.
        """
        return Reason.NONE

    def answerable(self, reading: ArmReading, episode: Episode) -> bool:
        """In lock-step: whether all that the tick for a new state needs belongs to the same episode and is there."""
        return True

    def await_decision(self, reading: ArmReading | None) -> None:
        """In lock-step: hold the tick for a state as long as others are to be waited for."""

    def decision_due(self, tick: Tick) -> bool:
        """Whether the status of a tick asks for a decision."""
        return False

    def fill_status(self, status: ControllerStatus) -> None:
        """Fill in what only this node knows."""

    def after_tick(self, tick: Tick) -> None:
        """Do what follows from a tick."""

    def sentence(self, reason: Reason) -> str:
        """The same, where it is known at once; asked on every tick."""
        return ""

    def diagnostics(self) -> dict[str, Any]:
        """Values of this node's own for the diagnostics."""
        return {}
