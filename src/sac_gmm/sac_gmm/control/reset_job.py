"""One reset of the arm, as a sequence: wait until it may move, go back, go to the start, stand there, ask a person.

job = ResetJob(plan, settings, WaySettings(), ask="close the door, then press button 2")
twist = job.tick(seen)      (at a steady rate, until job.over; None: nothing is to be sent)
job.failure or job.message
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from sac_gmm.control.at_rest import AtRest
from sac_gmm.control.codes import Reason
from sac_gmm.control.reset_way import Leg, TipPose
from sac_gmm.control.way_follower import LegFollower, WaySettings
from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, number

Array = npt.NDArray[np.float64]
Plan = Callable[[TipPose, bool], Sequence[Leg]]  # from where the tip is; the flag: whether to go back first
# Reasons that are over once somebody asks for a motion between episodes.
_FREE = (Reason.NONE, Reason.NO_EPISODE, Reason.NO_TARGET, Reason.NO_COMMAND, Reason.STALE_COMMAND)
_TAKE_OVER_S = 2.0  # until the node that moves the arm has taken notice, and for a command of ours that came late
_ZEROS = 10  # sent at the end of each motion: the last one must be heard
_LITTLE_M = 0.002  # coming nearer by less than this is no progress, if it is little of what is left, too
_REST_M = 0.001  # the tip stands while it moves by less
_AGAIN = 5  # times that the start is gone to from where the arm came to rest


@dataclass(frozen=True)
class ResetSettings:
    """How long a reset waits, and what ends it."""

    reset_timeout_s: float = number(120.0, 1.0, 3600.0, "s", "a way that takes longer, waiting included, is given up")
    progress_timeout_s: float = number(5.0, 0.2, 600.0, "s", "without coming nearer for so long the way is blocked")
    hold_timeout_s: float = number(30.0, 0.1, 3600.0, "s", "how long a reset waits for an arm that may not be moved")
    silence_timeout_s: float = number(0.5, 0.02, 60.0, "s", "states and statuses older than this count as none")
    max_force_n: float = number(40.0, 0.0, 1000.0, "N", "a larger force at the tip blocks the way; 0: none does")
    settle_s: float = number(0.3, 0.0, 10.0, "s", "the arm must stand at its start for so long")
    ask_timeout_s: float = number(120.0, 1.0, 3600.0, "s", "how long a person's confirmation is waited for")

    def __post_init__(self) -> None:
        check_settings(self)


class Seen(NamedTuple):
    """What is known at a tick.

    Attributes:
        now_s: By a clock that only goes forward.
        pose: The tip; None if nothing is known.
        pose_age_s: Age of the pose.
        reason: Why the node that moves the arm holds it; None if it is silent.
        remedy: What to do about that, in its own words.
        force_n: Force at the tip; None if it is not measured.
        confirmed: Whether a person has confirmed since the last tick.
        abandoned: Why the reset is no longer wanted; empty if it is.
    """

    now_s: float
    pose: TipPose | None = None
    pose_age_s: float = float("inf")
    reason: Reason | None = None
    remedy: str = ""
    force_n: float | None = None
    confirmed: bool = False
    abandoned: str = ""


class ResetJob:
    """Ticked at a steady rate until it is over.

    Attributes:
        says: What it does or waits for now, in words.
        over: Whether nothing is left to be sent.
        failure: Why it has failed, and what to do; empty while or if it has not.
        message: How it went, once it is over.

    Args:
        plan: Makes and checks the way from where the tip is; it may raise a UserError.
        settings: How long it waits.
        way: How fast it goes, and how near it must come.
        dt_s: Time between two ticks.
        ask: What a person must do once the arm stands; empty if the task goes back by itself.
    """

    def __init__(
        self, plan: Plan, settings: ResetSettings, way: WaySettings, dt_s: float = 0.02, ask: str = ""
    ) -> None:
        self._plan, self._settings, self._way, self._dt_s, self._ask = plan, settings, way, dt_s, ask
        self.says = "begins"
        self.over = False
        self.failure = self.message = ""
        self._retreated = False
        self._begun_s = 0.0
        self._force_n = 0.0  # at the beginning: it may have to leave a contact
        self._contested_s: float | None = None  # since when another asks for motions, too
        self._sends = False  # whether anything was sent since the last rest
        self._zeros = 0  # left to be sent
        self._steps = self._sequence()
        next(self._steps)

    def tick(self, seen: Seen) -> Array | None:
        """Take in what is known, and return the twist to ask for, (6,); None to send nothing."""
        twist = None
        if not self.failure and not self.message:
            try:
                twist = self._steps.send(seen)
            except StopIteration:
                pass
            except UserError as error:
                self.failure = str(error)
        if twist is not None:
            self._sends, self._zeros = True, 0
            return twist
        if self._sends:
            self._sends, self._zeros = False, _ZEROS
        if self._zeros:
            self._zeros -= 1
            return np.zeros(6)
        self.over = bool(self.failure or self.message)
        return None

    def _sequence(self) -> Generator[Array | None, Seen, None]:
        """Yields the twist to ask for, None to rest; receives what is known.

        Raises:
            UserError: It has failed.
        """
        seen = yield None
        self._begun_s, self._force_n = seen.now_s, seen.force_n or 0.0
        arrived = ""
        for _ in range(_AGAIN):
            seen, goal = yield from self._go(seen)
            seen, arrived = yield from self._stand(seen, goal)
            if arrived:
                break
        else:
            raise UserError("the arm does not stay at its start: see that its driver follows; look for contact")
        way_s = seen.now_s - self._begun_s
        if self._ask:
            yield from self._wait_for_person(seen)
        self.says = ""
        self.message = f"{arrived}, after {way_s:.1f} s" + (f"; confirmed: {self._ask}" if self._ask else "")

    def _go(self, seen: Seen) -> Generator[Array | None, Seen, tuple[Seen, TipPose]]:
        """Go to the start, on a new way whenever the arm was held meanwhile: it may have been led elsewhere.

        Returns:
            What is known, and where the start is.
        """
        while True:
            seen, pose = yield from self._until_free(seen)
            legs = list(self._plan(pose, not self._retreated))
            for number_, leg in enumerate(legs):
                seen, done = yield from self._follow(leg, seen, leaving=number_ == 0 and len(legs) > 1)
                if not done:
                    break
                self._retreated = True
            else:
                return seen, legs[-1].end

    def _until_free(self, seen: Seen) -> Generator[Array | None, Seen, tuple[Seen, TipPose]]:
        """Rest until the arm may be moved."""
        since_s = seen.now_s
        while (why := self._why_held(seen)) or seen.pose is None:
            self._check(seen)
            self.says = f"waiting: {why}"
            if seen.now_s - since_s > self._settings.hold_timeout_s:
                raise UserError(f"the arm could not be moved for {self._settings.hold_timeout_s:g} s: {why}")
            seen = yield None
        return seen, seen.pose

    def _follow(self, leg: Leg, seen: Seen, leaving: bool) -> Generator[Array | None, Seen, tuple[Seen, bool]]:
        """Follow a leg; return whether its end was reached, or else the arm was held.

        Args:
            leg: The leg.
            seen: What is known.
            leaving: Whether it leads out of a contact, in which the arm may be already.
        """
        self.says = f"going {leg.name}"
        follower, begun_s = LegFollower(leg, self._way, self._dt_s), seen.now_s
        nearest_m, nearer_s, free_s = follower.left_m, seen.now_s, seen.now_s
        while seen.pose is not None and not follower.reached(seen.pose):
            self._check(seen)
            self._check_contest(seen)
            if self._is_silent(seen) or seen.reason not in _FREE:
                return seen, False
            if seen.reason is Reason.NONE:
                free_s = seen.now_s
            elif seen.now_s - max(free_s, begun_s) > _TAKE_OVER_S:
                raise UserError(f"what asks for the reset's motion is not followed: {self._why(seen)}")
            self._check_force(seen, leaving)
            twist = follower.step(seen.pose)
            if seen.reason is not Reason.NONE:
                nearer_s = seen.now_s
            if follower.left_m <= nearest_m - min(_LITTLE_M, 0.3 * nearest_m):
                nearest_m, nearer_s = follower.left_m, seen.now_s
            elif seen.now_s - nearer_s > self._settings.progress_timeout_s:
                raise UserError(
                    f"blocked: the arm came no nearer for {self._settings.progress_timeout_s:g} s, {nearest_m:.3f} m "
                    f"before the end of the way {leg.name}: look for what is in its way, or for a limit "
                    f"({seen.remedy or 'none is in force'}), and free the arm by hand"
                )
            seen = yield twist
        return seen, seen.pose is not None

    def _stand(self, seen: Seen, goal: TipPose) -> Generator[Array | None, Seen, tuple[Seen, str]]:
        """Stay until the arm has stood for long enough; return where it stands, in words, if that is at its start."""
        self.says = "coming to rest"
        rest = AtRest(_REST_M, self._settings.settle_s)
        while not self._is_silent(seen) and not rest.holds_at(seen.now_s):
            self._check(seen)
            if seen.pose is not None:
                rest.take(seen.pose.position_m, seen.now_s)
            seen = yield np.zeros(6)
        if self._is_silent(seen) or seen.pose is None:
            return seen, ""
        distance_m, angle_rad = seen.pose.apart(goal)
        if distance_m > 2 * self._way.tolerance_m or angle_rad > 2 * self._way.tolerance_rad:
            return seen, ""
        words = f"{1e3 * distance_m:.1f} mm and {np.degrees(angle_rad):.1f} degrees from its start"
        return seen, f"the arm stands {words}"

    def _wait_for_person(self, seen: Seen) -> Generator[Array | None, Seen, None]:
        self.says, begun_s = self._ask, seen.now_s
        seen = yield None  # what was confirmed before it was asked does not count
        while not seen.confirmed:
            if seen.abandoned:
                raise UserError(seen.abandoned)
            if seen.now_s - begun_s > self._settings.ask_timeout_s:
                raise UserError(
                    f"nobody has confirmed within {self._settings.ask_timeout_s:g} s (reset_done): {self._ask}"
                )
            seen = yield None

    def _check(self, seen: Seen) -> None:
        """Check that the reset is still wanted, and in time.

        Raises:
            UserError: It is not.
        """
        if seen.abandoned:
            raise UserError(seen.abandoned)
        if seen.now_s - self._begun_s > self._settings.reset_timeout_s:
            raise UserError(
                f"the start was not reached within {self._settings.reset_timeout_s:g} s ({self.says}): raise "
                "reset_timeout_s, or speed_scale of the node that moves the arm"
            )

    def _check_contest(self, seen: Seen) -> None:
        """Check that nobody else asks for motions for more than a moment, as what has just ended may.

        Raises:
            UserError: Somebody does.
        """
        if seen.reason is Reason.NONE:
            self._contested_s = None
        elif seen.reason is Reason.SECOND_SENDER:
            self._contested_s = self._contested_s or seen.now_s
            if seen.now_s - self._contested_s > _TAKE_OVER_S:
                raise UserError(f"stopped: {self._why(seen)}")

    def _check_force(self, seen: Seen, leaving: bool) -> None:
        allowed_n = self._settings.max_force_n
        if not allowed_n or seen.force_n is None:
            return
        allowed_n += self._force_n if leaving else 0.0
        if seen.force_n > allowed_n:
            raise UserError(
                f"blocked: {seen.force_n:.0f} N at the tip, more than {allowed_n:.0f} N (max_force_n): free the arm by "
                "hand and clear its way; raise max_force_n if this is the weight of the tool"
            )

    def _is_silent(self, seen: Seen) -> bool:
        return seen.pose is None or seen.pose_age_s > self._settings.silence_timeout_s or seen.reason is None

    def _why_held(self, seen: Seen) -> str:
        """Why the arm cannot be moved now, and what to do; empty if it can."""
        if seen.pose is None or seen.pose_age_s > self._settings.silence_timeout_s:
            return "the arm's state is silent: nothing new comes on state/pose; see that the arm's driver runs"
        return "" if seen.reason in _FREE else self._why(seen)

    def _why(self, seen: Seen) -> str:
        if seen.reason is None:
            return "nothing comes on controller_status: see that gmm_controller or guard runs"
        return f"{seen.reason.name}: {seen.remedy or 'nothing is said of it'}"
