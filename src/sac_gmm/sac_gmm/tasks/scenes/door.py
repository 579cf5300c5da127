"""Door opening: hook the handle of a self-closing door from above and pull until a marker on its back shows."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pybullet as pb
from numpy.typing import NDArray

from sac_gmm.tasks import urdf
from sac_gmm.tasks.sensing.cameras import SceneCamera
from sac_gmm.tasks.sensing.sensors import RgbSensor
from sac_gmm.tasks.twist_task import Task
from sac_gmm.tasks.urdf import Colour

# The handle is a flat loop that sticks out from the door like a shelf. The finger (12 mm) goes down into its opening.
# If it misses, it lands on the rim, which is too wide to slip off.
OPENING_X_M = 0.015  # between door and bar
OPENING_Y_M = 0.015  # between the arms
RIM_M = 0.02  # width of the loop around the opening
RIM_THICKNESS_M = 0.008
PANEL_THICKNESS_M = 0.02
PANEL_HEIGHT_M = 0.26
PANEL_ABOVE_HANDLE_M = 0.006
FREE_EDGE_M = 0.07  # from the handle to the free edge
HINGE_M = 0.22  # from the handle to the hinge
MARKER_SIZE_M = 0.08
MARKER_DICTIONARY = "DICT_4X4_50"
MARKER_ID = 7
FRICTION = 0.8  # of the handle; multiplied by that of the fingertip
INSERTION_M = 0.03  # depth of the finger in the handle in demonstrations
OPEN_RAD = 0.6
PULL_RAD = 0.85  # how far demonstrations open the door
CLOSING_TORQUE_NM = 0.6  # torque of the closer on the shut door
CLOSING_STIFFNESS_NM_RAD = 0.5
HINGE_DAMPING_NMS_RAD = 0.15
# The optional latch: a plate under the handle's opening. The fingertip must press it down before the door moves.
PLATE_BELOW_M = 0.012  # distance to its upper face
PRESS_M = 0.012  # pressed this far, it frees the door; demonstrations press it a little farther
PLATE_SPRING_N = 2.0
PLATE_SPRING_N_M = 150.0
PLATE_DAMPING_NS_M = 4.0
LATCHES_RAD = 0.02  # a door open by more than this is off its latch
LATCH_TORQUE_NM = 100.0


class DoorTask(Task):
    """Open a hinged door with a loop handle; a spring shuts it as soon as it is released.

    The target is the centre of the handle's opening with the door closed. Cameras: `wrist` (RGB, on the gripper),
    `fixed` (sees the marker on the door's back only when the door is open), `scene` (for films).

    Args:
        latch: Keep the shut door locked until the plate under the handle's opening is pressed down.
    """

    name = "door"
    reward_sensor = "marker"
    components = 8  # the fewest that reproduce the demonstrations without noise (`sac-gmm noise-sweep`)

    def __init__(self, *, latch: bool = False, **options: Any):
        self.latch = latch
        super().__init__(**options)

    def build_scene(self) -> None:
        """Create door, marker and cameras."""
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "door.urdf"
            path.write_text(describe_door(self.latch), encoding="utf-8")
            write_marker_mesh(Path(folder))
            self.meshes["marker.obj"] = (Path(folder) / "marker.obj").read_text(encoding="utf-8")
            self.door = pb.loadURDF(
                str(path), useFixedBase=True, flags=pb.URDF_USE_INERTIA_FROM_FILE, physicsClientId=self.client
            )
            names = {
                pb.getJointInfo(self.door, i, self.client)[12].decode(): i
                for i in range(pb.getNumJoints(self.door, self.client))
            }
            self.hinge = names["panel"]
        self.read_scene()
        self._brake(self.hinge, 0.0)
        if self.latch:
            self.plate = names["plate"]
            self._brake(self.plate, 0.0)
            self._held = False
        pb.changeDynamics(
            self.door,
            self.hinge,
            lateralFriction=FRICTION,
            linearDamping=0,
            angularDamping=0,
            physicsClientId=self.client,
        )
        self.cameras = {
            "wrist": SceneCamera(self.client, "wrist_camera_optical_frame", 64, 64, 45.0),
            "fixed": SceneCamera(self.client, "fixed_camera_optical_frame", 320, 240, 34.0),
            "scene": SceneCamera(self.client, "scene_camera_optical_frame", 640, 480, 40.0),
        }
        self.sensors["rgb"] = RgbSensor(self.cameras["wrist"])

    def place_scene(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Shut the door and move it to a new place; return the centre of the handle's opening."""
        handle = np.array([rng.uniform(0.53, 0.57), rng.uniform(-0.05, 0.05), 0.30])
        pb.resetBasePositionAndOrientation(self.door, handle.tolist(), (0, 0, 0, 1), self.client)
        pb.resetJointState(self.door, self.hinge, 0.0, 0.0, self.client)
        if self.latch:
            pb.resetJointState(self.door, self.plate, 0.0, 0.0, self.client)
        # The fixed camera is beside the door, in front of its plane: it sees the back only once the door has turned.
        panel = handle + [0.5 * OPENING_X_M, 0.0, 0.0]
        self.cameras["fixed"].look(panel + [-0.37, -0.62, 0.10], panel + [-0.07, 0.0, -0.10], np.array([0, 0, 1.0]))
        self.cameras["scene"].look(handle + [-0.55, -0.75, 0.35], handle + [-0.05, 0.0, -0.02], np.array([0, 0, 1.0]))
        return handle

    def start_offset_m(self, rng: np.random.Generator) -> NDArray[np.float64]:
        """Start above the handle, a little towards the robot, within half a centimetre."""
        return np.array([-0.02, 0.0, 0.12]) + 0.005 * rng.standard_normal(3)

    def read_scene(self) -> None:
        """Read angle and speed of the door."""
        self._angle_rad, self._speed_rad_s = pb.getJointState(self.door, self.hinge, self.client)[:2]

    def before_physics_step(self) -> None:
        """Apply the closer: a damper, and a spring under tension even when the door is shut."""
        angle, speed = self._angle_rad, self._speed_rad_s
        torque = -CLOSING_TORQUE_NM - CLOSING_STIFFNESS_NM_RAD * angle - HINGE_DAMPING_NMS_RAD * speed
        pb.setJointMotorControl2(self.door, self.hinge, pb.TORQUE_CONTROL, force=torque, physicsClientId=self.client)
        if self.latch:
            self._work_latch(angle)

    def _work_latch(self, angle_rad: float) -> None:
        """Apply the plate's spring, and hold the shut door while the plate is up."""
        depth, speed = pb.getJointState(self.door, self.plate, self.client)[:2]
        force = -PLATE_SPRING_N - PLATE_SPRING_N_M * depth - PLATE_DAMPING_NS_M * speed
        pb.setJointMotorControl2(self.door, self.plate, pb.TORQUE_CONTROL, force=force, physicsClientId=self.client)
        held = angle_rad < LATCHES_RAD and depth < PRESS_M
        if held != self._held:
            self._hold_shut(held)

    def _hold_shut(self, held: bool) -> None:
        self._held = held
        self._brake(self.hinge, LATCH_TORQUE_NM if held else 0.0)

    def _brake(self, joint: int, most: float) -> None:
        """Hold a joint of the door with at most this force or torque; 0 releases it."""
        pb.setJointMotorControl2(
            self.door, joint, pb.VELOCITY_CONTROL, targetVelocity=0, force=most, physicsClientId=self.client
        )

    def memory(self) -> dict[str, Any]:
        """As in `Task`, and whether the latch holds the door."""
        return {**super().memory(), "held": self.latch and self._held}

    def recall(self, memory: dict[str, Any]) -> None:
        """As in `Task`, and whether the latch holds the door."""
        super().recall(memory)
        if self.latch:
            self._hold_shut(memory["held"])

    def succeeded(self) -> bool:
        """Whether the door is open."""
        return self._angle_rad >= OPEN_RAD

    def truth(self) -> dict[str, float]:
        """Angle of the door (rad); `success` when it is open."""
        angle = pb.getJointState(self.door, self.hinge, self.client)[0]
        return {"angle_rad": angle, "success": float(angle >= OPEN_RAD)}

    @staticmethod
    def demonstrated_path_m() -> NDArray[np.float64]:
        """Path of the finger that opens the door: down into the handle, then along its arc."""
        down = np.linspace([-0.02, 0.0, 0.12], [0.0, 0.0, 0.03], 20)
        into = np.linspace([0.0, 0.0, 0.03], [0.0, 0.0, -INSERTION_M], 12)[1:]
        radius = np.array([-(0.5 * OPENING_X_M + PANEL_THICKNESS_M), -HINGE_M])  # from the hinge to the target
        angles = np.linspace(0.0, PULL_RAD, 50)[1:]
        arc = np.column_stack(
            (
                np.cos(angles) * radius[0] + np.sin(angles) * radius[1] - radius[0],
                -np.sin(angles) * radius[0] + np.cos(angles) * radius[1] - radius[1],
                np.full(angles.size, -INSERTION_M),
            )
        )
        return np.vstack((down, into, arc))


def marker_with_quiet_zone(pixels_per_cell: int = 16) -> NDArray[np.uint8]:
    """The door's ArUco marker with a white border one cell wide, as a grey image."""
    dictionary = cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, MARKER_DICTIONARY))
    marker = cv2.aruco.generateImageMarker(dictionary, MARKER_ID, 6 * pixels_per_cell)
    return np.pad(marker, pixels_per_cell, constant_values=255)


