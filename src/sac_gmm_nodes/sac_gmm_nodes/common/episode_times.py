"""Where a node's wall time goes in an episode, for `sac-gmm bench lockstep`."""

from __future__ import annotations

import contextlib
import json
import time
from collections import defaultdict
from collections.abc import Iterator

from sac_gmm_nodes.common.node import BaseNode


class EpisodeTimes:
    """Adds up what is spent on what, and logs it as JSON at the end of each episode if that is asked for.

    Args:
        node: The node; it receives the parameter.
    """

    def __init__(self, node: BaseNode) -> None:
        self._tells = node.flag("log_times", False, "log where the wall time of each episode went")
        self._log = node.get_logger()
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._episode_id = 0

    @contextlib.contextmanager
    def spent_on(self, what: str) -> Iterator[None]:
        """Count what is done inside the `with` statement; do not nest them."""
        begun_s = time.perf_counter()
        try:
            yield
        finally:
            self._seconds[what] += time.perf_counter() - begun_s

    def begin(self, episode_id: int) -> None:
        """Start from zero: an episode begins."""
        self._seconds.clear()
        self._episode_id = episode_id

    def end(self) -> None:
        """Log the seconds of the episode, which has ended."""
        if self._tells:
            seconds = {what: round(value, 6) for what, value in self._seconds.items()}
            self._log.info(f"times of episode {self._episode_id}: {json.dumps(seconds)}")
