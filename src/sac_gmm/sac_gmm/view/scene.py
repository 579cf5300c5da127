"""The 3-D scene: the robot, the skill around its target, and past and predicted paths."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import viser

from sac_gmm.models import SkillModel
from sac_gmm.models.fields.ellipsoids import path_preview, position_ellipsoids
from sac_gmm.view.robot import RobotModel
from sac_gmm.view.snapshot import Array, Snapshot

N_SIGMA = 2.0
_PREVIEW_S = 8.0  # prediction ahead of the tip
_PREVIEW_STEP_S = 0.1
_PREVIEW_PERIOD_S = 0.5  # the preview takes longer to compute than everything else

Colour = tuple[int, int, int]
# What is drawn, in the order of the legend: colour and label.
LAYERS: dict[str, tuple[Colour, str]] = {
    "base": ((70, 130, 200), f"skill as fitted, {N_SIGMA:g} σ"),
    "current": ((245, 140, 30), f"skill in force, {N_SIGMA:g} σ"),
    "demonstrations": ((90, 90, 105), "demonstrations"),
    "succeeded": ((40, 160, 60), "last episodes that succeeded"),
    "failed": ((205, 45, 45), "last episodes that failed"),
    "path": ((20, 20, 20), "path in this episode"),
    "preview": ((245, 140, 30), "way ahead"),
    "target": ((200, 0, 160), "target as detected"),
    "true_target": ((0, 165, 185), "true target (simulation)"),
    "workspace": ((150, 150, 150), "workspace of the tip"),
}


class SkillScene:
    """Keeps the scene in the state of the last snapshot; an object identical to the previous one is not redrawn.

    Args:
        scene: The page's scene.
        urdf: The robot's description.
    """

    def __init__(self, scene: viser.SceneApi, urdf: str) -> None:
        self._scene = scene
        self._shown = Snapshot()
        self._hidden: set[str] = set()
        self._handles: dict[str, Any] = {}
        self._previewed: tuple[Any, ...] = ()
        self._preview_due_s = 0.0
        self._sphere = _icosphere()
        scene.set_up_direction("+z")
        scene.configure_default_lights(cast_shadow=False)
        scene.add_grid("/floor", 4.0, 4.0, cell_size=0.1, section_size=0.5, position=(0.0, 0.0, -0.001))
        self._robot = RobotModel(scene, urdf)
        # Everything about a skill is relative to the target, so it is attached to the target and moves with it.
        self._at_target = scene.add_frame("/at_target", show_axes=False, visible=False)

    def see_through_robot(self, wanted: bool) -> None:
        """Make the robot translucent, so that the skill behind it is visible."""
        self._robot.see_through(wanted)

    def hide(self, layer: str, hidden: bool) -> None:
        """Hide a layer of `LAYERS`, or show it again."""
        (self._hidden.add if hidden else self._hidden.discard)(layer)
        if layer in self._handles:
            self._handles[layer].visible = not hidden

    def show(self, snapshot: Snapshot) -> None:
        """Draw what has changed."""
        now, before = snapshot, self._shown
        self._shown = snapshot
        if now.joints_rad is not None and now.joints_rad is not before.joints_rad:
            self._robot.show(now.joints_rad)
        if now.workspace_m is not None and now.workspace_m is not before.workspace_m:
            self._lines("workspace", "/workspace", _box_edges(now.workspace_m), 1.0)
        if now.target_m is not None and now.target_m is not before.target_m:
            self._at_target.position, self._at_target.visible = now.target_m, True
            self._ball("target", now.target_m)
        if now.true_target_m is not None and now.true_target_m is not before.true_target_m:
            self._ball("true_target", now.true_target_m)
        if now.base is not before.base:
            self._ellipsoids("base", now.base, 0.5)
        if now.current is not before.current:
            self._ellipsoids("current", now.current, 0.6)
        if now.demonstrations is not before.demonstrations:
            self._lines("demonstrations", "/at_target/demonstrations", _segments(now.demonstrations), 2.0)
        if now.rollouts is not before.rollouts:
            for name, wanted in (("succeeded", True), ("failed", False)):
                paths = tuple(rollout.path_m for rollout in now.rollouts if rollout.success is wanted)
                self._lines(name, f"/at_target/{name}", _segments(paths), 2.0)
        if now.path_m is not before.path_m:
            self._lines("path", "/path", _segments((now.path_m,)), 4.0)
        self._preview()

    def _preview(self) -> None:
        """The predicted path. It starts at the tip, so it is redrawn as long as the tip moves."""
        now = self._shown
        given = (now.tip_m, now.target_m, now.current)
        if now.tip_m is None or now.target_m is None or now.current is None or time.monotonic() < self._preview_due_s:
            return
        if len(self._previewed) == 3 and all(a is b for a, b in zip(given, self._previewed, strict=True)):
            return
        self._previewed = given
        self._preview_due_s = time.monotonic() + _PREVIEW_PERIOD_S
        ahead = path_preview(now.current, now.tip_m - now.target_m, dt_s=_PREVIEW_STEP_S, duration_s=_PREVIEW_S)
        self._lines("preview", "/at_target/preview", _segments((ahead,)), 2.0)

    def _ellipsoids(self, layer: str, model: SkillModel | None, opacity: float) -> None:
        if model is None:
            self._remove(layer)
            return
        drawn = position_ellipsoids(model.mixture, N_SIGMA)
        wxyz = np.roll(drawn.quaternions, 1, axis=1)
        handle = self._handles.get(layer)
        if handle is not None and len(handle.batched_positions) == len(wxyz):
            handle.batched_positions, handle.batched_wxyzs = drawn.centres_m, wxyz
            handle.batched_scales = drawn.half_axes_m
            return
        self._remove(layer)
        self._handles[layer] = self._scene.add_batched_meshes_simple(
            f"/at_target/{layer}",
            *self._sphere,
            wxyz,
            drawn.centres_m,
            batched_scales=drawn.half_axes_m,
            batched_colors=LAYERS[layer][0],
            opacity=opacity,
            lod="off",
            cast_shadow=False,
            receive_shadow=False,
            visible=layer not in self._hidden,
        )

    def _lines(self, layer: str, name: str, segments: Array, width_px: float) -> None:
        handle = self._handles.get(layer)
        if not len(segments):
            self._remove(layer)
        elif handle is not None:
            handle.points = segments.astype(np.float32)
        else:
            self._handles[layer] = self._scene.add_line_segments(
                name,
                segments,
                LAYERS[layer][0],
                thickness=width_px,
                thickness_units="screen",
                visible=layer not in self._hidden,
            )

    def _ball(self, layer: str, position_m: Array) -> None:
        if layer in self._handles:
            self._handles[layer].position = position_m
            return
        self._handles[layer] = self._scene.add_icosphere(
            f"/{layer}", 0.006, LAYERS[layer][0], position=position_m, visible=layer not in self._hidden
        )

    def _remove(self, layer: str) -> None:
        if (handle := self._handles.pop(layer, None)) is not None:
            handle.remove()


def _segments(paths: tuple[Array, ...]) -> Array:
    """The segments (N, 2, 3) of some paths (T, 3)."""
    pieces = [np.stack((path[:-1], path[1:]), axis=1) for path in paths if len(path) > 1]
    return np.concatenate(pieces) if pieces else np.zeros((0, 2, 3))


def _box_edges(corners_m: Array) -> Array:
    """The twelve edges (12, 2, 3) of a box."""
    low, high = corners_m
    corners = np.array([[low, high][bit][axis] for number in range(8) for axis, bit in enumerate(_bits(number))])
    corners = corners.reshape(8, 3)
    pairs = [(a, a | 1 << axis) for a in range(8) for axis in range(3) if not a & 1 << axis]
    return np.array([[corners[a], corners[b]] for a, b in pairs])


def _bits(number: int) -> tuple[int, int, int]:
    return number & 1, number >> 1 & 1, number >> 2 & 1


def _icosphere() -> tuple[Array, Array]:
    """Vertices and faces of the unit sphere."""
    import trimesh

    sphere = trimesh.creation.icosphere(subdivisions=2)
    return np.asarray(sphere.vertices, np.float32), np.asarray(sphere.faces, np.uint32)
