"""Plays a bag in its own time: a recorded episode, or a whole session."""

from __future__ import annotations

import threading
from pathlib import Path

from sac_gmm.core.errors import UserError
from sac_gmm.demos.bags.open_bag import deserialise, open_bag
from sac_gmm.demos.bags.open_storages import OpenStorages
from sac_gmm.demos.bags.topics import absolute
from sac_gmm.models import load_model
from sac_gmm.view.collector import Collector
from sac_gmm.view.demonstrations import relative_paths
from sac_gmm.view.listener import TOPICS, Listener
from sac_gmm.view.playback import InterruptedPlaybackError, Playback
from sac_gmm.view.robot import iiwa_urdf, joint_names
from sac_gmm.view.snapshot import Snapshot, Status

_LONGEST_GAP_S = 2.0  # longer silences in the bag are cut short
_TELL_S = 0.1


class BagSource:
    """Plays a bag; only what is currently shown is kept in memory.

    Args:
        path: A rosbag2 folder, or a bare `.mcap` or `.db3` file.
        skill: The fitted skill, for a bag that does not contain it.
        demonstrations: Bags to draw beside it.

    Raises:
        UserError: The bag is missing or damaged, or holds nothing that the page can show.
    """

    def __init__(self, path: Path, skill: Path | None = None, demonstrations: Path | None = None) -> None:
        self._path = path
        with open_bag(path) as reader:
            self._wanted = _shown_topics(reader)
            if not self._wanted:
                topics = ", ".join(sorted({c.topic for c in reader.connections})) or "no topic"
                raise UserError(f"{path} has nothing to show: {topics}; expected some of {', '.join(TOPICS)}")
            self._duration_s = 1e-9 * reader.duration
        self.title = f"bag {path}, {self._duration_s:.1f} s"
        self.urdf = iiwa_urdf()
        self.controls = Playback("the bag")
        base = load_model(skill) if skill is not None else None
        self._collector = Collector(base=base, current=base, demonstrations=relative_paths(demonstrations))
        self._thread = threading.Thread(target=self._play, daemon=True)
        self._thread.start()

    def snapshot(self) -> Snapshot:
        """What is visible now."""
        return self.controls.marked(self._collector.snapshot())

    def close(self) -> None:
        """Close the bag."""
        self.controls.close()
        self._thread.join(5.0)

    def _play(self) -> None:
        while not self.controls.ended:
            try:
                if self._play_once():
                    self._tell("ended", "the bag has ended", "Reset plays it again.")
                    self.controls.idle()
            except UserError as error:
                self._tell("failed", str(error))
                self.controls.idle()

    def _play_once(self) -> bool:
        """Process one message after another, each at its time; return whether the end was reached."""
        listener, controls = Listener(self._collector, joint_names(self.urdf)), self.controls
        says_status = "controller_status" in self._wanted.values()
        self._collector.begin_episode()
        controls.begin()
        with open_bag(self._path) as reader:
            chosen = [connection for connection in reader.connections if connection.topic in self._wanted]
            at_ns = told_ns = reader.start_time
            for connection, time_ns, raw in reader.messages(connections=chosen):
                gap_s = min(1e-9 * max(time_ns - at_ns, 0), _LONGEST_GAP_S)
                at_ns = max(time_ns, at_ns)
                try:
                    controls.wait(gap_s)
                except InterruptedPlaybackError:
                    return False
                if not says_status and 1e-9 * (at_ns - told_ns) >= _TELL_S:
                    told_ns = at_ns
                    self._tell("playing", f"{1e-9 * (at_ns - reader.start_time):.1f} of {self._duration_s:.1f} s")
                listener.take_in(self._wanted[connection.topic], deserialise(reader, connection, raw))
        return True

    def _tell(self, state: str, reason: str, remedy: str = "") -> None:
        status = Status(state, reason, remedy, troubled=state == "failed", speed_scale=self.controls.speed)
        self._collector.change(status=status)


def _shown_topics(reader: OpenStorages) -> dict[str, str]:
    """The topics of a bag that can be shown, with or without a namespace, and their names here."""
    shown: dict[str, str] = {}
    for name, kind in TOPICS.items():
        suffix = absolute(name)
        found = [c.topic for c in reader.connections if absolute(c.topic).endswith(suffix) and c.msgtype == kind]
        if found:
            shown[min(found, key=len)] = name
    return shown
