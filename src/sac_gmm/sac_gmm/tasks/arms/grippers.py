"""A parallel gripper that closes by reflex: an action is a twist of the arm and cannot command the gripper."""

from __future__ import annotations

from enum import Enum, auto
from typing import Any

import numpy as np
import pybullet as pb

from sac_gmm.tasks import urdf
from sac_gmm.tasks.arms.description import GRIPPER_LENGTH_M, Tool, tool_centre_point
from sac_gmm.tasks.arms.iiwa import Iiwa

JAW_LENGTH_M = 0.06
JAW_WIDTH_M = 0.040  # along x
JAW_THICKNESS_M = 0.008  # along y, the direction in which the jaws move
NOTCH_WIDTH_M = 0.028  # the notch in each jaw holds an object by its shape along x, by friction along z
NOTCH_DEPTH_M = 0.004
TIP_BELOW_TCP_M = 0.008  # the tcp is between the fingertips, a little above their ends
JAW_MASS_KG = 0.06
JAW_FRICTION = 0.4  # polished steel; multiplied by the friction of the object held
GRIP_FORCE_N = 25.0  # per jaw
JAW_SPEED_M_S = 0.08
BARRIER_RATE_HZ = 60.0
CLOSING_DELAY_S = 0.15  # the light barrier must be interrupted for this long
NOTHING_HELD_M = 0.002  # jaws this close together hold nothing
_STEEL = urdf.Colour("jaw", "0.62 0.64 0.68 1")


def parallel_jaws(opening_m: float) -> Tool:
    """Two notched jaws on prismatic joints, open at joint position zero; `tcp` is the point between their tips.

    Args:
        opening_m: Distance between the open jaws.
    """
    stroke = 0.5 * opening_m
    lip_width = 0.5 * (JAW_WIDTH_M - NOTCH_WIDTH_M)
    parts = []
    for name, side in (("left", 1), ("right", -1)):
        back = (0.0, side * (NOTCH_DEPTH_M + 0.5 * JAW_THICKNESS_M), 0.5 * JAW_LENGTH_M)
        shapes = [urdf.solid(urdf.box((JAW_WIDTH_M, JAW_THICKNESS_M, JAW_LENGTH_M)), _STEEL, back)]
        for end in (1, -1):
            lip = (0.5 * end * (NOTCH_WIDTH_M + lip_width), 0.5 * side * NOTCH_DEPTH_M, 0.5 * JAW_LENGTH_M)
            shapes.append(urdf.solid(urdf.box((lip_width, NOTCH_DEPTH_M, JAW_LENGTH_M)), _STEEL, lip))
        joint = urdf.moving_joint(
            f"{name}_jaw_joint",
            "prismatic",
            "gripper",
            f"{name}_jaw",
            axis=(0, -side, 0),
            limit=urdf.Limit(0, stroke, GRIP_FORCE_N, JAW_SPEED_M_S),
            xyz=(0, side * stroke, GRIPPER_LENGTH_M),
        )
        parts += [joint, urdf.link(f"{name}_jaw", urdf.inertial(JAW_MASS_KG, (2e-5, 2.5e-5, 6e-6), back), *shapes)]
    parts.append(tool_centre_point("gripper", (0, 0, GRIPPER_LENGTH_M + JAW_LENGTH_M - TIP_BELOW_TCP_M)))
    return Tool("".join(parts), {"left_jaw": JAW_FRICTION, "right_jaw": JAW_FRICTION})


def motor_force_n(client: int, force_n: float) -> float:
    """Force to request from PyBullet for a joint motor to push (or a brake to hold) with `force_n`.

    The engine computes an impulse from the whole time step, then applies that impulse in every substep.
    """
    return force_n / max(1, pb.getPhysicsEngineParameters(client)["numSubSteps"])


class Grip(Enum):
    """State of the gripper."""

    WAITING = auto()  # open, until something is between the fingertips
    CLOSED = auto()  # closed or closing
    OPENING = auto()  # it closed on nothing


class ReflexGripper:
    """The gripper's own control logic.

    A light barrier runs from fingertip to fingertip. When it has been interrupted for `CLOSING_DELAY_S`, the jaws close
    with limited force and keep their grip. If they meet with nothing in between, they open and wait again. The only
    input from the world is what is between the fingers.
    """

    def __init__(self, client: int, arm: Iiwa, opening_m: float) -> None:
        self._client, self._arm = client, arm
        self._motor_force_n = motor_force_n(client, GRIP_FORCE_N)
        self._stroke_m = 0.5 * opening_m
        self._jaws = [arm.links["left_jaw"], arm.links["right_jaw"]]
        self.reset()

    def reset(self) -> None:
        """Open immediately, for a new episode."""
        for jaw in self._jaws:
            pb.resetJointState(self._arm.body, jaw, 0.0, 0.0, self._client)
        self._drive(0.0)
        self.state = Grip.WAITING
        self._interrupted_s = 0.0
        self._unread_s = 0.0

    @property
    def width_m(self) -> float:
        """Distance between the jaws, measured beside the notches."""
        states = pb.getJointStates(self._arm.body, self._jaws, self._client)
        return 2.0 * self._stroke_m - states[0][0] - states[1][0]

    @property
    def barrier_interrupted(self) -> bool:
        """Whether something is between the tips of the open jaws."""
        x, y, z, w = self._arm.orientation_xyzw
        across = np.array([2 * (x * y - w * z), 1 - 2 * (x * x + z * z), 2 * (y * z + w * x)])  # the hand's y axis
        reach = (self._stroke_m - 0.0005) * across
        tip = self._arm.position_m
        return pb.rayTest(tip - reach, tip + reach, physicsClientId=self._client)[0][0] >= 0

    def step(self, dt_s: float) -> None:
        """Run the logic for one physics step of `dt_s`."""
        self._unread_s += dt_s
        if self._unread_s < 1.0 / BARRIER_RATE_HZ - 1e-9:
            return
        passed_s, self._unread_s = self._unread_s, 0.0
        if self.state is Grip.WAITING:
            self._interrupted_s = self._interrupted_s + passed_s if self.barrier_interrupted else 0.0
            if self._interrupted_s >= CLOSING_DELAY_S:
                self.state = Grip.CLOSED
                self._drive(self._stroke_m)
        elif self.state is Grip.CLOSED:
            if self.width_m < NOTHING_HELD_M:
                self.state = Grip.OPENING
                self._drive(0.0)
        elif self.width_m > 2.0 * self._stroke_m - 0.001:
            self.state = Grip.WAITING
            self._interrupted_s = 0.0

    def memory(self) -> dict[str, Any]:
        """State of the logic and the commanded jaw position, for `recall`."""
        return {
            "grip": self.state.name,
            "interrupted_s": self._interrupted_s,
            "unread_s": self._unread_s,
            "driven_to_m": self._driven_to_m,
        }

    def recall(self, memory: dict[str, Any]) -> None:
        """Restore what `memory` returned; the engine's state is already restored."""
        self.state = Grip[memory["grip"]]
        self._interrupted_s, self._unread_s = memory["interrupted_s"], memory["unread_s"]
        self._drive(memory["driven_to_m"])

    def _drive(self, position_m: float) -> None:
        self._driven_to_m = position_m
        for jaw in self._jaws:
            pb.setJointMotorControl2(
                self._arm.body,
                jaw,
                pb.POSITION_CONTROL,
                targetPosition=position_m,
                force=self._motor_force_n,
                maxVelocity=JAW_SPEED_M_S,
                physicsClientId=self._client,
            )
