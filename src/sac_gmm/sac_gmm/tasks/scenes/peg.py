"""Peg insertion: put a round peg, held between two fingers, through the round hole in the lid of a box."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pybullet as pb
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.tasks import urdf
from sac_gmm.tasks.arms.description import GRIPPER_LENGTH_M, Tool, tool_centre_point
from sac_gmm.tasks.arms.iiwa import ImpedanceGains
from sac_gmm.tasks.sensing.cameras import SceneCamera
from sac_gmm.tasks.sensing.sensors import RgbSensor
from sac_gmm.tasks.sensing.tactile import Gel, TactileSensor
from sac_gmm.tasks.twist_task import Task
from sac_gmm.tasks.urdf import Colour

PEG_RADIUS_M = 0.025
PEG_LENGTH_M = 0.075
PEG_MASS_KG = 0.15
# Peg and lid are polished, so a peg that presses beside the hole can still slide over it. With a product of 0.5 it
# sticks: even a perfect correction of the skill after the first touch succeeds in 40 % of the episodes; with 0.2, in 96
# %.
PEG_FRICTION = 0.4  # multiplied by that of the lid
HOLE_RADIUS_M = {"easy": 0.030, "medium": 0.028, "hard": 0.026}
CHAMFER_M = 0.005  # at 45 degrees, around the hole's upper edge
LID_THICKNESS_M = 0.02
LID_FRICTION = 0.5
BOX_M = 0.2  # side and height of the box
WALL_M = 0.02
N_WEDGES = 24  # convex pieces of the lid around the hole
SUCCESS_DEPTH_M = 0.0425
GRASP_M = 0.016  # length of the peg between the fingers
GEL = Gel()
FINGER_M = (0.022, 0.012)  # across and along the direction in which the gripper closes
PALM_TO_PEG_M = 0.03
PEG_CENTRE_M = 0.5 * (PEG_LENGTH_M - GRASP_M)  # from the middle between the pads to the peg's centre of mass
HULL_MARGIN_M = 0.001  # Bullet thickens convex hulls by this much; the pieces are shrunk to compensate


class PegTask(Task):
    """Insert a peg (radius 25 mm) into a hole (easy 30 mm, medium 28 mm, hard 26 mm); done when it is 42.5 mm deep.

    The end-effector is the centre of the peg's lower face, the target the centre of the hole at the lid's upper face.
    Sensors: `tactile` (both fingers' gels), `rgb` (camera `wrist`, on the gripper). Cameras `fixed` and `scene`
    are for films.
    """

    name = "peg"
    reward_sensor = "switch"  # a limit switch under the hole: the peg reaches it where the task counts as done
    components = 5  # the fewest that reproduce the demonstrations without noise (`sac-gmm noise-sweep`)
    torque_rate_hz = 120  # at 60, peg contacts cost the engine 5 % more time than the fewer torque updates save
    wrist_seat_m = (0.10, 0.0, 0.0)
    wrist_sight_m = (0.0, 0.0, 0.17)
    standard_hole = "hard"
    variations: Mapping[str, str] = MappingProxyType({"medium hole": "peg_medium"})

    def __init__(self, *, hole: str | None = None, gains: ImpedanceGains | None = None, **options: Any):
        hole = self.standard_hole if hole is None else hole
        if hole not in HOLE_RADIUS_M:
            raise UserError(f"there is no hole '{hole}'; choose one of: {', '.join(HOLE_RADIUS_M)}")
        self.hole = hole
        gains = gains or ImpedanceGains(rotation_stiffness_nm_rad=(25.0, 25.0, 3.0), posture_damping_nms_rad=4.0)
        super().__init__(gains=gains, **options)

    def tool(self) -> Tool:
        """Two fingers that hold the peg."""
        return held_peg()

    def build_scene(self) -> None:
        """Create box and cameras."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "box.urdf"
            self.meshes["lid.obj"] = lid_mesh(HOLE_RADIUS_M[self.hole])
            (Path(folder) / "lid.obj").write_text(self.meshes["lid.obj"], encoding="utf-8")
            (Path(folder) / "lid_hulls.obj").write_text(
                lid_mesh(HOLE_RADIUS_M[self.hole], HULL_MARGIN_M), encoding="utf-8"
            )
            path.write_text(describe_box(), encoding="utf-8")
            self.box = pb.loadURDF(
                str(path), useFixedBase=True, flags=pb.URDF_USE_INERTIA_FROM_FILE, physicsClientId=self.client
            )
        pb.changeDynamics(self.box, -1, lateralFriction=LID_FRICTION, physicsClientId=self.client)
        self.cameras = {
            "wrist": SceneCamera(self.client, "wrist_camera_optical_frame", 64, 64, 60.0),
            "fixed": SceneCamera(self.client, "fixed_camera_optical_frame", 320, 240, 40.0),
            "scene": SceneCamera(self.client, "scene_camera_optical_frame", 320, 240, 40.0),
        }
        self._recalled_load: NDArray[np.float64] | None = None  # set from restoring a state until physics runs
        # The load in the joint between gripper and peg determines what the gels see.
        self._peg = self.arm.links["peg"]
        pb.enableJointForceTorqueSensor(self.arm.body, self._peg, True, self.client)
        self.sensors = {
            "tactile": TactileSensor(self.load_on_peg, lambda: self.sensor_rng, PEG_RADIUS_M, GRASP_M, GEL),
            "rgb": RgbSensor(self.cameras["wrist"]),
        }

    def place_scene(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Move the box to a new place; return the centre of the hole at the lid's upper face."""
        hole = np.array([rng.uniform(0.50, 0.55), rng.uniform(-0.10, 0.10), BOX_M])
        pb.resetBasePositionAndOrientation(self.box, hole.tolist(), (0, 0, 0, 1), self.client)
        for name in ("fixed", "scene"):
            self.cameras[name].look(hole + [0.38, -0.68, 0.36], hole + [-0.08, 0.03, 0.07], np.array([0, 0, 1.0]))
        return hole

    def start_offset_m(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Start above the hole, towards the robot, within a centimetre."""
        return np.array([-0.05, 0.0, 0.10]) + 0.01 * rng.standard_normal(3)

    def load_on_peg(self) -> NDArray[np.float64]:
        """Force (N) and torque (Nm) on the peg, gripper axes, about the midpoint between the pads, shape (6,)."""
        if self.elapsed_steps == 0:  # physics has not run yet: the last reading is from another episode
            return np.zeros(6)
        if self._recalled_load is not None:
            return self._recalled_load.copy()
        # The joint's reaction is the gripper's load on the peg, which balances the world's load on it. The physics
        # engine gives the torque about the peg's centre of mass.
        load = -np.array(pb.getJointState(self.arm.body, self._peg, self.client)[2])
        load[3:5] += PEG_CENTRE_M * np.array([-load[1], load[0]])
        return load

    def begin(self, rng: np.random.Generator, options: dict[str, Any]) -> None:
        """Place scene and arm, and draw the error of the detected target."""
        self._recalled_load = None
        super().begin(rng, options)

    def advance(self, twist: NDArray[np.float64]) -> None:
        """Simulate one control period."""
        self._recalled_load = None
        super().advance(twist)

    def memory(self) -> dict[str, Any]:
        """As in `Task`, and the load on the peg, which the engine does not save."""
        return {**super().memory(), "load": self.load_on_peg()}

    def recall(self, memory: dict[str, Any]) -> None:
        """As in `Task`, and the load on the peg."""
        super().recall(memory)
        self._recalled_load = np.array(memory["load"])

    def truth(self) -> dict[str, float]:
        """Depth of the peg's lower face below the lid's upper face (m); `success` when deep enough in the hole."""
        hole = np.array(pb.getBasePositionAndOrientation(self.box, self.client)[0])
        offset = self.arm.position_m - hole
        inside = float(np.hypot(offset[0], offset[1])) < HOLE_RADIUS_M[self.hole]
        depth = -float(offset[2])
        return {"depth_m": depth, "success": float(inside and depth >= SUCCESS_DEPTH_M)}

    @staticmethod
    def demonstrated_path_m() -> NDArray[np.float64]:
        """Path of the peg's lower face into the hole: over it, then straight down."""
        over = np.linspace([-0.05, 0.0, 0.10], [0.0, 0.0, 0.015], 25)
        down = np.linspace([0.0, 0.0, 0.015], [0.0, 0.0, -0.056], 20)[1:]
        return np.vstack((over, down))


class MediumPegTask(PegTask):
    """The peg with the medium hole."""

    name = "peg_medium"
    demonstrations = "peg"
    standard_hole = "medium"
    variations: Mapping[str, str] = MappingProxyType({})


class EasyPegTask(PegTask):
    """The peg with the easy hole."""

    name = "peg_easy"
    demonstrations = "peg"
    standard_hole = "easy"
    variations: Mapping[str, str] = MappingProxyType({})


def held_peg() -> Tool:
    """Two fingers with soft pads and the peg between them; `tcp` is the centre of the peg's lower face."""
    peg_top = GRIPPER_LENGTH_M + PALM_TO_PEG_M
    finger_length = PALM_TO_PEG_M + GRASP_M
    finger_y = PEG_RADIUS_M + GEL.thickness_m + 0.5 * FINGER_M[1]
    size = (FINGER_M[0], FINGER_M[1], finger_length)
    pad = urdf.box((GEL.side_m, GEL.thickness_m, GEL.side_m))
    parts = []
    for name, side in (("left", 1), ("right", -1)):
        centre = (0, 0, 0.5 * finger_length)
        pad_at = (0, -side * 0.5 * (FINGER_M[1] + GEL.thickness_m), finger_length - 0.5 * GEL.side_m)
        parts.append(urdf.fixed_joint("gripper", f"finger_{name}", (0, side * finger_y, GRIPPER_LENGTH_M)))
        parts.append(
            urdf.link(
                f"finger_{name}",
                urdf.inertial(0.05, 1e-5, centre),
                urdf.solid(urdf.box(size), _FINGER, centre),
                urdf.visual(pad, _PAD, pad_at),
            )
        )
    seen = urdf.cylinder(PEG_RADIUS_M, PEG_LENGTH_M)
    # Bullet turns a cylinder into a hull with 32 corners and thickens it: shrunk, it has the right size and round
    # edges.
    felt = urdf.cylinder(PEG_RADIUS_M - HULL_MARGIN_M, PEG_LENGTH_M - 2 * HULL_MARGIN_M)
    across = PEG_MASS_KG * (3 * PEG_RADIUS_M**2 + PEG_LENGTH_M**2) / 12
    along = 0.5 * PEG_MASS_KG * PEG_RADIUS_M**2
    # The origin of link `peg` is midway between the pads, so the sensor in its joint measures the load on the grip
    # there.
    centre_of_mass = (0, 0, PEG_CENTRE_M)
    parts += [
        urdf.fixed_joint("gripper", "peg", (0, 0, peg_top + 0.5 * GRASP_M)),
        urdf.link(
            "peg",
            urdf.inertial(PEG_MASS_KG, (across, across, along), centre_of_mass),
            urdf.visual(seen, _PEG, centre_of_mass),
            urdf.collision(felt, centre_of_mass),
        ),
        tool_centre_point("peg", (0, 0, PEG_LENGTH_M - 0.5 * GRASP_M)),
    ]
    return Tool("".join(parts), {"peg": PEG_FRICTION, "finger_left": PEG_FRICTION, "finger_right": PEG_FRICTION})


def describe_box() -> str:
    """URDF of the box, open below. Origin: centre of the hole at the lid's upper face; z up."""
    half, height = 0.5 * BOX_M, BOX_M - LID_THICKNESS_M
    centre_z = -LID_THICKNESS_M - 0.5 * height
    walls = [
        urdf.solid(urdf.box(size), _WALL, (side * x, side * y, centre_z))
        for side in (-1, 1)
        for x, y, size in (
            (half - 0.5 * WALL_M, 0, (WALL_M, BOX_M, height)),
            (0, half - 0.5 * WALL_M, (BOX_M - 2 * WALL_M, WALL_M, height)),
        )
    ]
    return urdf.robot(
        "box",
        urdf.link(
            "box",
            urdf.inertial(0.0, 1),
            urdf.visual(urdf.mesh("lid.obj"), _LID),
            urdf.collision(urdf.mesh("lid_hulls.obj")),
            *walls,
            urdf.visual(urdf.box((5, 2.4, 0.01)), _FLOOR, (0, 0, -BOX_M - 0.005)),
            urdf.visual(urdf.box((5, 0.02, 1.4)), _BACK, (-0.3, 0.8, 0.4)),
        ),
    )


def lid_mesh(hole_radius_m: float, shrink_m: float = 0.0) -> str:
    """The square lid around a round hole as an OBJ file of convex wedges, one object each.

    The inner faces are tangent to the hole's circle, so the opening is a regular polygon with that inscribed radius.

    Args:
        hole_radius_m: Inscribed radius of the hole.
        shrink_m: Shrink upper, lower and inner faces by this much.

    Returns:
        Vertices relative to the centre of the hole at the lid's upper face, z up.
    """
    half = 0.5 * BOX_M
    edges = 2 * np.pi * np.arange(N_WEDGES + 1) / N_WEDGES
    corner = 1.0 / np.cos(np.pi / N_WEDGES)  # corners of a tangent polygon lie outside its circle
    inner, s = hole_radius_m + shrink_m, shrink_m
    # Cross-section of the ring as (radius, height), without its outer side. The chamfer moves along its normal.
    slant = CHAMFER_M + s * (np.sqrt(2.0) - 1.0) - s
    section = [(inner, s - LID_THICKNESS_M), (inner, -s - slant), (inner + slant, -s)]
    lines: list[str] = []
    faces = _RING_FACES if shrink_m == 0.0 else _RING_FACES + _SIDE_FACES
    for wedge in range(N_WEDGES):
        vertices = []
        for angle in edges[wedge : wedge + 2]:
            direction = np.array([np.cos(angle), np.sin(angle)])
            for radius, z in section:
                vertices.append((*(radius * corner * direction), z))
            rim = half * direction / np.abs(direction).max()  # where the ray meets the square
            vertices += [(*rim, -s), (*rim, s - LID_THICKNESS_M)]
        lines.append(f"o wedge_{wedge:02d}")
        lines += ["v {:.7f} {:.7f} {:.7f}".format(*vertex) for vertex in vertices]
        first = 10 * wedge + 1
        lines += ["f " + " ".join(str(first + index) for index in face) for face in faces]
    return "\n".join(lines) + "\n"


# Corners of a wedge: five of its section on one side, five on the other; faces are counter-clockwise from outside.
_RING_FACES = tuple(face for i in range(5) for j in [(i + 1) % 5] for face in ((i, j, i + 5), (j, j + 5, i + 5)))
_SIDE_FACES = ((0, 2, 1), (0, 3, 2), (0, 4, 3), (5, 6, 7), (5, 7, 8), (5, 8, 9))
_LID = Colour("lid", "0.36 0.52 0.66 1")
_WALL = Colour("wall", "0.30 0.42 0.54 1")
_FLOOR = Colour("floor", "0.62 0.60 0.56 1")
_BACK = Colour("back", "0.80 0.80 0.77 1")
_PEG = Colour("peg", "0.86 0.72 0.28 1")
_FINGER = Colour("finger", "0.25 0.26 0.28 1")
_PAD = Colour("pad", "0.55 0.85 0.60 1")
