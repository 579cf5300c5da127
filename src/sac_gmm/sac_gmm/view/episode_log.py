"""The log of a run, read as it grows."""

from __future__ import annotations

import json
from pathlib import Path

from sac_gmm.core.errors import UserError
from sac_gmm.view.snapshot import EpisodeRow


class EpisodeLog:
    """Reads `episodes.jsonl` of `sac-gmm train` and of `sac-gmm demo`.

    Args:
        path: The file; it may come later.
        control_dt_s: Of a control step, where the log counts steps.
    """

    def __init__(self, path: Path, control_dt_s: float) -> None:
        self._path, self._control_dt_s = path, control_dt_s
        self._read_bytes = 0
        self.episodes: list[EpisodeRow] = []

    def read(self) -> bool:
        """Read what has been added since the last call; whether `episodes` has changed.

        A run that was killed and resumed may have taken some back.

        Raises:
            UserError: The file is not a log of episodes.
        """
        try:
            if shrunk := self._path.stat().st_size < self._read_bytes:
                self._read_bytes = 0
                self.episodes.clear()
            with self._path.open("rb") as file:
                file.seek(self._read_bytes)
                lines = [line for line in file if line.endswith(b"\n")]  # the last one may be half written
        except FileNotFoundError:
            return False
        self._read_bytes += sum(map(len, lines))
        try:
            new = [self._row(json.loads(line)) for line in lines]
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{self._path} is not a log of episodes ({error!r}): give the folder of a run") from error
        self.episodes += new
        return shrunk or bool(new)

    def _row(self, line: object) -> EpisodeRow:
        if not isinstance(line, dict):
            raise TypeError(f"{json.dumps(line)[:40]} is no JSON object")
        duration = line.get("duration_s")
        if duration is None and "steps" in line:
            duration = float(str(line["steps"])) * self._control_dt_s
        number = line.get("number", len(self.episodes))
        return EpisodeRow(
            int(str(number)),
            str(line["mode"]),
            int(str(line["seed"])),
            bool(line["success"]),
            None if duration is None else float(str(duration)),
        )
