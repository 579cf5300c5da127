"""The live page: what a robot, a bag or a training run does, in any browser on this machine.

A source yields snapshots, the page shows them: `LivePage(source).run(stopping)`. No source knows the page, and the page
knows no source.
"""

from sac_gmm.view.snapshot import Controls, EpisodeRow, Snapshot, Source, Status

__all__ = ["Controls", "EpisodeRow", "Snapshot", "Source", "Status"]
