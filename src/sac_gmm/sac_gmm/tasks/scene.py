"""The base of every scene, whatever its actions: episodes, seeds, clock, sensors, cameras, saved states."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import gymnasium
import numpy as np
import pybullet as pb
from gymnasium import spaces
from numpy.typing import ArrayLike, NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.tasks.actions import ActionKind
from sac_gmm.tasks.saved_state import pack, unpack
from sac_gmm.tasks.sensing.cameras import CameraInfo, SceneCamera
from sac_gmm.tasks.sensing.sensors import Sensor, check_groups, observation_space

Readings = dict[str, NDArray[Any]]

NO_CLIENT = -1


class Scene(gymnasium.Env):
    """A scene with a task in it, as a Gymnasium environment.

    A PyBullet scene calls `connect` and has a `client`; a scene in another simulator has `NO_CLIENT` and overrides
    `save_engine` and `restore_engine`. Every scene calls `finish` at the end of its constructor.

    An observation is a dict of arrays in SI units, in groups: those of `vector_groups`, `context` if the scene has a
    `context_space`, and one group per sensor. The true state (`truth`) is for scoring and never observed.

    Attributes:
        name: Name used in commands.
        action: The kind of action it takes.
        time_limit_s: Time after which an episode is truncated.
        demonstrations: Its folder below the folder of all demonstrations; the scene's name if None.
        components: Number of Gaussians in its base skill; `auto` lets the fit choose.
        variations: Other tasks on which its skills are also evaluated, keyed by what differs.
        vector_groups: Observation entries and their spaces, by group; cheap, so read at every step.
        reward_sensor: What shows, outside a simulation too, that the task is done: a `marker` or a `lamp` that camera
            `fixed` sees, or a limit `switch`. None: only the simulator knows.
        context_space: Space of the variation between episodes that the policy is told; None if there is none.
        context: Context of this episode, shaped as `context_space`; empty if there is none.
        reset_options: Names that `reset` accepts in `options`.
        control_dt_s: Duration of a step.
        elapsed_steps: Steps since the episode began.
        success: Whether the task was done after the last step.
        meshes: Contents of the scene's mesh files, OBJ, by file name: the engine keeps only their paths.
        sensor_rng: Source of sensor noise; a separate stream, so that reading a sensor affects nothing else.
    """

    metadata = {"render_modes": ["rgb_array"], "render_fps": 30}  # noqa: RUF012 - the name and type that Gymnasium requires

    name: str
    action: ActionKind
    time_limit_s: float = 10.0
    demonstrations: str | None = None
    components: int | Literal["auto"] = "auto"
    variations: Mapping[str, str] = MappingProxyType({})
    vector_groups: Mapping[str, Mapping[str, spaces.Box]] = MappingProxyType({})
    reward_sensor: Literal["marker", "lamp", "switch"] | None = None
    context_space: spaces.Box | None = None
    reset_options: tuple[str, ...] = ()

    def __init__(self, *, control_dt_s: float, render_mode: str | None = None) -> None:
        if render_mode not in (None, *self.metadata["render_modes"]):
            raise UserError(f"render_mode is '{render_mode}'; it must be 'rgb_array' or None")
        self.render_mode = render_mode
        self.control_dt_s = control_dt_s
        self.action_space = self.action.space
        self.client = NO_CLIENT
        self.cameras: dict[str, SceneCamera] = {}
        self.sensors: dict[str, Sensor] = {}
        self.meshes: dict[str, str] = {}
        self.sensor_rng = np.random.default_rng(0)  # renewed by `reset`
        self.context: NDArray[np.float64] = np.zeros(0)
        self.elapsed_steps = 0
        self.success = False
        self._needs_reset = True

    @classmethod
    def demonstrations_folder(cls) -> str:
        """Name of the scene's folder below the folder of all demonstrations."""
        return cls.demonstrations or cls.name

    # Called by the constructor of a scene -------------------------------------------------------------------------

    def connect(self, step_s: float, substeps: int = 1) -> None:
        """Start the scene's own PyBullet engine as `client`.

        Args:
            step_s: Time simulated by one call of `pb.stepSimulation`.
            substeps: Engine substeps within it.
        """
        self.client = pb.connect(pb.DIRECT)
        pb.setPhysicsEngineParameter(
            fixedTimeStep=step_s,
            numSubSteps=substeps if substeps > 1 else 0,
            numSolverIterations=50,
            deterministicOverlappingPairs=1,
            physicsClientId=self.client,
        )

    def finish(self, groups: Sequence[str] | None) -> None:
        """Complete the construction: bodies and sensors exist, and the engine is in its start state.

        Args:
            groups: Groups in an observation; None means all vector groups and the context.

        Raises:
            UserError: The scene has no such group.
        """
        if self.context_space is not None:
            self.vector_groups = {**self.vector_groups, "context": {"context": self.context_space}}
        wanted = tuple(self.vector_groups) if groups is None else groups
        self.groups = check_groups(self.name, wanted, self.sensors, self.vector_groups)
        self.observation_space = observation_space(self.groups, self.sensors, self.vector_groups)
        self._read_groups = tuple(group for group in self.groups if group in self.sensors)
        if self.client != NO_CLIENT:
            self._start = pb.saveState(self.client)

    def restore_start(self) -> None:
        """Return a PyBullet engine to its state at `finish`, with no trace of later episodes."""
        pb.restoreState(self._start, physicsClientId=self.client)
        # Old contacts are still listed, and their order affects the last bits of everything that follows. So the list
        # is emptied while nothing touches.
        pb.performCollisionDetection(self.client)

    # What a scene says about itself -------------------------------------------------------------------------------

    def begin(self, rng: np.random.Generator, options: dict[str, Any]) -> None:
        """Set the scene up for an episode; draw everything random from `rng`.

        Args:
            rng: The episode's generator.
            options: Those of `reset_options` that were passed to `reset`; `context` is already set.
        """
        raise NotImplementedError

    def advance(self, action: NDArray[np.float64]) -> None:
        """Simulate one step under a checked action and count it in `elapsed_steps`; do not judge the outcome."""
        raise NotImplementedError

    def measure(self) -> Readings:
        """Entries of those vector groups that are in `groups`; may draw noise."""
        raise NotImplementedError

    def truth(self) -> dict[str, float]:
        """True state of the scene, for scoring only; `success` is 1.0 when the task is done."""
        raise NotImplementedError

    def succeeded(self) -> bool:
        """Whether the task is done, as `truth` says."""
        return self.truth()["success"] > 0.5

    def stage(self) -> int:
        """Number of stages reached; 0 for a task without stages."""
        return 0

    def reward(self) -> float:
        """Reward of the last step: 1.0 for success unless a scene overrides it. It has no side effects."""
        return float(self.success)

    def draw_context(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Draw the context of a new episode: before everything else, and even if `reset` is given one."""
        return np.zeros(0)

    def point_cameras(self) -> None:
        """Move the cameras that are mounted on moving bodies; called before each picture."""

    def memory(self) -> dict[str, Any]:
        """The scene's state outside the engine, as numbers, texts and arrays; for `save_state`.

        PyBullet itself saves poses, velocities and contacts. Joint motor targets, and everything that a scene changed
        after its construction (masses, colours), belong here.
        """
        return {}

    def recall(self, memory: dict[str, Any]) -> None:
        """Restore what `memory` returned, arrays as lists; the engine's state is already restored."""

    # Gymnasium ----------------------------------------------------------------------------------------------------

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Readings, dict[str, Any]]:
        """Start an episode; the same seed gives the same episode.

        Args:
            seed: Seed of everything random in this and the following episodes.
            options: `context` sets this episode's context, if the scene has one; the scene defines the others.

        Raises:
            UserError: The seed is negative, or an option is unknown or out of range.
        """
        if seed is not None and seed < 0:
            raise UserError(f"the seed of an episode is {seed}: give a whole number from 0 up")
        super().reset(seed=seed)
        options = dict(options or {})
        known = (*self.reset_options, *(("context",) if self.context_space is not None else ()))
        if unknown := set(options) - set(known):
            names = ", ".join(map(repr, sorted(unknown)))
            raise UserError(f"reset has no option {names}; it has {', '.join(known) or 'none'}")
        rng = self.np_random
        self._needs_reset = True
        self.context = self.draw_context(rng)
        if "context" in options:
            self.context = self._checked_context(options.pop("context"))
        self.begin(rng, options)
        self.sensor_rng = np.random.Generator(np.random.PCG64(int(rng.integers(2**63))))
        self.elapsed_steps = 0
        self.success = False
        self._needs_reset = False
        self.point_cameras()
        return self.observe(), {}

    def step(self, action: NDArray[np.float64]) -> tuple[Readings, float, bool, bool, dict[str, Any]]:
        """Take one action. `success` in the info says whether the task is done, whatever the reward.

        Raises:
            UserError: The episode has ended, or the action is not of the scene's kind.
        """
        if self._needs_reset:
            raise UserError("the episode has ended (or never began): call reset() before step()")
        self.advance(self.action.checked(action))
        self.success = success = bool(self.succeeded())
        truncated = not success and self.elapsed_steps * self.control_dt_s >= self.time_limit_s - 1e-9
        self._needs_reset = success or truncated
        return self.observe(), self.reward(), success, truncated, {"success": success}

    def render(self) -> NDArray[np.uint8]:
        """A picture of the whole scene, for films; no skill sees it."""
        return self.camera("scene")

    def close(self) -> None:
        """Disconnect from the physics engine."""
        if self.client != NO_CLIENT:
            pb.disconnect(self.client)
            self.client = NO_CLIENT

    # Sensors and cameras ------------------------------------------------------------------------------------------

    def observe(self) -> Readings:
        """The current observation, as `reset` and `step` return it; each call draws new sensor noise."""
        readings = self.measure()
        if "context" in self.groups:
            readings["context"] = self.context.copy()
        for group in self._read_groups:
            readings[group] = self.read(group)
        return readings

    def read(self, group: str) -> NDArray[Any]:
        """Read the sensor of a group (`tactile`, `depth`, `rgb`): shape and type as `sensors[group].space` says.

        Raises:
            UserError: The scene has no such sensor, or the group is `privileged`, which cannot be read.
        """
        if group not in self.sensors:
            check_groups(self.name, (group,), self.sensors, self.vector_groups)
            raise UserError(f"'{group}' is part of every observation; only sensors can be read: {list(self.sensors)}")
        self.point_cameras()
        return self.sensors[group].read()

    def camera(self, name: str) -> NDArray[np.uint8]:
        """Take a picture with the camera `name`: RGB, shape (height, width, 3).

        Raises:
            UserError: The scene has no camera of that name.
        """
        camera = self._camera(name)
        self.point_cameras()
        return camera.rgb()

    def camera_info(self, name: str) -> CameraInfo:
        """Intrinsics and frame of the camera `name`.

        Raises:
            UserError: The scene has no camera of that name.
        """
        return self._camera(name).info

    # Saved states -------------------------------------------------------------------------------------------------

    def save_state(self) -> bytes:
        """Return the whole state, for `restore_state`; saving changes nothing.

        All copies restored from one state continue identically to the last bit, in any process. So does the episode in
        which it was saved, with one exception: when bodies touch in several places at once, the engine processes the
        contacts in the order in which they arose. It does not save that order, so the last bits may differ.
        """
        memory = {
            "scene": self.name,
            "elapsed_steps": self.elapsed_steps,
            "success": self.success,
            "needs_reset": self._needs_reset,
            "context": self.context,
            "rng": self.np_random.bit_generator.state,
            "sensor_rng": self.sensor_rng.bit_generator.state,
            "cameras": {name: camera.memory() for name, camera in self.cameras.items()},
            "own": self.memory(),
        }
        return pack(memory, self.save_engine())

    def restore_state(self, state: bytes) -> None:
        """Restore a state from `save_state`, taken in this scene or in another with the same name and options.

        Raises:
            UserError: The bytes are no state, are damaged, or belong to another scene.
        """
        memory, engine = unpack(state)
        if memory["scene"] != self.name:
            raise UserError(f"the state is one of task '{memory['scene']}', not of '{self.name}'")
        self.restore_engine(engine)
        self.elapsed_steps, self.success = memory["elapsed_steps"], memory["success"]
        self._needs_reset = memory["needs_reset"]
        self.context = np.array(memory["context"], np.float64)
        self.np_random.bit_generator.state = memory["rng"]
        self.sensor_rng = np.random.Generator(np.random.PCG64())
        self.sensor_rng.bit_generator.state = memory["sensor_rng"]
        for name, camera in self.cameras.items():
            camera.recall(memory["cameras"][name])
        self.recall(memory["own"])

    def save_engine(self) -> bytes:
        """Return the state of the physics engine."""
        if self.client == NO_CLIENT:
            raise NotImplementedError
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "state.bullet"
            pb.saveBullet(str(file), physicsClientId=self.client)
            return file.read_bytes()

    def restore_engine(self, engine: bytes) -> None:
        """Restore a state from `save_engine`."""
        if self.client == NO_CLIENT:
            raise NotImplementedError
        self.restore_start()
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "state.bullet"
            file.write_bytes(engine)
            try:
                pb.restoreState(fileName=str(file), physicsClientId=self.client)
            except pb.error as error:
                raise UserError(f"the state does not fit this '{self.name}': build it with the same options") from error

    def _camera(self, name: str) -> SceneCamera:
        if name not in self.cameras:
            raise UserError(f"task '{self.name}' has no camera '{name}'; it has {', '.join(self.cameras)}")
        return self.cameras[name]

    def _checked_context(self, value: ArrayLike) -> NDArray[np.float64]:
        space = self.context_space
        assert space is not None
        try:
            context = np.array(value, np.float64)
        except (TypeError, ValueError):
            context = np.full(space.shape, np.nan)
        if context.shape != space.shape or not np.all((context >= space.low) & (context <= space.high)):
            raise UserError(f"context is {value!r}; expected shape {space.shape}, from {space.low} to {space.high}")
        return context