def write_marker_mesh(folder: Path) -> None:
    """Write the marker as a textured square facing +x: `marker.obj`, with its material and picture beside it.

    It is a separate mesh because the renderer puts one texture on all six faces of a box.
    """
    half = 0.5 * MARKER_SIZE_M * 8 / 6  # the square includes the quiet zone
    corners = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    lines = ["mtllib marker.mtl", "usemtl marker"]
    lines += [f"v 0 {y * half} {z * half}" for y, z in corners]
    lines += [f"vt {0.5 * (y + 1)} {0.5 * (z + 1)}" for y, z in corners]
    lines += ["vn 1 0 0", "f 1/1/1 2/2/1 3/3/1", "f 1/1/1 3/3/1 4/4/1"]
    (folder / "marker.obj").write_text("\n".join(lines) + "\n", encoding="utf-8")
    (folder / "marker.mtl").write_text("newmtl marker\nKd 1 1 1\nmap_Kd marker.png\n", encoding="utf-8")
    cv2.imwrite(str(folder / "marker.png"), cv2.cvtColor(marker_with_quiet_zone(), cv2.COLOR_GRAY2BGR))


def describe_door(latch: bool = False) -> str:
    """URDF of the door, with a latch or without. Origin: centre of the opening, door shut; x forwards, z up."""
    front = 0.5 * OPENING_X_M
    back = front + PANEL_THICKNESS_M
    width = FREE_EDGE_M + HINGE_M
    half_y = 0.5 * OPENING_Y_M
    plate = MARKER_SIZE_M * 8 / 6  # the plate includes the quiet zone
    hinge = (back, HINGE_M, 0.0)
    panel = _moving_box(
        (0.5 * (front + back), 0.5 * (HINGE_M - FREE_EDGE_M), PANEL_ABOVE_HANDLE_M - 0.5 * PANEL_HEIGHT_M),
        (PANEL_THICKNESS_M, width, PANEL_HEIGHT_M),
        _DOOR,
        hinge,
    )
    bar = _moving_box((-front - 0.5 * RIM_M, 0.0, 0.0), (RIM_M, 2 * (half_y + RIM_M), RIM_THICKNESS_M), _HANDLE, hinge)
    arms = [
        _moving_box((0.0, side * (half_y + 0.5 * RIM_M), 0.0), (2 * front, RIM_M, RIM_THICKNESS_M), _HANDLE, hinge)
        for side in (-1, 1)
    ]
    frame = [
        urdf.visual(urdf.box((0.04, 0.03, 0.28)), _FRAME, (hinge[0] + 0.02, HINGE_M + 0.02, -0.12)),
        urdf.visual(urdf.box((1.2, 1.2, 0.02)), _FLOOR, (0.15, 0.0, -0.31)),
        urdf.visual(urdf.box((0.02, 1.2, 0.8)), _WALL, (0.60, 0.0, 0.10)),
    ]
    centre_of_mass = (-hinge[0], 0.5 * (HINGE_M - FREE_EDGE_M) - hinge[1], -0.12)
    parts = [
        urdf.link("frame", urdf.inertial(0, 1.0), *frame),
        urdf.moving_joint(
            "hinge", "revolute", "frame", "panel", axis=(0, 0, -1), limit=urdf.Limit(0, 1.5, 50, 10), xyz=hinge
        ),
        urdf.link("panel", urdf.inertial(1.0, 0.008, centre_of_mass), panel, bar, *arms),
        urdf.fixed_joint("panel", "marker", (0.001, 0.5 * plate - FREE_EDGE_M - hinge[1] + 0.004, -0.10)),
        urdf.link("marker", urdf.inertial(0.01, 1e-5), urdf.visual(urdf.mesh("marker.obj"), _WHITE)),
    ]
    return urdf.robot("door", *parts, *(_describe_latch(hinge) if latch else ()))


