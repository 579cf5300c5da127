"""Base of the tasks in which a twist drives the simulated iiwa: arm, noise on the detected target, physics."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pybullet as pb
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.tasks.actions import Twist
from sac_gmm.tasks.arms.description import Tool
from sac_gmm.tasks.arms.iiwa import Iiwa, ImpedanceGains
from sac_gmm.tasks.randomisation import Randomisation, Randomiser
from sac_gmm.tasks.scene import Readings, Scene
from sac_gmm.tasks.sensing.sensors import VECTOR_GROUPS

TOOL_DOWN_XYZW = np.array([0.0, 1.0, 0.0, 0.0])  # natural for the iiwa: its last joint stays near zero


class Task(Scene):
    """A manipulation task with the simulated iiwa.

    An action is a twist of the fingertip, shape (6,): m/s and rad/s in base axes, held for one control period.
    Observations are a dict of arrays in the base frame, SI units:

    * group `proprio`: `ee_position_m` (3,), `ee_velocity_m_s` (3,) of the fingertip, `joint_position_rad` (7,);
    * group `target`: `target_m` (3,), the detected target, with one noise draw per episode;
    * group `wrench`: `wrench` (6,), N and Nm on the gripper, measured at the wrist, with sensor noise;
    * groups `tactile`, `depth`, `rgb`, if the task has the sensor: one entry of that name.

    Pictures are slow: an observation has them only if `groups` names them, but they can be read at any time (`read`,
    `camera`). The true state of the scene (`truth`, `true_target_m`) is for scoring and for display, never part of an
    observation. The arm starts relative to the *detected* target, so its pose does not reveal the true one.

    Args:
        target_noise_std_m: Standard deviation of the detected target's error, per axis, drawn once per episode; an
            option of `reset` overrides it.
        control_rate_hz: Rate of steps; must divide `physics_rate_hz`.
        gains: Gains of the arm's impedance.
        groups: Groups in an observation; None means all but the sensors.
        randomisation: What else varies from episode to episode; nothing by default.
        mesh_visuals: Draw the arm with meshes, for films; pictures then take ten times as long.
        render_mode: `rgb_array` or None.

    Raises:
        UserError: A value is out of range, or the task has no such group.
    """

    action = Twist()
    vector_groups = VECTOR_GROUPS
    reset_options = ("target_noise_std_m",)
    physics_rate_hz = 240
    torque_rate_hz = 60  # minimum update rate of the arm's impedance; torques are held in between
    # The wrist camera sits on the robot's side of the gripper and looks at the fingertip; gripper axes.
    wrist_seat_m = (0.07, 0.0, 0.0)
    wrist_sight_m = (-0.005, 0.0, 0.20)
    # A demonstrator is careful near the target: within this many metres, at this share of the speed.
    care: tuple[float, float] | None = None
    wrench_noise = np.array([0.1, 0.1, 0.1, 0.005, 0.005, 0.005])  # N, Nm

    def __init__(
        self,
        *,
        target_noise_std_m: float = 0.01,
        control_rate_hz: float = 30.0,
        gains: ImpedanceGains | None = None,
        groups: Sequence[str] | None = None,
        randomisation: Randomisation | None = None,
        mesh_visuals: bool = False,
        render_mode: str | None = None,
    ):
        substeps = self.physics_rate_hz / control_rate_hz if control_rate_hz > 0 else 0.5
        if substeps < 1 or abs(substeps - round(substeps)) > 1e-9:
            raise UserError(
                f"control_rate_hz is {control_rate_hz}; it must divide the physics rate of {self.physics_rate_hz} Hz"
            )
        super().__init__(control_dt_s=1.0 / control_rate_hz, render_mode=render_mode)
        self.target_noise_std_m = _checked_noise(target_noise_std_m)
        # Torques are updated less often than the physics: they hold over the engine's substeps.
        n_physics, most = round(substeps), max(1, self.physics_rate_hz // self.torque_rate_hz)
        together = max(n for n in range(1, most + 1) if n_physics % n == 0)
        self._updates = n_physics // together
        self._physics_dt_s = together / self.physics_rate_hz
        self.target_m = np.zeros(3)
        self.true_target_m = np.zeros(3)
        try:
            self.connect(self._physics_dt_s, together)
            # The real arm compensates for its own weight, and nothing else in these scenes can fall.
            pb.setGravity(0, 0, 0, physicsClientId=self.client)
            self.arm = Iiwa(self.client, gains, self.tool(), mesh_visuals=mesh_visuals)
            self.build_scene()
            self.finish(groups)
        except BaseException:
            self.close()
            raise
        self._randomiser: Randomiser | None = None
        if randomisation is not None and randomisation != Randomisation():
            self._randomiser = Randomiser(self.client, self.arm.body, self.cameras, randomisation)

    # What a task says about itself --------------------------------------------------------------------------------

    def tool(self) -> Tool | None:
        """What the gripper carries; None for a closed gripper, whose fingertips form one round finger."""
        return None

    def build_scene(self) -> None:
        """Create the bodies, `cameras` and `sensors` of the scene, once."""
        raise NotImplementedError

    def place_scene(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Set the scene up for an episode and return the true target position, shape (3,), base frame."""
        raise NotImplementedError

    def start_offset_m(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Start position of the fingertip relative to the detected target, shape (3,)."""
        raise NotImplementedError

    def read_scene(self) -> None:
        """Read what `before_physics_step` and `succeeded` need from the engine; called after every physics step."""

    def before_physics_step(self) -> None:
        """Apply the scene's own forces (springs, latches); they hold for `_physics_dt_s`, across the engine's substeps.

        The state of the arm (`arm`) and the values from `read_scene` are up to date.
        """

    @staticmethod
    def demonstrated_path_m() -> NDArray[np.float64]:
        """A path of the fingertip that solves the task, relative to the target; `ScriptedTeleoperator` follows it.

        Returns:
            Points every few millimetres, shape (M, 3), base axes.
        """
        raise NotImplementedError

    # What a scene needs -------------------------------------------------------------------------------------------

    def begin(self, rng: np.random.Generator, options: dict[str, Any]) -> None:
        """Place scene and arm, and draw the error of the detected target."""
        std = _checked_noise(options.get("target_noise_std_m", self.target_noise_std_m))
        self.restore_start()
        true_target = self.place_scene(rng)
        if self._randomiser is not None:
            true_target = self._randomiser.draw(rng, true_target)
        self.true_target_m = true_target
        self.detect_target(rng, std)
        self.arm.place(self.target_m + self.start_offset_m(rng), TOOL_DOWN_XYZW)
        self.read_scene()

    def detect_target(self, rng: np.random.Generator, noise_std_m: float | None = None) -> None:
        """Look for the target: `target_m` is the true one and a new error, by default of the task's own size."""
        std = self.target_noise_std_m if noise_std_m is None else noise_std_m
        self.target_m = self.true_target_m + std * rng.standard_normal(3)

    def advance(self, twist: NDArray[np.float64]) -> None:
        """Simulate one control period under `twist`, shape (6,); do not judge the outcome."""
        arm, client, dt_s = self.arm, self.client, self._physics_dt_s
        arm.command(twist)
        for update in range(self._updates):
            arm.apply_torques(dt_s, update % 2 == 0)
            self.before_physics_step()
            pb.stepSimulation(client)
            arm.read_joints()
            self.read_scene()
        arm.refresh_tip()
        self.elapsed_steps += 1

    def measure(self) -> Readings:
        """Entries of the groups `proprio`, `target` and `wrench` that are in `groups`."""
        readings: Readings = {}
        position_m, velocity_m_s, wrench = self.arm.sensed()
        if "proprio" in self.groups:
            readings["ee_position_m"] = position_m
            readings["ee_velocity_m_s"] = velocity_m_s
            readings["joint_position_rad"] = self.arm.joint_position_rad
        if "target" in self.groups:
            readings["target_m"] = self.target_m.copy()
        if "wrench" in self.groups:
            noise = self.np_random.standard_normal(6)
            noise *= self.wrench_noise
            wrench += noise
            readings["wrench"] = wrench
        return readings

    def point_cameras(self) -> None:
        """Move camera `wrist`, if there is one, with the gripper."""
        if "wrist" in self.cameras:
            state = pb.getLinkState(self.arm.body, self.arm.gripper_link, 0, 1, self.client)
            origin, R = np.array(state[4]), np.array(pb.getMatrixFromQuaternion(state[5])).reshape(3, 3)
            seat, sight = (origin + R @ place for place in (self.wrist_seat_m, self.wrist_sight_m))
            self.cameras["wrist"].look(seat, sight, R @ [-1.0, 0.0, 0.0])

    def memory(self) -> dict[str, Any]:
        """Targets, state of the arm's controller, and randomised values; a task adds its own."""
        return {
            "target_m": self.target_m,
            "true_target_m": self.true_target_m,
            "arm": self.arm.memory(),
            "randomised": self._randomiser.memory() if self._randomiser is not None else None,
        }

    def recall(self, memory: dict[str, Any]) -> None:
        """Restore what `memory` returned."""
        if (memory["randomised"] is None) != (self._randomiser is None):
            raise UserError(f"the state does not fit this '{self.name}': only one of the two is randomised")
        self.target_m, self.true_target_m = (np.array(memory[name]) for name in ("target_m", "true_target_m"))
        self.arm.recall(memory["arm"])
        if self._randomiser is not None:
            self._randomiser.recall(memory["randomised"])
        self.read_scene()


def _checked_noise(std_m: float) -> float:
    try:
        valid = bool(np.isfinite(std_m) and std_m >= 0.0)
    except TypeError:
        valid = False
    if not valid:
        raise UserError(f"target_noise_std_m is {std_m!r}; it must be a number of metres >= 0")
    return float(std_m)
