"""Ends the simulated robot where a real one, or a second commander, is on its topics."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from sac_gmm.core.errors import UserError
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.polling import publisher_names

_LOOK_S = 0.5  # between two looks
_NEW_LOOKS = 10  # looks as the newcomer: discovery takes a moment, and on a busy machine longer
_REMEDY = (
    "stop one of them, or give all nodes of one another domain, as by `export ROS_DOMAIN_ID=42`. What was killed "
    "a moment ago is forgotten after half a minute"
)


class SoleRobot:
    """Looks from time to time who else publishes what only one robot says, and who commands it.

    Another robot ends this one at any time: what is meant for the simulation must not reach a real arm. A second
    simulated robot of the same name is refused by itself, as the newcomer, and so is a robot that two nodes command
    when it starts; a second commander that comes later is for the node that moves the arm to judge.

    Args:
        node: The simulated robot, before it publishes any of the topics.
        states: Topics that only a robot publishes.
        commands: Topics on which it is commanded.

    Raises:
        UserError: There is somebody already.
    """

    def __init__(self, node: BaseNode, states: Iterable[str], commands: Iterable[str]) -> None:
        self._node, self._own_name = node, node.get_fully_qualified_name()
        self._states = [node.resolve_topic_name(topic) for topic in states]
        self._commands = [node.resolve_topic_name(topic) for topic in commands]
        self._looks = 0
        self._look()
        node.create_timer(_LOOK_S, self._look, clock=node.steady_clock)

    def _look(self) -> None:
        self._looks += 1
        is_new = self._looks <= _NEW_LOOKS
        for topic in self._states:
            publishers = Counter(self._publishers(topic))
            namesakes = publishers.pop(self._own_name, 0) - self._own_publishers(topic)
            others = sorted(publishers)
            if is_new and namesakes > 0:
                others.append(f"another {self._own_name}")
            if others:
                raise UserError(f"{topic} is published by {' and '.join(others)}: a robot is there already; {_REMEDY}")
        if is_new:
            self._refuse_two_commanders()

    def _refuse_two_commanders(self) -> None:
        by_topic = {topic: self._publishers(topic) for topic in self._commands}
        names = sorted({name for names in by_topic.values() for name in names})
        twice = next((topic for topic, found in by_topic.items() if len(found) > len(set(found))), "")
        if len(names) > 1:
            raise UserError(f"{' and '.join(names)} both command the arm: {_REMEDY}")
        if twice:
            raise UserError(f"{twice} is published by two nodes called {names[0]}: {_REMEDY}")

    def _own_publishers(self, topic: str) -> int:
        return sum(publisher.topic_name == topic for publisher in self._node.publishers)

    def _publishers(self, topic: str) -> list[str]:
        """The full name of each publisher's node, as far as it is known already."""
        return [name for name in publisher_names(self._node, topic) if name]
