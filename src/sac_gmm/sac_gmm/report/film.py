"""Films of episodes: the scene with what every sensor sees beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file
from sac_gmm.methods import MacroEnv, MacroStep, Outcome, run_episode
from sac_gmm.methods.episodes import Act
from sac_gmm.methods.sac_gmm import Gmm
from sac_gmm.models import SkillModel
from sac_gmm.perception.pictures import Picture, sensor_pictures
from sac_gmm.rl import Observation
from sac_gmm.tasks import Task

_HEIGHT = 480  # of a frame
_SIDE = 240  # of a sensor's picture
_BAR = 28  # of the line of text below
_HOLD_S = 1.0  # how long the last frame is shown


@dataclass(frozen=True)
class Frame:
    """One picture of a film.

    Attributes:
        picture: RGB, shape (height, width, 3).
        time_s: Since the start of the episode.
        success: Whether the task is done, by the simulation's ground truth.
    """

    picture: Picture
    time_s: float
    success: bool

    def scaled(self, width: int) -> Frame:
        """The same frame, `width` pixels wide."""
        height = round(self.picture.shape[0] * width / self.picture.shape[1])
        picture = cv2.resize(self.picture, (width, height), interpolation=cv2.INTER_AREA)
        return replace(self, picture=picture.astype(np.uint8))


@dataclass(frozen=True)
class Watched:
    """One episode as it was filmed.

    Attributes:
        outcome: Its outcome.
        sigma_m: Noise on the detected target per axis.
        duration_s: Of the episode.
        tip_m: (T, 3) path of the fingertip relative to the detected target, a row per control step, m, base axes.
        error_m: (3,) detected minus true position of the target, m; no skill sees the true one.
        models: The skill after each decision, with the time of the decision in s; empty for skills without a mixture.
        frames: Of the film.
    """

    outcome: Outcome
    sigma_m: float
    duration_s: float
    tip_m: NDArray[np.float64]
    error_m: NDArray[np.float64]
    models: list[tuple[float, SkillModel]]
    frames: list[Frame]


def watch(
    env: MacroEnv,
    policy: Act,
    seed: int,
    sigma_m: float | None = None,
    *,
    frame_interval: int = 3,
    from_s: float = 0.0,
    max_frames: int | None = None,
    width: int = 0,
) -> Watched:
    """Play and film an episode: a frame every few control steps, and one at its end.

    Args:
        env: Task and decoder.
        policy: What decides; `still` for a skill that decides nothing.
        seed: Of the episode.
        sigma_m: Noise on the detected target per axis; None for the task's own.
        frame_interval: Control steps between two frames.
        from_s: Time of the first frame; drawing is what takes the time.
        max_frames: Maximum number of frames.
        width: Width of a frame in pixels; 0 for as it is drawn.
    """
    task: Any = env.task
    noise_m = task.target_noise_std_m if sigma_m is None else sigma_m
    frames: list[Frame] = []
    tip_m: list[NDArray[np.float64]] = []
    models: list[tuple[float, SkillModel]] = []

    def draw(ended: bool) -> None:
        if max_frames is not None and len(frames) >= max_frames:
            return
        success = task.truth()["success"] > 0.5
        time_s = task.elapsed_steps * task.control_dt_s
        frame = Frame(compose(task, _caption(task.name, seed, noise_m, time_s, success, ended)), time_s, success)
        frames.append(frame.scaled(width) if width else frame)

    def on_state(state: dict[str, NDArray[np.float64]]) -> None:
        tip_m.append(state["ee_position_m"] - state["target_m"])
        if task.elapsed_steps % frame_interval == 0 and task.elapsed_steps * task.control_dt_s >= from_s:
            draw(ended=False)

    def on_step(observation: Observation, action: NDArray[np.floating], step: MacroStep) -> None:
        if isinstance(env.decoder, Gmm):
            models.append(((task.elapsed_steps - step.steps) * task.control_dt_s, env.decoder.controller.model))

    env.on_state = on_state
    outcome = run_episode(env, policy, seed, {"target_noise_std_m": noise_m}, on_step)
    duration_s = task.elapsed_steps * task.control_dt_s
    if frames and frames[-1].time_s == duration_s and max_frames is None:
        frames.pop()  # the same moment, but without the outcome in its caption
    draw(ended=True)
    return Watched(outcome, noise_m, duration_s, np.array(tip_m), task.target_m - task.true_target_m, models, frames)


def compose(task: Task, caption: str) -> Picture:
    """The scene on the left, the sensors' pictures on the right, a line of text below; RGB."""
    scene = task.render()
    width = round(scene.shape[1] * _HEIGHT / scene.shape[0])
    columns = [cv2.resize(scene, (width, _HEIGHT), interpolation=cv2.INTER_CUBIC)]
    tiles = [tile for group in task.sensors for tile in sensor_pictures(group, task.read(group))]
    for first in range(0, len(tiles), 2):
        column = np.full((_HEIGHT, _SIDE, 3), 24, np.uint8)
        for row, (title, tile) in enumerate(tiles[first : first + 2]):
            shown = cv2.resize(tile, (_SIDE, _SIDE), interpolation=cv2.INTER_NEAREST).astype(np.uint8)
            _write(shown, title, (6, 18))
            column[row * _SIDE : (row + 1) * _SIDE] = shown
        columns.append(column)
    picture = np.hstack(columns)
    bar = np.full((_BAR, picture.shape[1], 3), 24, np.uint8)
    _write(bar, caption, (8, 19))
    return np.vstack((picture, bar))


