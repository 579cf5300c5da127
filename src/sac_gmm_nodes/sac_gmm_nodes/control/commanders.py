"""Who publishes commands: on the topics of an arm, or of those who want to move it."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rclpy.node import Node

from sac_gmm_nodes.common.polling import published_by, publisher_names

_AGAIN_S = 1.0  # between two looks at the names while the numbers of publishers stay the same


class Commanders:
    """The nodes that publish on some topics. A node that was killed counts until DDS has missed it.

    Attributes:
        names: Full names of the nodes, sorted, this one left out.
        others: Whether there are any.

    Args:
        node: The node that looks.
        topics: Full names of the topics.
        own: Number of publishers that this node has on them; one more of its name is another node's.
    """

    def __init__(self, node: Node, topics: Sequence[str], own: int = 0) -> None:
        self._node, self._topics, self._own = node, tuple(topics), own
        self._counts: tuple[int, ...] = ()
        self._looked_s = -float("inf")
        self.names: list[str] = []
        self._where: list[str] = []  # topics that they publish on

    @property
    def others(self) -> bool:
        """Whether anybody else publishes."""
        return bool(self.names)

    @property
    def words(self) -> str:
        """Who publishes, to be put after a topic's name; empty if nobody does."""
        return published_by(self.names)

    @property
    def objection(self) -> str:
        """Why this node must not publish beside them, and what to do; empty if there are none."""
        if not self.names:
            return ""
        who = f"{' and '.join(self.names)} publish{'es' if len(self.names) == 1 else ''}"
        return (
            f"{who} on {', '.join(self._where)} too: stop all but one; motion resumes then (a node that was killed "
            "counts until DDS has missed it, for up to half a minute)"
        )

    def look(self) -> None:
        """Look again; call it a few times a second."""
        counts, now_s = tuple(map(self._node.count_publishers, self._topics)), time.monotonic()
        if counts == self._counts and now_s - self._looked_s < _AGAIN_S:
            return
        self._counts, self._looked_s = counts, now_s
        me, own, found = self._node.get_fully_qualified_name(), self._own, []
        for topic, count in zip(self._topics, counts, strict=True):
            for name in publisher_names(self._node, topic) if count else ():
                if not name:
                    self._looked_s = -float("inf")  # it is known at the next look
                elif name == me and own:
                    own -= 1
                else:
                    found.append((name, topic))
        self._where = sorted({topic for _, topic in found})
        self.names = sorted({name for name, _ in found})
