"""The pose that episodes begin from, and the file that keeps it: JSON, versioned, checksummed, written in one step."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import read_json, refuse_existing, write_json

Array = npt.NDArray[np.float64]
_FORMAT, _VERSION = "sac_gmm/home", 1
_TEACH = "`sac-gmm robot teach-home`"


@dataclass(frozen=True)
class Home:
    """Where the arm stands when an episode begins.

    Attributes:
        base_frame: Frame of the pose.
        position_m: Position of the tip, (3,).
        quaternion_xyzw: Its orientation as a unit quaternion, (4,); None: the one that it happens to have.
        joint_names: The arm's joints; empty if they are unknown.
        joints_rad: Their positions when it was taught, (n,).

    Raises:
        UserError: A number is missing or not finite, or the quaternion is not of norm 1.
    """

    base_frame: str
    position_m: Array
    quaternion_xyzw: Array | None = None
    joint_names: tuple[str, ...] = ()
    joints_rad: Array = field(default_factory=lambda: np.zeros(0))

    def __post_init__(self) -> None:
        _check("position_m", self.position_m, 3)
        _check("joints_rad", self.joints_rad, len(self.joint_names))
        if self.quaternion_xyzw is not None:
            _check("quaternion_xyzw", self.quaternion_xyzw, 4)
            if abs(np.linalg.norm(self.quaternion_xyzw) - 1) > 1e-3:
                raise UserError(f"quaternion_xyzw is {self.quaternion_xyzw.tolist()}, expected four numbers of norm 1")


def save_home(path: Path | str, home: Home, *, overwrite: bool = False) -> None:
    """Write a start pose.

    Args:
        path: The file; its name ends in .json.
        home: The pose.
        overwrite: Whether an existing file may be replaced.

    Raises:
        UserError: The file exists, or cannot be written.
    """
    if not overwrite:
        refuse_existing(Path(path))
    content: dict[str, Any] = {
        "format": _FORMAT,
        "version": _VERSION,
        "base_frame": home.base_frame,
        "position_m": home.position_m.tolist(),
        "quaternion_xyzw": None if home.quaternion_xyzw is None else home.quaternion_xyzw.tolist(),
        "joint_names": list(home.joint_names),
        "joints_rad": home.joints_rad.tolist(),
    }
    write_json(path, content | {"sha256": _checksum(content)})


def load_home(path: Path | str) -> Home:
    """Read a file written by `save_home`.

    Raises:
        UserError: The file is missing, of another kind or version, or was altered.
    """
    content = read_json(path)
    if not isinstance(content, dict) or content.get("format") != _FORMAT:
        raise UserError(f"{path} is not a file of a start pose: make one with {_TEACH}")
    if content.get("version") != _VERSION:
        raise UserError(f"{path} has version {content.get('version')!r}, expected {_VERSION}: teach it with {_TEACH}")
    said = content.pop("sha256", None)
    if said != _checksum(content):
        raise UserError(f"{path} was altered after it was written: teach it again with {_TEACH}")
    try:
        turn = content["quaternion_xyzw"]
        return Home(
            str(content["base_frame"]),
            np.array(content["position_m"], np.float64),
            None if turn is None else np.array(turn, np.float64),
            tuple(map(str, content["joint_names"])),
            np.array(content["joints_rad"], np.float64),
        )
    except KeyError as error:
        raise UserError(f"{path}: the field {error} is missing: teach it with {_TEACH}") from error
    except (TypeError, ValueError, UserError) as error:
        raise UserError(f"{path}: {error}; teach it with {_TEACH}") from error


def _check(name: str, values: Array, count: int) -> None:
    if values.shape != (count,) or not np.isfinite(values).all():
        raise UserError(f"{name} is {values.tolist()}, expected {count} finite numbers")


def _checksum(content: Mapping[str, Any]) -> str:
    text = json.dumps(dict(content), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()
