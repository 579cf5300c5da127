"""Demonstrations by hand: track films, locate the camera, convert recordings to new motions.

    sac-gmm hands track film.mp4 -o runs/hands --palm-width-m 0.065
    sac-gmm hands track *.mp4 -o runs/hands --camera camera.yaml --extrinsics base_camera.json --target 0.55,0,0.3
    sac-gmm hands retarget runs/hands/film -o runs/moved --extrinsics base_camera.json
    sac-gmm hands board -o board.png
    sac-gmm hands calibrate pictures -o base_camera.json --camera camera.yaml
    sac-gmm hands prepare

The bags are ordinary demonstrations for `sac-gmm demos check` and `sac-gmm fit`. Nothing is ever overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from sac_gmm.core.command_line import help_text, show_examples
from sac_gmm.core.errors import UserError

if TYPE_CHECKING:
    import numpy as np

    from sac_gmm.perception.hands import CleaningSettings, Retargeting

Output = Annotated[Path, tyro.conf.arg(aliases=["-o"])]


@dataclass(frozen=True)
class Placing:
    """Pose of the camera and what the hand holds."""

    # File from `hands calibrate`. Default: the camera's own frame; for `retarget`, the recorded value.
    extrinsics: Path | None = None
    # The end-effector in the axes of the hand (x to the fingers, z out of its back) or of the marker: x,y,z in metres.
    # Default: 0,0,0; for `retarget`, the recorded value.
    tool_offset_m: str | None = None
    # The target in the base frame, x,y,z in metres, or `end`: where the motion ends. Default: `end`; for `retarget`,
    # the recorded value.
    target: str | None = None
    # Longest gap in the hand's track to bridge.
    max_gap_s: float = 0.3
    # Window of the smoothing, which adds no delay.
    smoothing_s: float = 0.25


def main(args: list[str]) -> int:
    """Run a subcommand.

    Returns:
        0 if all is well, 1 if a film could not be used.
    """
    from tyro.extras import subcommand_cli_from_dict

    commands: dict[str, Callable[..., int]] = {
        "track": track,
        "retarget": retarget,
        "calibrate": calibrate,
        "board": board,
        "prepare": prepare,
    }
    show_examples("sac-gmm hands", commands, __doc__)
    return subcommand_cli_from_dict(commands, args=args, prog="sac-gmm hands", description=help_text(__doc__))


def track(
    films: tyro.conf.Positional[tuple[Path, ...]],
    output: Output,
    placing: tyro.conf.OmitArgPrefixes[Placing],
    task: str = "",
    operator: str = "",
    side: Literal["any", "left", "right"] = "any",
    point: Literal["pinch", "palm", "wrist"] = "pinch",
    palm_width_m: float | None = None,
    marker: str = "",
    camera: Path | None = None,
    focal_px: float | None = None,
    model: Path | None = None,
    min_confidence: float = 0.5,
) -> int:
    """Turn every film into a demonstration: OUTPUT/NAME, a bag with the hand and the end-effector that follows it.

    If interrupted, run the same command again to continue.

    Args:
        films: Films of a hand, in any format that ffmpeg reads.
        output: Folder for the bags.
        placing: Pose of the camera and what the hand holds.
        task: Name of the task, for the bag.
        operator: Who demonstrates.
        side: The hand to follow; any takes the nearest.
        point: The point of the hand that stands for the end-effector.
        palm_width_m: Distance from the knuckle of the index finger to that of the little finger, centre to centre. It
            sets the scale; without it, a hand of average size is assumed.
        marker: Follow a marker instead of the bare hand: DICTIONARY:ID:SIZE_M, such as DICT_4X4_50:7:0.06.
        camera: Calibration (camera_calibration's YAML, a CameraInfo, or an OpenCV file). Without it the focal length is
            guessed.
        focal_px: Focal length in pixels, if there is no calibration.
        model: Your own hand_landmarker.task.
        min_confidence: Minimum confidence of the hand model, 0 to 1.
    """
    from sac_gmm.demos.hands.film_tracker import FilmTracker, Seeing
    from sac_gmm.perception.hands import Retargeting

    if not films:
        raise UserError("there is no film to track: give one or more")
    names: dict[str, Path] = {}
    for film in films:
        if film.stem in names:
            raise UserError(f"{names[film.stem]} and {film} would make the same bag: track them into two folders")
        names[film.stem] = film
    seeing = Seeing(side, palm_width_m, marker, camera, focal_px, model, min_confidence)
    retargeting = _retargeting(placing, Retargeting())
    tracker = FilmTracker(seeing, output, retargeting, point, _cleaning(placing), _target(placing.target))
    failed = 0
    for name, film in names.items():
        try:
            print(tracker.track(film, output / name, task, operator), flush=True)
        except UserError as error:
            failed += 1
            said = str(error)
            print(said if said.startswith(str(film)) else f"{film}: {said}", flush=True)
    if len(films) > 1:
        print(f"{len(films) - failed} of {len(films)} films are demonstrations now, in {output}")
    return 1 if failed else 0


def retarget(
    bags: tyro.conf.Positional[tuple[Path, ...]], output: Output, placing: tyro.conf.OmitArgPrefixes[Placing]
) -> int:
    """Convert recorded bags to new ones, with another camera pose, tool, target or cleaning; salvaged bags work too.

    Camera pose, tool and target stay as recorded unless an option changes them; so do task and operator.

    Args:
        bags: Bags from `hand_demo_recorder` or `hands track`, or folders of these.
        output: Folder for the new bags, which keep their names.
        placing: Pose of the camera and what the hand holds.
    """
    from sac_gmm.demos import EpisodeInfo, find_bags
    from sac_gmm.demos.hands.film_tracker import END_OF_MOTION
    from sac_gmm.demos.hands.hand_bag import read_hand_track
    from sac_gmm.demos.hands.hand_recorder import HandRecorder
    from sac_gmm.perception.hands import HandPose

    for bag in find_bags(bags):
        stamps_ns, seen, said = read_hand_track(bag)
        sidecar, setup = _recorded(bag)
        retargeting = _retargeting(placing, _recorded_retargeting(bag, setup))
        target, target_from = _target(placing.target), "--target"
        if placing.target is None and said is not None and sidecar.get("target_from") != END_OF_MOTION:
            frame = setup.get("base_frame", "unknown")
            if frame != retargeting.base_frame:
                raise UserError(
                    f"{bag}: its target is in frame '{frame}', its new motion in '{retargeting.base_frame}': say where "
                    "the target is there, --target x,y,z, or take the end of the motion, --target end"
                )
            target, target_from = said, f"{bag} ({sidecar.get('target_from', 'unknown')})"
        # The recording already refers to the recorded point: without landmarks, the recorder uses it unchanged.
        setup = {**setup, "retargeted_from": str(bag)}
        recorder = HandRecorder(retargeting, setup.get("point", "palm"), _cleaning(placing), setup)
        name = bag.name if bag.is_dir() else bag.stem
        info = EpisodeInfo(str(sidecar.get("task", "")), str(sidecar.get("operator", "")))
        recorder.start(output / name, info, allow_mixed=True)
        sides = seen.sides
        after_pauses = set(stamps_ns.searchsorted(_resumed_ns(bag, sidecar)).tolist())
        for i, stamp_ns in enumerate(stamps_ns.tolist()):
            if i in after_pauses:
                recorder.pause()
                recorder.resume()
            confidence, opening_m = float(seen.confidence[i]), float(seen.opening_m[i])
            pose = HandPose(seen.position_m[i], seen.rotation[i], confidence, "recording", opening_m, side=sides[i])
            recorder.take(stamp_ns, pose)
        print(recorder.save(target, target_from).summary())
    return 0


def calibrate(
    folder: tyro.conf.Positional[Path],
    output: Output,
    camera: Path,
    mounting: Literal["fixed", "wrist"] = "fixed",
    columns: int = 7,
    rows: int = 5,
    square_m: float = 0.035,
    marker_m: float = 0.026,
    dictionary: str = "DICT_5X5_100",
    base_frame: str = "lbr_link_0",
    flange_frame: str = "flange",
    camera_frame: str = "camera_optical_frame",
) -> int:
    """Find the pose of a camera, from pictures of a ChArUco board and the poses of the flange.

    Args:
        folder: Pictures, and poses.yaml: a list of {image: FILE, position_m: [x, y, z], quaternion_xyzw: [x, y, z, w]},
            the flange in the base frame when each was taken. Take 15 views, with rotations of 30 degrees about several
            axes.
        output: The file to write, for --extrinsics and for the recorder; its name ends in .json.
        camera: The camera's calibration.
        mounting: fixed: the camera is fixed, the arm carries the board; wrist: the arm carries the camera.
        columns: Squares of the board along x. If no such board is in the pictures, columns and rows are exchanged, and
            the layout of OpenCV before 4.6 is tried; the board that fits is printed.
        rows: Squares along y.
        square_m: Side of a square as printed: measure it.
        marker_m: Side of a marker as printed.
        dictionary: ArUco dictionary of the markers.
        base_frame: Name of the base frame.
        flange_frame: Name of the flange's frame.
        camera_frame: Name of the optical frame.
    """
    from sac_gmm.core.files import refuse_existing
    from sac_gmm.perception.calibrate_folder import calibrate_folder
    from sac_gmm.perception.camera_file import load_camera
    from sac_gmm.perception.extrinsics import save_extrinsics
    from sac_gmm.perception.hand_eye import CharucoBoard

    refuse_existing(output)  # before the work, not after it
    if output.suffix != ".json":
        raise UserError(f"{output}: the camera's pose is written as JSON: choose a name that ends in .json")
    printed = CharucoBoard(columns, rows, square_m, marker_m, dictionary)
    found = calibrate_folder(folder, load_camera(camera), printed, mounting)
    result = found.hand_eye
    if found.board != printed:
        print(f"the board is not {printed.name}: what is in the pictures is {found.board.name}, which was used")
    figures = {
        "views": result.views,
        "reprojection_px": round(result.reprojection_px, 4),
        "spread_m": round(result.spread_m, 6),
    }
    save_extrinsics(
        output, base_frame if mounting == "fixed" else flange_frame, camera_frame, result.camera, {"quality": figures}
    )
    for name in found.skipped:
        print(f"skipped {name}: the board is not in it")
    print(
        f"{result.views} views, reprojection {result.reprojection_px:.2f} px, the views agree on the board within "
        f"{result.spread_m * 1e3:.1f} mm"
    )
    print(f"wrote {output}")
    return 0


def board(
    output: Output,
    columns: int = 7,
    rows: int = 5,
    square_m: float = 0.035,
    marker_m: float = 0.026,
    dictionary: str = "DICT_5X5_100",
) -> int:
    """Draw the ChArUco board for printing.

    Args:
        output: Picture to write.
        columns: Squares along x.
        rows: Squares along y.
        square_m: Side of a square.
        marker_m: Side of a marker.
        dictionary: ArUco dictionary of the markers.
    """
    import cv2

    from sac_gmm.core.files import atomic_file, refuse_existing
    from sac_gmm.perception.hand_eye import CharucoBoard

    refuse_existing(output)  # before the work, not after it
    picture = CharucoBoard(columns, rows, square_m, marker_m, dictionary).picture(200)
    try:
        written, data = cv2.imencode(output.suffix or ".png", picture)
    except cv2.error:  # unknown file ending
        written = False
    if not written:
        raise UserError(f"{output}: this picture format cannot be written; use .png")
    with atomic_file(output, overwrite=False) as partial:
        partial.write_bytes(data.tobytes())
    print(f"wrote {output}: print it {columns * square_m * 1e3:.0f} mm wide and measure a square ({square_m} m)")
    return 0


def prepare(wheel: Path | None = None) -> int:
    """Install the hand model into the environment; `make setup` does this if it can.

    Args:
        wheel: The wheel that contains it, if this machine cannot download it.
    """
    from sac_gmm.perception.hands.model_files import prepare as prepare_model

    print(f"hand model: {prepare_model(wheel)}")
    return 0


def _retargeting(placing: Placing, otherwise: Retargeting) -> Retargeting:
    """The values from the options; those not given come from `otherwise`."""
    from sac_gmm.perception.extrinsics import RigidTransform, load_extrinsics

    if placing.tool_offset_m is not None:
        tool = RigidTransform.of(_three_numbers("--tool-offset-m", placing.tool_offset_m))
        otherwise = replace(otherwise, tool_in_hand=tool)
    if placing.extrinsics is None:
        return otherwise
    base_frame, camera_frame, pose = load_extrinsics(placing.extrinsics)
    return replace(otherwise, base_from_camera=pose, base_frame=base_frame, camera_frame=camera_frame)


def _recorded(bag: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    """A bag's sidecar, and its setup; empty if there is none."""
    import yaml

    from sac_gmm.demos.bags.bag_file import SIDECAR

    path = (bag if bag.is_dir() else bag.parent) / SIDECAR
    try:
        sidecar = yaml.safe_load(path.read_text(encoding="utf-8"))
        return sidecar, dict(sidecar.get("setup", {}))
    except FileNotFoundError:
        return {}, {}
    except (OSError, ValueError, TypeError, AttributeError, yaml.YAMLError) as error:
        raise UserError(f"cannot read {path}: {error}; fix or remove it") from error


def _resumed_ns(bag: Path, sidecar: Mapping[str, Any]) -> list[int]:
    """Stamps at which the recording resumed after its pauses."""
    stamps = sidecar.get("resumed_ns", [])
    if not isinstance(stamps, list) or not all(isinstance(stamp, int) for stamp in stamps):
        raise UserError(f"{bag}: resumed_ns in its sidecar is {stamps!r}, expected stamps in ns: fix or remove it")
    return stamps


def _recorded_retargeting(bag: Path, setup: Mapping[str, Any]) -> Retargeting:
    """How a bag was made; the defaults where it does not say."""
    from sac_gmm.perception.extrinsics import RigidTransform
    from sac_gmm.perception.hands import Retargeting

    if "base_from_camera" not in setup:
        return Retargeting()
    try:
        camera, tool = (RigidTransform.of(**setup[name]) for name in ("base_from_camera", "tool_in_hand"))
        return Retargeting(camera, tool, str(setup["base_frame"]), str(setup["camera_frame"]))
    except (KeyError, TypeError, ValueError, UserError) as error:
        raise UserError(f"{bag}: its sidecar does not say how it was made ({error}): fix or remove it") from error


def _cleaning(placing: Placing) -> CleaningSettings:
    from sac_gmm.perception.hands import CleaningSettings

    return CleaningSettings(max_gap_s=placing.max_gap_s, smoothing_s=placing.smoothing_s)


def _target(text: str | None) -> np.ndarray | None:
    return None if text in (None, "end") else _three_numbers("--target", text)


def _three_numbers(name: str, text: str) -> np.ndarray:
    import numpy as np

    try:
        values = np.array([float(part) for part in text.split(",")])
    except ValueError:
        values = np.zeros(0)
    if values.shape != (3,) or not np.isfinite(values).all():
        raise UserError(f"{name} {text}: expected three numbers x,y,z in metres")
    return values
