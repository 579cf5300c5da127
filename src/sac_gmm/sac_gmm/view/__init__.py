"""The live page: shows what a robot, a bag or a training run is doing, in any browser on this machine.

A source provides snapshots, and the page shows them: `LivePage(source).run(stopping)`. Sources and page do not know
each other.
"""

from sac_gmm.view.snapshot import Controls, EpisodeRow, Snapshot, Source, Status

__all__ = ["Controls", "EpisodeRow", "Snapshot", "Source", "Status"]
