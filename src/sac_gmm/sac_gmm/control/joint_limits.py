"""The last stages of the safety pipeline: joint limits, and postures near a singularity.

Both act as walls in the path of the fingertip. A step of the tip along a direction u moves the joints by J⁺u per metre,
so the distance of a joint from its limit, or of the singularity measure from its threshold, corresponds to a length of
the tip's path. The speed allowed at that length is the one from which the tip can still brake. Only motion towards a
wall is slowed, by scaling, which keeps the direction; motion away from it is free.
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
_LENGTH_M = 0.3  # weighs rotation against translation in the singularity measure: about the length of a forearm
_WEIGHTS = np.array([1.0] * 3 + [_LENGTH_M] * 3)
_WALLS = (Limit.NONE, Limit.JOINT, Limit.SINGULARITY)  # indexed by the numbers that the kernels return


@dataclass(frozen=True)
class JointSettings:
    """How far the joints stay from their limits, and the arm from a singular posture."""

    joint_margin_rad: float = number(0.05, 0.0, 0.5, "rad", "margin kept from the joint limits of the description")
    joint_band_rad: float = number(0.15, 0.0, 1.0, "rad", "distance before that margin over which the arm slows down")
    joint_speed_share: float = number(0.5, 0.01, 1.0, "", "usable share of the description's joint speed limits")
    singularity_slow: float = number(
        0.06, 0.001, 1.0, "m/rad", "smallest singular value of the Jacobian below which the arm slows down"
    )
    singularity_stop: float = number(0.03, 0.0005, 1.0, "m/rad", "the value at which it stops")
    pseudo_inverse_damping: float = number(
        0.02, 0.0, 0.5, "m/rad", "damping of the inverse from the tip's velocity to that of the joints"
    )

    response_s: float = number(
        0.06, 0.0, 0.5, "s", "delay of the arm's response to a command; braking begins that much earlier"
    )

    def __post_init__(self) -> None:
        check_settings(self)
        if self.singularity_stop >= self.singularity_slow:
            raise UserError(
                f"singularity_stop = {self.singularity_stop:g} must be less than singularity_slow = "
                f"{self.singularity_slow:g}"
            )


class JointGuard:
    """Limits the speed of the tip in a direction, depending on the posture of the arm.

    The singularity measure is the smallest singular value s of the Jacobian, its angular rows times 0.3 m. With its
    singular vectors u and v, ds/dq_k = u' (dJ/dq_k) v; the derivative of a geometric Jacobian is that of Bruyninckx
    and De Schutter, "Symbolic differentiation of the velocity mapping for a serial kinematic chain" (1996). The joint
    speeds come from the damped pseudo-inverse J' (J J' + d^2 I)^-1 (Wampler 1986), for a tip that should not rotate.

    Attributes:
        singular_value: The singularity measure after `update`, m/rad.
        joints_rad: The joint positions of the last `update`, shape (n,).
        known: Whether `update` has been called.

    Args:
        kinematics: The arm's kinematics, in the base frame of the velocities.
        settings: The limits.
        max_acceleration_m_s2: Acceleration available for braking.
        max_speed_m_s: The speed allowed far from all walls.
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
                f"joint_margin_rad = {settings.joint_margin_rad:g} leaves a joint no room: lower it, or fix the "
                "limits in the robot description"
            )
        self.max_joint_speed_rad_s = settings.joint_speed_share * kinematics.max_speed_rad_s
        n = len(kinematics.joint_names)
        self.joints_rad = np.zeros(n)
        self.singular_value = 0.0
        self.known = False
        self._inverse = np.zeros((n, 3))  # joint speeds per tip speed, without rotation of the tip
        self._gradient = np.zeros(n)
        self._nowhere = np.zeros(3)
        self._ahead = np.zeros(3)
        self._commanded = np.zeros(3)

    def update(self, joints_rad: Array) -> None:
        """Set the posture: finite joint positions, shape (n,)."""
        self.kinematics.update(joints_rad)
        self.joints_rad[:] = joints_rad
        self.known = True
        damping = self.settings.pseudo_inverse_damping
        self.singular_value = self._posture(self.kinematics.jacobian, _LENGTH_M, damping, self._inverse, self._gradient)

    def joint_velocity(self, velocity: Array) -> Array:
        """Joint speeds, shape (n,), rad/s, for a velocity of the tip, shape (3,), m/s, or its twist, shape (6,)."""
        if len(velocity) == 3 or not velocity[3:].any():
            return self._inverse @ velocity[:3]
        J, damping = self.kinematics.jacobian * _WEIGHTS[:, None], max(self.settings.pseudo_inverse_damping, 1e-6)
        return J.T @ np.linalg.solve(J @ J.T + damping**2 * np.eye(6), _WEIGHTS * velocity)

    def twist_of(self, joints_rad_s: Array) -> Array:
        """Twist of the tip, shape (6,), for finite joint velocities, shape (n,), scaled to the joints' own limits."""
        with np.errstate(over="ignore"):
            fastest = float(np.max(np.abs(joints_rad_s) / self.max_joint_speed_rad_s))
        return self.kinematics.jacobian @ (joints_rad_s / max(fastest, 1.0))

    def twist_share(self, twist: Array, final: bool) -> tuple[float, Limit]:
        """The allowed share of a twist, shape (6,), and the limit that takes the rest.

        A turn counts as a way of 0.3 m per radian, so that the twist is a motion along one line, as for `share`.

        Args:
            twist: m/s and rad/s, base axes.
            final: Whether this is the last check of a command, which nothing smooths any more; see `allowed_speed`.
        """
        with np.errstate(over="ignore", invalid="ignore"):
            speed = float(np.linalg.norm(_WEIGHTS * twist))
        if speed < 1e-9:
            return 1.0, Limit.NONE
        if not math.isfinite(speed):
            return 0.0, Limit.JOINT
        rates = self.joint_velocity(twist / speed)  # of the joints, per metre of way
        settings, along = self.settings, np.array([speed, 0.0, 0.0])
        line = np.zeros((len(rates), 3))
        line[:, 0] = rates
        ahead = np.array([0.0 if final else speed * settings.response_s, 0.0, 0.0])
        allowed, wall = self._allowed_speed(
            *(along, ahead, self.joints_rad, self.lower_rad, self.upper_rad, line, self._gradient, self.singular_value),
            *(0.0 if final else settings.joint_band_rad, settings.singularity_stop),
            settings.singularity_stop if final else settings.singularity_slow,
            *(self._a if final else 0.5 * self._a, self._top, self._dt_s),
        )
        limit, fastest = _WALLS[wall], float(np.max(np.abs(rates) / self.max_joint_speed_rad_s))
        if fastest * allowed > 1.0:
            allowed, limit = 1.0 / fastest, Limit.JOINT
        return (1.0, Limit.NONE) if speed <= allowed else (allowed / speed, limit)

    def share(self, velocity_m_s: Array, committed_m: Array | None = None) -> tuple[float, Limit]:
        """The allowed share of a velocity, 0 to 1, and the limit that takes the rest; arguments as below.

        Without `committed_m`, the remaining velocity is taken to be commanded.
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
        """The allowed speed of the tip in the direction of a velocity.

        Args:
            velocity_m_s: The velocity, shape (3,), base axes.
            committed_m: Displacement, shape (3,), that the tip will still cover before it can respond. If given, the
                approach is smooth: half of the acceleration, and slow within the bands. If not, this is the final
                check of a command: the whole acceleration, up to the limits themselves.

        Returns:
            The speed, m/s, infinite if nothing limits it, and the limit.
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
    """Joint positions for a driver that does not take twists: integrates the joint speeds for the tip's velocity.

    It continues from its own last command, because integrating from the measured state at every tick lags and drifts.
    It never gets further ahead of the arm than `lead_rad`, so that an arm that was held back does not break away later.

    Args:
        guard: Provides the joint speeds and the limits.
        dt_s: The control period.
        lead_rad: Largest distance of a commanded joint position from the measured one.
    """

    def __init__(self, guard: JointGuard, dt_s: float, lead_rad: float = 0.05) -> None:
        self._guard, self._dt_s, self._lead_rad = guard, dt_s, lead_rad
        self._command: Array | None = None

    def forget(self) -> None:
        """Start from the measured position at the next step: the arm may have been moved by others."""
        self._command = None

    def step(self, velocity: Array) -> Array:
        """Compute the next joint positions, shape (n,), rad; first update the guard with the measured ones.

        Args:
            velocity: Velocity of the tip, shape (3,), m/s, or its twist, shape (6,), m/s and rad/s; if it is not
                finite, the position is held.
        """
        guard = self._guard
        measured = guard.joints_rad
        last = measured if self._command is None else self._command
        speed = guard.joint_velocity(velocity)
        if not np.isfinite(speed).all():
            speed = np.zeros_like(measured)
        fastest = float(np.max(np.abs(speed) / guard.max_joint_speed_rad_s))
        if fastest > 1.0:
            speed = speed / fastest
        wanted = last + speed * self._dt_s
        # A joint outside its limits may come back, but not go further.
        wanted = np.clip(wanted, np.minimum(guard.lower_rad, last), np.maximum(guard.upper_rad, last))
        self._command = np.clip(wanted, measured - self._lead_rad, measured + self._lead_rad)
        return self._command
