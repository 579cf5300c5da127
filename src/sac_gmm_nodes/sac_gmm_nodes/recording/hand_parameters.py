"""The parameters of a hand recording: the camera's pose, the tracked point of the hand, the cleaning of its motion."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.demos.bags.message_types import IMAGE
from sac_gmm.demos.hands.hand_bag import CAMERA_DEPTH, CAMERA_IMAGE
from sac_gmm.demos.hands.hand_recorder import HandRecorder
from sac_gmm.perception.extrinsics import RigidTransform, load_extrinsics
from sac_gmm.perception.hands import CleaningSettings, Retargeting
from sac_gmm_nodes.common.node import BaseNode


class _CameraPlace(NamedTuple):
    base_frame: str
    camera_frame: str
    base_from_camera: RigidTransform
    known_camera: str  # frame of the camera that a file is for; empty without a file


def hand_recorder(
    node: BaseNode, *, record_images: bool, record_depth: bool, use_depth: bool
) -> tuple[HandRecorder, str]:
    """Declare the parameters and make the recorder.

    Args:
        node: The node that receives the parameters.
        record_images: Store the pictures in the bag.
        record_depth: Store the depth images as well.
        use_depth: Take the hand's distance from the depth images.

    Returns:
        The recorder, and the frame that the pictures must have; empty if no file names the camera.

    Raises:
        UserError: A parameter is out of range, a file cannot be read, or two parameters contradict each other.
    """
    point = node.text("point", "pinch", "point of the hand taken as the end-effector", ("pinch", "palm", "wrist"))
    place = _camera_place(node)
    offset = _numbers(node, "tool_offset_m", (0.0, 0.0, 0.0), "m, end-effector in the axes of hand or marker")
    defaults = CleaningSettings()
    cleaning = CleaningSettings(
        max_gap_s=node.real("max_gap_s", defaults.max_gap_s, 0.0, 5.0, "s", "longest gap that is bridged"),
        smoothing_s=node.real("smoothing_s", defaults.smoothing_s, 0.0, 2.0, "s", "window of the smoothing"),
    )
    base_frame = place.base_frame or "lbr_link_0"
    retargeting = Retargeting(place.base_from_camera, RigidTransform.of(offset), base_frame, place.camera_frame)
    topics = {CAMERA_IMAGE: IMAGE} if record_images else {}
    if record_images and record_depth:
        topics[CAMERA_DEPTH] = IMAGE
    recorder = HandRecorder(
        retargeting,
        point,  # type: ignore[arg-type]  # one of the choices
        cleaning,
        extra_topics=topics,
        use_depth=use_depth,
    )
    return recorder, place.known_camera


def _camera_place(node: BaseNode) -> _CameraPlace:
    base_frame = node.text("base_frame", "", "the robot's base frame; empty: from the extrinsics file, else base")
    camera_frame = node.text("camera_frame", "camera_optical_frame", "frame of the pictures")
    extrinsics = node.text("extrinsics_file", "", "the camera's pose, from `sac-gmm hands calibrate`")
    position = _numbers(node, "camera_position_m", (0.0, 0.0, 0.0), "m, position of the camera in the base frame")
    quaternion = _numbers(node, "camera_quaternion_xyzw", (0.0, 0.0, 0.0, 1.0), "its rotation in the base frame")
    base_from_camera = RigidTransform.of(position, quaternion)
    if extrinsics:
        parent, camera_frame, base_from_camera = load_extrinsics(Path(extrinsics).expanduser())
        if base_frame not in ("", parent):
            raise UserError(
                f"parameter base_frame = '{base_frame}', but {extrinsics} gives the camera's pose in "
                f"'{parent}': leave base_frame empty, or calibrate the camera in the base frame"
            )
        return _CameraPlace(parent, camera_frame, base_from_camera, camera_frame)
    if np.allclose(base_from_camera.position_m, 0.0) and np.allclose(base_from_camera.rotation, np.eye(3)):
        if base_frame not in ("", camera_frame):  # numbers in the camera frame must not pass for base-frame numbers
            raise UserError(
                f"parameter base_frame = '{base_frame}', but the camera's pose in it is unknown: give "
                "extrinsics_file, or camera_position_m and camera_quaternion_xyzw"
            )
        base_frame = camera_frame
    return _CameraPlace(base_frame, camera_frame, base_from_camera, "")


def _numbers(node: BaseNode, name: str, default: tuple[float, ...], description: str) -> tuple[float, ...]:
    """Declare a parameter with as many numbers as its default."""
    given = node.text(name, ",".join(f"{value:g}" for value in default), f"{description}, as x,y,…")
    try:
        values = tuple(float(part) for part in given.split(","))
    except ValueError:
        values = ()
    if len(values) != len(default) or not np.isfinite(values).all():
        raise UserError(f"parameter {name} = {given!r}: expected {len(default)} numbers separated by commas")
    return values