def write_film(path: Path, frames: Sequence[Frame], frames_per_s: float) -> None:
    """Write frames as .gif or .mp4; the last one is held for a second.

    Raises:
        UserError: The file has another ending, or there are no frames.
    """
    if not frames:
        raise UserError(f"{path}: there are no frames to write")
    pictures = [frame.picture for frame in frames]
    pictures += [pictures[-1]] * round(_HOLD_S * frames_per_s)
    if path.suffix == ".gif":
        _write_gif(path, pictures, frames_per_s)
    elif path.suffix == ".mp4":
        _write_mp4(path, pictures, frames_per_s)
    else:
        raise UserError(f"{path}: a film is a .gif or an .mp4 file; a .png is a still")


def write_still(path: Path, frame: Frame) -> None:
    """Write one frame as .png."""
    from PIL import Image

    with atomic_file(path) as partial:
        Image.fromarray(frame.picture).save(partial, format="png", optimize=True)


def _write_gif(path: Path, pictures: Sequence[Picture], frames_per_s: float) -> None:
    from PIL import Image

    # One palette for all frames and no dither: parts of the picture that do not change then take no space in the file.
    images = [Image.fromarray(picture) for picture in pictures]
    palette = images[len(images) // 2].quantize(128)
    images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
    with atomic_file(path) as partial:
        images[0].save(
            partial, format="gif", save_all=True, append_images=images[1:], duration=round(1e3 / frames_per_s), loop=0
        )


def _write_mp4(path: Path, pictures: Sequence[Picture], frames_per_s: float) -> None:
    height, width = (side - side % 2 for side in pictures[0].shape[:2])  # the codec requires even sides
    with atomic_file(path) as partial:
        named = partial.with_suffix(".mp4")  # the writer chooses the format by the ending
        try:
            writer = cv2.VideoWriter(str(named), cv2.VideoWriter.fourcc(*"mp4v"), frames_per_s, (width, height))
            if not writer.isOpened():
                raise UserError(f"{path}: this build of OpenCV cannot write mp4; write a .gif")
            for picture in pictures:
                writer.write(cv2.cvtColor(picture[:height, :width], cv2.COLOR_RGB2BGR))
            writer.release()
            # The writer does not report a full disk.
            if (written := _count_frames(named)) < len(pictures):
                raise UserError(
                    f"cannot write {path}: {written} of {len(pictures)} frames can be read back; make room on the disk"
                )
            named.replace(partial)
        finally:
            named.unlink(missing_ok=True)


def _count_frames(film: Path) -> int:
    """How many frames can be read of a film."""
    capture = cv2.VideoCapture(str(film))
    number = 0
    while capture.grab():
        number += 1
    capture.release()
    return number


def _caption(task: str, seed: int, sigma_m: float, time_s: float, success: bool, ended: bool) -> str:
    outcome = "success" if success else "time over" if ended else ""
    return f"{task}   seed {seed}   noise {100 * sigma_m:g} cm   {time_s:4.1f} s   {outcome}"


def _write(picture: Picture, text: str, at: tuple[int, int]) -> None:
    for colour, width in (((0, 0, 0), 3), ((255, 255, 255), 1)):
        cv2.putText(picture, text, at, cv2.FONT_HERSHEY_SIMPLEX, 0.48, colour, width, cv2.LINE_AA)
