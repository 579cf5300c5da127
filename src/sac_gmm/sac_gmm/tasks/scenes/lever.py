"""Lever sliding: straddle a switch's lever with open jaws, let them close, pull it to its end to turn on a light."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import pybullet as pb
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.tasks import urdf
from sac_gmm.tasks.arms.description import Tool
from sac_gmm.tasks.arms.grippers import ReflexGripper, motor_force_n, parallel_jaws
from sac_gmm.tasks.sensing.cameras import SceneCamera
from sac_gmm.tasks.sensing.sensors import DepthSensor, RgbSensor
from sac_gmm.tasks.twist_task import Task
from sac_gmm.tasks.urdf import Colour, rounded

OPENING_M = 0.042  # between the jaws: 14 mm on each side of the lever
LEVER_LENGTH_M = 0.016  # along x, the direction in which it slides
LEVER_WIDTH_M = 0.014  # along y, the direction in which the jaws close
LEVER_ABOVE_M = 0.012  # height of its top above the grasp point
LEVER_BELOW_M = 0.026  # depth of the board below the grasp point
TRAVEL_M = 0.09
ON_M = 0.075  # the contact closes here; the rest of the way to the stop is over-travel
LEVER_MASS_KG = 0.15
LEVER_FRICTION = 0.4  # of its surface; multiplied by that of the jaws
# The lever resists more than the friction of jaws that merely press on its top, and less than half a grip.
SLIDER_FRICTION_N = 1.5
SPRING_N = 1.5  # force of the return spring at the start
SPRING_N_M = 10.0
SIZE_M = (0.24, 0.18, 0.05)  # of the board
LAMP_M = np.array([-TRAVEL_M, -0.062, -LEVER_BELOW_M + 0.006])  # centre of the lamp, from the grasp point at the start
LAMP_OFF = (0.28, 0.20, 0.08, 1.0)
LAMP_ON = (1.0, 0.86, 0.15, 1.0)
DEPTH_SIZES = range(64, 129)


class LeverTask(Task):
    """Slide a lever to the end of its slot, against friction and a return spring.

    The target is the grasp point of the lever at the start. The jaws close by themselves when something is between
    their tips (`ReflexGripper`). Cameras: `depth` (behind the board, facing lever and gripper), `wrist` (RGB, on the
    gripper), `fixed` (sees the lamp, for the reward), `scene` (for films).

    Args:
        depth_size_px: Width and height of the depth picture.
    """

    name = "lever"
    reward_sensor = "lamp"
    components = 7  # the fewest that reproduce the demonstrations without noise (`sac-gmm noise-sweep`)
    care = (0.025, 0.3)

    def __init__(self, *, depth_size_px: int = 64, **options: Any):
        if depth_size_px not in DEPTH_SIZES:
            raise UserError(f"depth_size_px is {depth_size_px!r}; it must be a whole number from 64 to 128")
        self._depth_size_px = int(depth_size_px)
        super().__init__(**options)

    def tool(self) -> Tool:
        """Two jaws."""
        return parallel_jaws(OPENING_M)

    def build_scene(self) -> None:
        """Create board, lever and cameras."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "lever.urdf"
            path.write_text(describe_lever(), encoding="utf-8")
            self.board = pb.loadURDF(
                str(path), useFixedBase=True, flags=pb.URDF_USE_INERTIA_FROM_FILE, physicsClientId=self.client
            )
        links = {
            pb.getJointInfo(self.board, i, self.client)[12].decode(): i
            for i in range(pb.getNumJoints(self.board, self.client))
        }
        self.lever, self._lamp = links["lever"], links["lamp"]
        for link in (-1, self.lever):
            pb.changeDynamics(
                self.board,
                link,
                lateralFriction=LEVER_FRICTION,
                linearDamping=0,
                angularDamping=0,
                physicsClientId=self.client,
            )
        pb.setJointMotorControl2(
            self.board,
            self.lever,
            pb.VELOCITY_CONTROL,
            targetVelocity=0,
            force=motor_force_n(self.client, SLIDER_FRICTION_N),
            physicsClientId=self.client,
        )
        self.read_scene()
        self.gripper = ReflexGripper(self.client, self.arm, OPENING_M)
        self._lit: bool | None = None
        size = self._depth_size_px
        self.cameras = {
            "wrist": SceneCamera(self.client, "wrist_camera_optical_frame", 64, 64, 45.0),
            "depth": SceneCamera(self.client, "depth_camera_optical_frame", size, size, 27.0, near_m=0.1, far_m=1.5),
            "fixed": SceneCamera(self.client, "fixed_camera_optical_frame", 320, 240, 34.0),
            "scene": SceneCamera(self.client, "scene_camera_optical_frame", 640, 480, 38.0),
        }
        up = np.array([0.0, 0.0, 1.0])
        self.cameras["depth"].look(np.array([1.0, 0.0, 0.45]), np.array([0.57, 0.0, 0.265]), up)
        self.cameras["scene"].look(np.array([0.88, -0.62, 0.60]), np.array([0.54, 0.01, 0.30]), up)
        self.sensors["depth"] = DepthSensor(self.cameras["depth"])
        self.sensors["rgb"] = RgbSensor(self.cameras["wrist"])

    def place_scene(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Move the board to a new place, the lever to its start, turn the light off; return the grasp point."""
        grasp = np.array([rng.uniform(0.58, 0.62), rng.uniform(-0.03, 0.03), 0.25])
        pb.resetBasePositionAndOrientation(self.board, grasp.tolist(), (0, 0, 0, 1), self.client)
        pb.resetJointState(self.board, self.lever, 0.0, 0.0, self.client)
        # The fixed camera looks at the lamp from the side on which nothing gets in between.
        lamp = grasp + LAMP_M
        self.cameras["fixed"].look(lamp + [-0.08, -0.45, 0.20], lamp, np.array([0.0, 0.0, 1.0]))
        self.gripper.reset()
        self._show_light(False)
        return grasp

    def start_offset_m(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Start above the lever, within half a centimetre."""
        return np.array([0.011, 0.0, 0.11]) + 0.005 * rng.standard_normal(3)

    def read_scene(self) -> None:
        """Read how far the lever has been slid."""
        self._position_m = pb.getJointState(self.board, self.lever, self.client)[0]

    def before_physics_step(self) -> None:
        """Apply the return spring, and run the gripper's logic."""
        pb.setJointMotorControl2(
            self.board,
            self.lever,
            pb.TORQUE_CONTROL,
            force=-SPRING_N - SPRING_N_M * self._position_m,
            physicsClientId=self.client,
        )
        self.gripper.step(self._physics_dt_s)

    def advance(self, twist: NDArray[np.float64]) -> None:
        """Simulate one control period; the light shows whether the switch is closed."""
        super().advance(twist)
        self._show_light(self.succeeded())

    def succeeded(self) -> bool:
        """Whether the switch is closed."""
        return self._position_m >= ON_M

    def truth(self) -> dict[str, float]:
        """How far the lever has been slid (m); `success` when the switch is closed."""
        position = pb.getJointState(self.board, self.lever, self.client)[0]
        return {"lever_m": position, "success": float(position >= ON_M)}

    @staticmethod
    def demonstrated_path_m() -> NDArray[np.float64]:
        """Path of the tcp that slides the lever: down over it, then along the slot to its end."""
        down = np.linspace([0.011, 0.0, 0.11], [0.011, 0.0, 0.03], 20)
        over = np.linspace([0.011, 0.0, 0.03], [0.008, 0.0, 0.0], 10)[1:]
        along = np.linspace([0.008, 0.0, 0.0], [-TRAVEL_M - 0.012, 0.0, 0.0], 30)[1:]
        return np.vstack([down, over, along])

    def memory(self) -> dict[str, Any]:
        """As in `Task`, and the gripper's."""
        return {**super().memory(), "gripper": self.gripper.memory()}

    def recall(self, memory: dict[str, Any]) -> None:
        """As in `Task`, and the gripper's; the light follows."""
        super().recall(memory)
        self.gripper.recall(memory["gripper"])
        self._show_light(self.succeeded())

    def _show_light(self, on: bool) -> None:
        if on != self._lit:
            self._lit = on
            colour = LAMP_ON if on else LAMP_OFF
            pb.changeVisualShape(self.board, self._lamp, rgbaColor=colour, physicsClientId=self.client)


def describe_lever() -> str:
    """URDF of the switch. Origin: the grasp point of the lever at the start; x away from the robot, z up."""
    top = -LEVER_BELOW_M
    _, _, height = SIZE_M
    centre = -0.5 * TRAVEL_M  # of the slot
    lever_height = LEVER_ABOVE_M + LEVER_BELOW_M - 0.002  # clearance, so it does not rub on the board
    lever = (0.0, 0.0, LEVER_ABOVE_M - 0.5 * lever_height)
    lamp = tuple(LAMP_M.tolist())
    board = (
        urdf.solid(urdf.box(SIZE_M), _BOARD, rounded((centre, 0.0, top - 0.5 * height)))
        + _seen((centre, 0.0, top), (TRAVEL_M + 0.034, 0.012, 0.001), _SLOT)
        + _seen((-TRAVEL_M, 0.0, top), (0.026, 0.036, 0.0006), _MARK)
        + urdf.visual(urdf.cylinder(0.023, 0.008), _SLOT, rounded((lamp[0], lamp[1], top + 0.002)))
        + _seen((centre, 0.0, top - height - 0.10), (0.9, 1.1, 0.20), _TABLE)
        + _seen((0.05, 0.0, top - height - 0.22), (2.0, 2.0, 0.02), _FLOOR)
    )
    slide = urdf.moving_joint(
        "slide", "prismatic", "board", "lever", axis=(-1, 0, 0), limit=urdf.Limit(0, TRAVEL_M, 100, 2)
    )
    grasped = rounded((LEVER_LENGTH_M, LEVER_WIDTH_M, lever_height))
    return urdf.robot(
        "switch",
        urdf.link("board", urdf.inertial(0, 1.0), board),
        slide,
        urdf.link(
            "lever",
            urdf.inertial(LEVER_MASS_KG, 3e-5, rounded(lever)),
            urdf.solid(urdf.box(grasped), _LEVER, rounded(lever)),
        ),
        urdf.fixed_joint("board", "lamp", rounded(lamp)),
        urdf.link("lamp", urdf.inertial(0.01, 1e-5), urdf.visual(urdf.sphere(0.017), _MARK)),
    )


def _seen(centre: tuple[float, ...], size: tuple[float, ...], colour: Colour) -> str:
    return urdf.visual(urdf.box(rounded(size)), colour, rounded(centre))


_BOARD = Colour("board", "0.30 0.36 0.42 1")
_SLOT = Colour("slot", "0.08 0.08 0.09 1")
_MARK = Colour("mark", "0.85 0.85 0.80 1")
_LEVER = Colour("lever", "0.85 0.12 0.10 1")
_TABLE = Colour("table", "0.66 0.55 0.42 1")
_FLOOR = Colour("floor", "0.62 0.60 0.56 1")
