"""The folder of a run: one program at a time works in it, and what is in it is put aside, never thrown away."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import read_json


@contextlib.contextmanager
def locked_run(folder: Path) -> Iterator[int]:
    """Have a folder for oneself (flock), which ends with this program however it ends; made where it is missing.

    One that was made here and is still empty in the end is removed: what was refused leaves nothing behind.

    Yields:
        The lock's descriptor. The folder stays locked until the processes that were handed it have ended, too.

    Raises:
        UserError: Another program works in it, or it cannot be made.
    """
    made = not folder.exists()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; choose a folder you may write to") from error
    try:
        _lock(descriptor, folder)
        yield descriptor
    finally:
        os.close(descriptor)
        if made:
            with contextlib.suppress(OSError):
                folder.rmdir()


def _lock(descriptor: int, folder: Path) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UserError(
            f"another program works in {folder}: wait until it has ended, or give another folder"
        ) from error
    except OSError:
        pass  # some network file systems lock no folders: better unguarded than not at all


def put_aside(path: Path) -> Path:
    """Give a file or folder the first name of NAME-1, NAME-2, … that is free, and return that."""
    number = 1
    while (free := path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return path.rename(free)


def read_config(folder: Path) -> dict[str, Any]:
    """What was asked for when the run was begun.

    Raises:
        UserError: There is no `config.json`, or it is not a JSON object.
    """
    path = folder / "config.json"
    if not path.exists():
        raise UserError(f"there is no run to resume in {folder}: start one without --resume")
    config = read_json(path)
    if not isinstance(config, dict):
        raise UserError(
            f"{path} holds {json.dumps(config)[:40]}, expected a JSON object with what the run was begun with: put the "
            "file back as it was, or begin another run"
        )
    return config


def read_log(path: Path, fields: Collection[str]) -> list[dict[str, Any]]:
    """The episodes of a log, a JSON object each line; none where there is no log. A crash may have cut the last line.

    Raises:
        UserError: A line is no episode with these fields.
    """
    if not path.exists():
        return []
    episodes = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        if not line.endswith(b"\n"):
            break
        try:
            episode = json.loads(line)
        except ValueError:
            episode = None
        if not isinstance(episode, dict) or not episode.keys() >= set(fields):
            raise UserError(
                f"{path} is not a log of episodes: line {number} must be a JSON object with {', '.join(fields)}; put "
                "the file back as it was, or begin another run"
            )
        episodes.append(episode)
    return episodes
