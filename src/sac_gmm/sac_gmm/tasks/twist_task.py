"""What all tasks share: the physics client, the arm, the clock, the noise on the detected target, the Gymnasium API."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import gymnasium
import numpy as np
import pybullet as pb
from gymnasium import spaces
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.core.small_algebra import clip_finite
from sac_gmm.tasks.arms.iiwa import Iiwa, ImpedanceGains, Tool
from sac_gmm.tasks.randomisation import Randomisation, Randomiser
from sac_gmm.tasks.sensing.cameras import Camera, CameraInfo
from sac_gmm.tasks.sensing.sensors import VECTOR_GROUPS, Sensor, check_groups, observation_space

TOOL_DOWN_XYZW = np.array([0.0, 1.0, 0.0, 0.0])  # the natural way for the iiwa: its last joint stays near zero
MAX_SPEED_M_S = 0.25
MAX_TURN_RAD_S = 1.0

Observation = dict[str, NDArray[Any]]


class Task(gymnasium.Env):
    """A manipulation task with the simulated iiwa.

    An action is a twist of the fingertip, shape (6,): m/s and rad/s in base axes, held for one control period.
    Observations are a dict of arrays in the base frame, SI units:

    * group `proprio`: `ee_position_m` (3,), `ee_velocity_m_s` (3,) of the fingertip, `joint_position_rad` (7,);
    * group `target`: `target_m` (3,), the target as detected, with one draw of noise per episode;
    * group `wrench`: `wrench` (6,), N and Nm at the wrist, as felt by the gripper, with sensor noise;
    * groups `tactile`, `depth`, `rgb`, where the task has such a sensor: one entry of that name.

    Pictures cost time: they are in the observation only where `groups` names them, and read when asked for (`read`,
    `camera`). The true state of the scene (`truth`, `true_target_m`) is for scoring and for people to look at, and
    never part of an observation; the arm starts relative to the *detected* target, so that its pose does not give the
    true one away. The environment's own reward is 1.0 in the step that succeeds.

    Args:
        target_noise_std_m: Standard deviation of the error of the detected target, per axis, drawn once per episode.
        control_rate_hz: Of steps; it divides `physics_rate_hz`.
        gains: Of the arm's impedance.
        groups: What observations hold.
        randomisation: What else differs from episode to episode; nothing by default.
        mesh_visuals: Show the arm by meshes, for films; pictures then take ten times as long.
        render_mode: `rgb_array` or None.

    Raises:
        UserError: A value is out of range, or the task has no such group.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012 - the name and type Gymnasium asks for

    name: str
    # The base skill: its folder below that of all demonstrations (the task's own name if None), and its Gaussians.
    demonstrations: str | None = None
    components: int | Literal["auto"] = "auto"
    physics_rate_hz = 240
    torque_rate_hz = 60  # of the arm's impedance, at least; in between, torques hold
    time_limit_s = 10.0
    # The wrist camera sits on the robot's side of the gripper and looks at the fingertip; in the gripper's axes.
    wrist_seat_m = (0.07, 0.0, 0.0)
    wrist_sight_m = (-0.005, 0.0, 0.20)
    # Where a demonstrating person takes care: around the target, within so many metres, at this share of the speed.
    care: tuple[float, float] | None = None
    wrench_noise = np.array([0.1, 0.1, 0.1, 0.005, 0.005, 0.005])  # N, Nm

    def __init__(
        self,
        *,
        target_noise_std_m: float = 0.01,
        control_rate_hz: float = 30.0,
        gains: ImpedanceGains | None = None,
        groups: Sequence[str] = tuple(VECTOR_GROUPS),
        randomisation: Randomisation | None = None,
        mesh_visuals: bool = False,
        render_mode: str | None = None,
    ):
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UserError(f"render_mode is '{render_mode}'; it must be 'rgb_array' or None")
        substeps = self.physics_rate_hz / control_rate_hz if control_rate_hz > 0 else 0.5
        if substeps < 1 or abs(substeps - round(substeps)) > 1e-9:
            raise UserError(
                f"control_rate_hz is {control_rate_hz}; it must divide the physics rate of {self.physics_rate_hz} Hz"
            )
        self.target_noise_std_m = _checked_noise(target_noise_std_m)
        self.render_mode = render_mode
        self.control_dt_s = 1.0 / control_rate_hz
        # Torques change less often than physics runs: they hold over the engine's own substeps.
        n_physics, most = round(substeps), max(1, self.physics_rate_hz // self.torque_rate_hz)
        together = max(n for n in range(1, most + 1) if n_physics % n == 0)
        self._updates = n_physics // together
        self._physics_dt_s = together / self.physics_rate_hz
        self._twist_limit = np.array([MAX_SPEED_M_S] * 3 + [MAX_TURN_RAD_S] * 3)
        self.action_space = spaces.Box(-self._twist_limit, self._twist_limit, dtype=np.float64)
        self.cameras: dict[str, Camera] = {}
        self.sensors: dict[str, Sensor] = {}
        self.sensor_rng = np.random.default_rng(0)  # of the noise in what is read when asked for; renewed by `reset`
        self.target_m = np.zeros(3)
        self.true_target_m = np.zeros(3)
        self.elapsed_steps = 0
        self._needs_reset = True
        self.client = pb.connect(pb.DIRECT)
        try:
            pb.setPhysicsEngineParameter(
                fixedTimeStep=self._physics_dt_s,
                numSubSteps=together if together > 1 else 0,
                numSolverIterations=50,
                deterministicOverlappingPairs=1,
                physicsClientId=self.client,
            )
            # The real arm compensates its own weight and nothing else in these scenes can fall.
            pb.setGravity(0, 0, 0, physicsClientId=self.client)
            self.arm = Iiwa(self.client, gains, self.tool(), mesh_visuals=mesh_visuals)
            self.build_scene()
            self.groups = check_groups(self.name, groups, self.sensors)
        except BaseException:
            self.close()
            raise
        self.observation_space = observation_space(self.groups, self.sensors)
        self._images = tuple(group for group in self.groups if group in self.sensors)
        self._randomiser: Randomiser | None = None
        if randomisation is not None and randomisation != Randomisation():
            self._randomiser = Randomiser(self.client, self.arm.body, self.cameras, randomisation)
        self._start = pb.saveState(self.client)

    # What a task must say about itself ------------------------------------------------------------------------

    def tool(self) -> Tool | None:
        """What the gripper carries; None for a closed gripper, whose fingertips form one round finger."""
        return None

    def build_scene(self) -> None:
        """Create the bodies, `cameras` and `sensors` of the scene, once."""
        raise NotImplementedError

    def place_scene(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Put the scene at the start of an episode and return the true target position, shape (3,), base frame."""
        raise NotImplementedError

    def start_offset_m(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Where the fingertip starts, relative to the detected target, shape (3,)."""
        raise NotImplementedError

    def read_scene(self) -> None:
        """Take from the engine what the scene's own forces and `succeeded` need; called after every physics step."""

    def before_physics_step(self) -> None:
        """Apply the scene's own forces (springs, latches); they hold for `_physics_dt_s`, over the engine's substeps.

        The state of the arm (`arm`) is fresh, and so is what `read_scene` took.
        """

    def succeeded(self) -> bool:
        """Whether the task is done, as `truth` says, after a physics step."""
        return self.truth()["success"] > 0.5

    def point_cameras(self) -> None:
        """Move the cameras that ride on something that moves: `wrist`, where there is one, on the gripper."""
        if "wrist" in self.cameras:
            state = pb.getLinkState(self.arm.body, self.arm.gripper_link, 0, 1, self.client)
            origin, R = np.array(state[4]), np.array(pb.getMatrixFromQuaternion(state[5])).reshape(3, 3)
            seat, sight = (origin + R @ place for place in (self.wrist_seat_m, self.wrist_sight_m))
            self.cameras["wrist"].look(seat, sight, R @ [-1.0, 0.0, 0.0])

    def truth(self) -> dict[str, float]:
        """The true state of the scene, for scoring only; `success` is 1.0 when the task is done."""
        raise NotImplementedError

    @staticmethod
    def demonstrated_path_m() -> NDArray[np.float64]:
        """The way of the fingertip that solves the task, relative to the target, which `ScriptedTeleoperator` follows.

        Returns:
            Points one every few millimetres, shape (M, 3), base axes.
        """
        raise NotImplementedError

    @classmethod
    def demonstrations_folder(cls) -> str:
        """Name of the folder with the task's demonstrations, below the folder of all demonstrations."""
        return cls.demonstrations or cls.name

    # Gymnasium -------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; the same seed gives the same scene and the same noise on the detected target.

        Args:
            seed: Seed of everything random in this and the following episodes.
            options: `target_noise_std_m` replaces the task's own value for this episode.
        """
        if seed is not None and seed < 0:
            raise UserError(f"the seed of an episode is {seed}: give a whole number from 0 up")
        super().reset(seed=seed)
        options = options or {}
        if unknown := set(options) - {"target_noise_std_m"}:
            raise UserError(f"reset has no option {', '.join(map(repr, sorted(unknown)))}; it has target_noise_std_m")
        std = _checked_noise(options.get("target_noise_std_m", self.target_noise_std_m))
        rng = self.np_random
        self._needs_reset = True
        pb.restoreState(self._start, physicsClientId=self.client)
        # Contacts of the last episode are still listed. The order of that list shows in the last bits of all that
        # follows, so it is emptied while nothing touches.
        pb.performCollisionDetection(self.client)
        true_target = self.place_scene(rng)
        if self._randomiser is not None:
            true_target = self._randomiser.draw(rng, true_target)
        self.true_target_m = true_target
        self.target_m = true_target + std * rng.standard_normal(3)
        self.arm.place(self.target_m + self.start_offset_m(rng), TOOL_DOWN_XYZW)
        self.read_scene()
        # A stream of its own: how often a picture is taken must not change what else happens in an episode.
        self.sensor_rng = np.random.Generator(np.random.PCG64(int(rng.integers(2**63))))
        self.elapsed_steps = 0
        self._needs_reset = False
        self.point_cameras()
        return self._observe(), {}

    def step(self, action: NDArray[np.float64]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Follow a twist for one control period.

        Raises:
            UserError: The episode has ended, or the action is not six finite numbers.
        """
        if self._needs_reset:
            raise UserError("the episode has ended (or never began): call reset() before step()")
        try:
            twist = np.array(action, dtype=float)
        except (TypeError, ValueError):
            twist = np.empty(0)
        if twist.shape != (6,) or not clip_finite(twist, self._twist_limit):
            raise UserError(f"the action must be a twist of six finite numbers, not {action!r}")
        self.advance(twist)
        success = self.succeeded()
        truncated = not success and self.elapsed_steps * self.control_dt_s >= self.time_limit_s - 1e-9
        self._needs_reset = success or truncated
        return self._observe(), float(success), success, truncated, {}

    def advance(self, twist: NDArray[np.float64]) -> None:
        """Let the physics run for one control period under `twist`, shape (6,), without judging the outcome."""
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

    def observe(self) -> Observation:
        """The current observation, as `reset` and `step` return it; each call draws new sensor noise."""
        return self._observe()

    def read(self, group: str) -> NDArray[Any]:
        """Read the sensor of a group (`tactile`, `depth`, `rgb`): shape and type as `sensors[group].space` says.

        Raises:
            UserError: The task has no such sensor, or the group is `privileged`, which nothing reads.
        """
        if group not in self.sensors:
            check_groups(self.name, (group,), self.sensors)
            raise UserError(f"'{group}' is part of every observation; what is read are sensors: {list(self.sensors)}")
        self.point_cameras()
        return self.sensors[group].read()

    def camera(self, name: str) -> NDArray[np.uint8]:
        """Take a picture with the camera `name`: RGB, shape (height, width, 3).

        Raises:
            UserError: The task has no camera of that name.
        """
        camera = self._camera(name)
        self.point_cameras()
        return camera.rgb()

    def camera_info(self, name: str) -> CameraInfo:
        """Intrinsics and frame of the camera `name`."""
        return self._camera(name).info

    def render(self) -> NDArray[np.uint8]:
        """A picture of the whole scene, for films; no skill sees it."""
        return self.camera("scene")

    def close(self) -> None:
        """Leave the physics engine."""
        if self.client >= 0:
            pb.disconnect(self.client)
            self.client = -1

    def _camera(self, name: str) -> Camera:
        if name not in self.cameras:
            raise UserError(f"task '{self.name}' has no camera '{name}'; it has {', '.join(self.cameras)}")
        return self.cameras[name]

    def _observe(self) -> Observation:
        observation: Observation = {}
        position_m, velocity_m_s, wrench = self.arm.sensed()
        if "proprio" in self.groups:
            observation["ee_position_m"] = position_m
            observation["ee_velocity_m_s"] = velocity_m_s
            observation["joint_position_rad"] = self.arm.joint_position_rad
        if "target" in self.groups:
            observation["target_m"] = self.target_m.copy()
        if "wrench" in self.groups:
            noise = self.np_random.standard_normal(6)
            noise *= self.wrench_noise
            wrench += noise
            observation["wrench"] = wrench
        for group in self._images:
            observation[group] = self.read(group)
        return observation


def _checked_noise(std_m: float) -> float:
    try:
        valid = bool(np.isfinite(std_m) and std_m >= 0.0)
    except TypeError:
        valid = False
    if not valid:
        raise UserError(f"target_noise_std_m is {std_m!r}; it must be a number of metres >= 0")
    return float(std_m)
