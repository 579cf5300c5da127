"""The folder of a run: its lock, its configuration and its log of episodes.

Only one program at a time works in the folder. Old contents are moved aside, never deleted.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file, read_json


@contextlib.contextmanager
def locked_run(folder: Path) -> Iterator[int]:
    """Lock a folder (flock) for this program until it ends, however it ends; create the folder if it is missing.

    A folder created here that is still empty at the end is removed, so that a rejected run leaves nothing behind.

    Yields:
        The lock's descriptor. The folder stays locked until every process that inherited it has ended.

    Raises:
        UserError: Another program uses the folder, or it cannot be created.
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
        pass  # some network file systems cannot lock a folder: better run unlocked than not at all


def put_aside(path: Path) -> Path:
    """Rename a file or folder to the first free name of NAME-1, NAME-2, … and return the new path."""
    number = 1
    while (free := path.with_name(f"{path.name}-{number}")).exists():
        number += 1
    return path.rename(free)


def read_config(folder: Path) -> dict[str, Any]:
    """Read the configuration with which a run was started.

    Raises:
        UserError: There is no `config.json`, or it is not a JSON object.
    """
    path = folder / "config.json"
    if not path.exists():
        raise UserError(f"there is no run to resume in {folder}: start one without --resume")
    config = read_json(path)
    if not isinstance(config, dict):
        raise UserError(
            f"{path} holds {json.dumps(config)[:40]}, expected a JSON object with the run's configuration: restore "
            "the file, or start another run"
        )
    return config


def check_same_values(
    path: Path, before: Mapping[str, Any], asked: Mapping[str, Any], *, recorded_only: bool = False
) -> None:
    """Raise an error if a run or result file would be continued with values other than those it was started with.

    Args:
        path: The folder or file, for the message.
        before: Recorded values, nested as in `asked`. Names not in `asked` are ignored.
        asked: Values requested now, as JSON values.
        recorded_only: Skip names that `before` does not record, such as a setting that is newer than the file.

    Raises:
        UserError: Values differ; the message names each of them.
    """
    if found := list(_differences(before, asked, recorded_only)):
        raise UserError(
            f"{path} was started with other values of: {'; '.join(found)}; give the same values, or another path"
        )


def _differences(
    before: Mapping[str, Any], asked: Mapping[str, Any], recorded_only: bool, prefix: str = ""
) -> Iterator[str]:
    for name, new in asked.items():
        if name not in before:
            if not recorded_only:
                yield f"{prefix}{name} (was not recorded, now {json.dumps(new)})"
        elif isinstance(before[name], dict) and isinstance(new, dict):
            yield from _differences(before[name], new, recorded_only, f"{prefix}{name}.")
        elif before[name] != new:
            yield f"{prefix}{name} (was {json.dumps(before[name])}, now {json.dumps(new)})"


class EpisodeLog:
    """The log of a run (`episodes.jsonl`): one JSON object per line, appended as each episode ends.

    It can be read once, or repeatedly while another program writes it.

    Args:
        path: The file; it may not exist yet.
        fields: Fields that every line must have.

    Attributes:
        path: The file.
        episodes: The lines read or appended so far.
    """

    def __init__(self, path: Path, fields: Collection[str] = ()) -> None:
        self.path = path
        self.episodes: list[dict[str, Any]] = []
        self._fields = tuple(fields)
        self._read_bytes = 0

    def read(self) -> bool:
        """Read the lines added since the last call; an incomplete last line is left for later.

        A file that has become shorter (a resumed run removes episodes) is read again from the start.

        Returns:
            Whether `episodes` has changed.

        Raises:
            UserError: The file cannot be read, or a line is not an episode with the required fields.
        """
        try:
            if shrunk := self.path.stat().st_size < self._read_bytes:
                self._read_bytes, self.episodes = 0, []
            with self.path.open("rb") as file:
                file.seek(self._read_bytes)
                lines = [line for line in file if line.endswith(b"\n")]
        except FileNotFoundError:
            return False
        except OSError as error:
            raise UserError(f"cannot read {self.path}: {error.strerror}") from error
        first = len(self.episodes) + 1
        self.episodes = self.episodes + [self._parse(line, number) for number, line in enumerate(lines, first)]
        self._read_bytes += sum(map(len, lines))
        return shrunk or bool(lines)

    def append(self, episode: Mapping[str, Any]) -> None:
        """Add an episode to the file and to `episodes`."""
        line = _line(episode)
        with self.path.open("ab") as file:
            file.write(line)
        self._read_bytes += len(line)
        self.episodes.append(dict(episode))

    def rewrite(self, episodes: Iterable[Mapping[str, Any]]) -> None:
        """Replace the file, atomically, with one that holds only these episodes.

        Raises:
            UserError: The file cannot be written.
        """
        self.episodes = [dict(episode) for episode in episodes]
        content = b"".join(map(_line, self.episodes))
        with atomic_file(self.path) as partial:
            partial.write_bytes(content)
        self._read_bytes = len(content)

    def put_aside(self) -> Path:
        """Start an empty log; return the new path of the old one."""
        self._read_bytes, self.episodes = 0, []
        return put_aside(self.path)

    def of(self, mode: str) -> list[dict[str, Any]]:
        """Episodes of one mode: base, train or evaluate."""
        return [episode for episode in self.episodes if episode["mode"] == mode]

    def count(self, mode: str) -> int:
        """Number of episodes of one mode."""
        return len(self.of(mode))

    def _parse(self, line: bytes, number: int) -> dict[str, Any]:
        try:
            episode = json.loads(line)
        except ValueError:
            episode = None
        if not isinstance(episode, dict) or not episode.keys() >= set(self._fields):
            raise UserError(
                f"{self.path} is not a log of episodes: line {number} must be a JSON object with "
                f"{', '.join(self._fields)}; restore the file, or start another run"
            )
        return episode


def _line(episode: Mapping[str, Any]) -> bytes:
    return json.dumps(episode).encode() + b"\n"
