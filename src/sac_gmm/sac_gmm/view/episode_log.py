"""The episode log of a run, for the live page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sac_gmm.core.errors import UserError
from sac_gmm.core.runs import EpisodeLog
from sac_gmm.view.snapshot import EpisodeRow


class ShownLog:
    """Follows the `episodes.jsonl` of `sac-gmm train` or `sac-gmm demo`.

    Args:
        path: The file; it may appear later.
        control_dt_s: Length of a control step, for logs that count steps.

    Attributes:
        rows: The episodes so far.
    """

    def __init__(self, path: Path, control_dt_s: float) -> None:
        self._log = EpisodeLog(path, ("mode", "seed", "success"))
        self._control_dt_s = control_dt_s
        self.rows: tuple[EpisodeRow, ...] = ()

    def read(self) -> bool:
        """Read what was added since the last call; return whether `rows` changed.

        Raises:
            UserError: The file is not a log of episodes.
        """
        if not self._log.read():
            return False
        try:
            self.rows = tuple(self._row(line, number) for number, line in enumerate(self._log.episodes))
        except (ValueError, TypeError) as error:
            raise UserError(f"{self._log.path} is not a log of episodes ({error}): give the folder of a run") from error
        return True

    def _row(self, line: dict[str, Any], number: int) -> EpisodeRow:
        duration_s = line.get("duration_s")
        if duration_s is None and "steps" in line:
            duration_s = float(line["steps"]) * self._control_dt_s
        return EpisodeRow(
            int(line.get("number", number)),
            str(line["mode"]),
            int(line["seed"]),
            bool(line["success"]),
            None if duration_s is None else float(duration_s),
        )
