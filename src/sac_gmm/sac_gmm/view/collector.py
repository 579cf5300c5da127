"""Gathers what a source reports, piece by piece, into snapshots; keeps no more than can be displayed."""

from __future__ import annotations

import dataclasses
import threading
from collections import deque
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from sac_gmm.view.snapshot import Array, EpisodeRow, Picture, Rollout, Snapshot, Ticks

_PATH_POINTS = 600  # beyond this, every other point is dropped
_STEP_M = 0.001  # a smaller movement of the tip is ignored
_ROLLOUTS = 10
_TICKS = 600
_EPISODES = 20_000


class Collector:
    """Collects fields of a snapshot; one thread may write while another reads."""

    def __init__(self, **known: Any) -> None:
        self._lock = threading.Lock()
        self._now = Snapshot(**known)
        self._path: list[Array] = []
        self._rollouts: deque[Rollout] = deque(maxlen=_ROLLOUTS)
        self._episodes: deque[EpisodeRow] = deque(maxlen=_EPISODES)
        self._ticks: deque[tuple[float, float, float]] = deque(maxlen=_TICKS)
        self._path_changed = self._ticks_changed = False

    def change(self, **fields: Any) -> None:
        """Set fields of the snapshot."""
        with self._lock:
            self._now = dataclasses.replace(self._now, **fields)

    def tip(self, position_m: Array) -> None:
        """The tip is at `position_m` (3,)."""
        with self._lock:
            self._now = dataclasses.replace(self._now, tip_m=position_m)
            if self._path and np.linalg.norm(position_m - self._path[-1]) < _STEP_M:
                return
            self._path.append(position_m)
            self._path_changed = True
            if len(self._path) > _PATH_POINTS:
                del self._path[1::2]

    def begin_episode(self) -> None:
        """Start a new path of the tip."""
        with self._lock:
            self._path.clear()
            self._path_changed = True

    def end_episode(self, success: bool) -> None:
        """Turn the path of the tip into a rollout."""
        with self._lock:
            target = self._now.target_m
            if target is not None and len(self._path) > 1:
                self._rollouts.append(Rollout(np.array(self._path) - target, success))
                self._now = dataclasses.replace(self._now, rollouts=tuple(self._rollouts))
            self._path.clear()
            self._path_changed = True

    def add_episodes(self, *rows: EpisodeRow) -> None:
        """Add episodes that have ended, in order."""
        if rows:
            with self._lock:
                self._episodes.extend(rows)
                self._now = dataclasses.replace(self._now, episodes=tuple(self._episodes))

    def picture(self, sensor: str, title: str, rgb: Array) -> None:
        """Set the picture of a sensor, RGB (H, W, 3)."""
        with self._lock:
            pictures = {**self._now.pictures, sensor: Picture(title, rgb)}
            self._now = dataclasses.replace(self._now, pictures=pictures)

    def tick(self, time_s: float, compute_s: float, late_s: float) -> None:
        """Add a control tick."""
        with self._lock:
            self._ticks.append((time_s, 1e3 * compute_s, 1e3 * late_s))
            self._ticks_changed = True

    def snapshot(self) -> Snapshot:
        """Everything gathered so far."""
        with self._lock:
            if self._path_changed:
                self._path_changed = False
                self._now = dataclasses.replace(self._now, path_m=np.array(self._path).reshape(-1, 3))
            if self._ticks_changed:
                self._ticks_changed = False
                self._now = dataclasses.replace(self._now, ticks=Ticks(*np.array(self._ticks).T))
            return self._now


def workspace(low_m: ArrayLike, high_m: ArrayLike) -> Array:
    """The corners of a box in the form that a snapshot uses, (2, 3)."""
    return np.array([low_m, high_m], dtype=np.float64)
