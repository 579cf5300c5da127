"""The last stages of the safety pipeline: joints near their limits, and postures near a singular one.

Both are walls on the way of the fingertip. A step of the tip along a direction u turns the joints by J⁺u per metre, so
a joint's room to its limit, or the measure of singularity's room to its threshold, is a length of the tip's path. The
speed allowed at that length is the one from which the tip can still be braked. Only what leads towards a wall is
slowed, by scaling, so that the direction is kept; the way back is free.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from sac_gmm.control.codes import Limit
from sac_gmm.control.kinematics import ArmKinematics
from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_settings, number

Array = NDArray[np.float64]
_LENGTH_M = 0.3  # weighs a turn against a way in the measure of singularity: about the length of a forearm
_WALLS = (Limit.NONE, Limit.JOINT, Limit.SINGULARITY)  # as the kernels number them


@dataclass(frozen=True)
class JointSettings:
    """How far from their limits the joints stay, and how far from a singular posture the arm stays."""

    joint_margin_rad: float = number(0.05, 0.0, 0.5, "rad", "distance from the description's joint limits that is kept")
    joint_band_rad: float = number(0.15, 0.0, 1.0, "rad", "before that margin, way over which the arm slows down")
    joint_speed_share: float = number(0.5, 0.01, 1.0, "", "share of the description's joint speed limits that is used")
    singularity_slow: float = number(
        0.06, 0.001, 1.0, "m/rad", "smallest singular value of the Jacobian below which the arm slows down"
    )
    singularity_stop: float = number(0.03, 0.0005, 1.0, "m/rad", "the value at which it goes no further")
    pseudo_inverse_damping: float = number(
        0.02, 0.0, 0.5, "m/rad", "damping of the inverse from the tip's velocity to that of the joints"
    )

    response_s: float = number(
        0.06, 0.0, 0.5, "s", "by which the arm answers a command late; it begins to brake that much earlier"
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.singularity_stop >= self.singularity_slow:
            raise UserError(
                f"singularity_stop = {self.singularity_stop:g} must be less than singularity_slow = "
                f"{self.singularity_slow:g}"
            )


class JointGuard:
    """Says how fast the tip may go in a direction, by the posture of the arm.

    The measure of singularity is the smallest singular value s of the Jacobian, its angular rows times 0.3 m. With its
    singular vectors u and v, ds/dq_k = u' (dJ/dq_k) v; the derivative of a geometric Jacobian is that of Bruyninckx and
    De Schutter, "Symbolic differentiation of the velocity mapping for a serial kinematic chain" (1996). The joints'
    speeds come from the damped pseudo-inverse J' (J J' + d^2 I)^-1 (Wampler 1986) with no turn of the tip asked for.

    Attributes:
        singular_value: The measure after `update`, m/rad.
        joints_rad: The joint positions of the last `update`, shape (n,).
        known: Whether there was one.

    Args:
        kinematics: Of the arm, base frame as that of the velocities.
        settings: The limits.
        max_acceleration_m_s2: What braking may use.
        max_speed_m_s: The speed allowed far from every wall.
        dt_s: The control period.
    """

    def __init__(
        self,
        kinematics: ArmKinematics,
        settings: JointSettings,
        max_acceleration_m_s2: float,
        max_speed_m_s: float,
        dt_s: float,
    ) -> None:
        from sac_gmm.control.joint_kernels import allowed_speed, posture

        self._posture, self._allowed_speed = posture, allowed_speed
        self.kinematics = kinematics
        self.settings = settings
        self._a, self._top, self._dt_s = max_acceleration_m_s2, max_speed_m_s, dt_s
        self.lower_rad = kinematics.lower_rad + settings.joint_margin_rad
        self.upper_rad = kinematics.upper_rad - settings.joint_margin_rad
        if not (self.lower_rad < self.upper_rad).all():
            raise UserError(
                f"joint_margin_rad = {settings.joint_margin_rad:g} leaves a joint no room: lower it, or mend the "
                "limits in the robot description"
            )
        self.max_joint_speed_rad_s = settings.joint_speed_share * kinematics.max_speed_rad_s
        n = len(kinematics.joint_names)
        self.joints_rad = np.zeros(n)
        self.singular_value = 0.0
        self.known = False
        self._inverse = np.zeros((n, 3))  # joint speeds per speed of the tip, without a turn of it
        self._gradient = np.zeros(n)
        self._nowhere = np.zeros(3)
        self._ahead = np.zeros(3)
        self._commanded = np.zeros(3)

    def update(self, joints_rad: Array) -> None:
        """Take in the posture: finite joint positions, shape (n,)."""
        self.kinematics.update(joints_rad)
        self.joints_rad[:] = joints_rad
        self.known = True
        damping = self.settings.pseudo_inverse_damping
        self.singular_value = self._posture(self.kinematics.jacobian, _LENGTH_M, damping, self._inverse, self._gradient)

    def joint_velocity(self, velocity_m_s: Array) -> Array:
        """Joint speeds, shape (n,), rad/s, for a velocity of the tip, shape (3,), m/s."""
        return self._inverse @ velocity_m_s

    def share(self, velocity_m_s: Array, committed_m: Array | None = None) -> tuple[float, Limit]:
        """How much of a velocity is allowed, 0 to 1, and the limit that takes the rest; arguments as below.

        The velocity that is left of the one asked about without a committed way counts as commanded.
        """
        if committed_m is not None:
            np.multiply(self._commanded, self.settings.response_s, out=self._ahead)
            self._ahead += committed_m
            allowed, limit = self.allowed_speed(velocity_m_s, self._ahead)
        else:
            allowed, limit = self.allowed_speed(velocity_m_s)
        speed = math.sqrt(velocity_m_s @ velocity_m_s)
        share, limit = (1.0, Limit.NONE) if speed <= allowed else (allowed / speed, limit)
        if committed_m is None:
            np.multiply(velocity_m_s, share, out=self._commanded)
        return share, limit

    def allowed_speed(self, velocity_m_s: Array, committed_m: Array | None = None) -> tuple[float, Limit]:
        """How fast the tip may go in the direction of a velocity.

        Args:
            velocity_m_s: The velocity, shape (3,), base axes.
            committed_m: A way, shape (3,), that the tip will still go before it can answer. With it, the approach is a
                smooth one: half of the acceleration, and slow within the bands. Without it, as the last word on a
                command, the whole acceleration, up to the limits themselves.

        Returns:
            The speed, m/s, infinite where nothing limits it, and which limit it is.
        """
        settings = self.settings
        smooth = committed_m is not None
        allowed, wall = self._allowed_speed(
            velocity_m_s,
            committed_m if smooth else self._nowhere,
            *(self.joints_rad, self.lower_rad, self.upper_rad, self._inverse, self._gradient, self.singular_value),
            *(settings.joint_band_rad if smooth else 0.0, settings.singularity_stop),
            settings.singularity_slow if smooth else settings.singularity_stop,
            *(0.5 * self._a if smooth else self._a, self._top, self._dt_s),
        )
        fastest = float(np.max(np.abs(self.joint_velocity(velocity_m_s)) / self.max_joint_speed_rad_s))
        if fastest > 1.0:
            speed = math.sqrt(velocity_m_s @ velocity_m_s)
            if speed / fastest < allowed:
                return speed / fastest, Limit.JOINT
        return allowed, _WALLS[wall]


class JointIntegrator:
    """Joint positions for a driver that takes no twist: integrates the joint speeds of the tip's velocity.

    It goes on from its own last command, because integrating from the measured state at every tick lags and drifts. It
    never gets further ahead of the arm than `lead_rad`, so that an arm held back is not torn loose later.

    Args:
        guard: Gives the joint speeds and the limits.
        dt_s: The control period.
        lead_rad: How far a commanded joint may be from the measured one.
    """

    def __init__(self, guard: JointGuard, dt_s: float, lead_rad: float = 0.05) -> None:
        self._guard, self._dt_s, self._lead_rad = guard, dt_s, lead_rad
        self._command: Array | None = None

    def forget(self) -> None:
        """Begin from the measured position at the next step: the arm may have been moved by others."""
        self._command = None

    def step(self, velocity_m_s: Array) -> Array:
        """The next joint positions, shape (n,), rad; the guard must have been updated with the measured ones.

        Args:
            velocity_m_s: The velocity of the tip, shape (3,), m/s; one that is not finite holds the position.
        """
        guard = self._guard
        measured = guard.joints_rad
        last = measured if self._command is None else self._command
        speed = guard.joint_velocity(velocity_m_s)
        if not np.isfinite(speed).all():
            speed = np.zeros_like(measured)
        fastest = float(np.max(np.abs(speed) / guard.max_joint_speed_rad_s))
        if fastest > 1.0:
            speed = speed / fastest
        wanted = last + speed * self._dt_s
        # A joint outside its limits may come back but go no further.
        wanted = np.clip(wanted, np.minimum(guard.lower_rad, last), np.maximum(guard.upper_rad, last))
        self._command = np.clip(wanted, measured - self._lead_rad, measured + self._lead_rad)
        return self._command