def _describe_latch(hinge: tuple[float, float, float]) -> tuple[str, str]:
    """The plate, on a vertical slider in the door; it clears the door and is as wide as the handle."""
    clearance = 0.001
    size = (OPENING_X_M + RIM_M - clearance, OPENING_Y_M + 2 * RIM_M, 0.004)
    centre = (-0.5 * (RIM_M + clearance), 0.0, -PLATE_BELOW_M - 0.5 * size[2])
    limit = urdf.Limit(0, PRESS_M + 0.006, 50, 2)
    return (
        urdf.moving_joint("latch", "prismatic", "panel", "plate", axis=(0, 0, -1), limit=limit),
        urdf.link("plate", urdf.inertial(0.05, 2e-5), _moving_box(centre, size, _FRAME, hinge)),
    )


def _moving_box(
    centre: tuple[float, ...], size: tuple[float, ...], colour: Colour, hinge: tuple[float, float, float]
) -> str:
    """A box that turns with the door; `centre` is relative to the handle, the URDF relative to the hinge."""
    xyz = tuple(value - origin for value, origin in zip(centre, hinge, strict=True))
    return urdf.solid(urdf.box(size), colour, xyz)


_DOOR = Colour("door", "0.45 0.55 0.62 1")
_HANDLE = Colour("handle", "0.90 0.10 0.08 1")
_FRAME = Colour("frame", "0.30 0.28 0.26 1")
_FLOOR = Colour("floor", "0.62 0.60 0.56 1")
_WALL = Colour("wall", "0.75 0.75 0.72 1")
_WHITE = Colour("white", "1 1 1 1")
