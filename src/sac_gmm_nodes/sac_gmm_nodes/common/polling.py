"""Subscriptions that a loop reads by itself, past the executor, and who publishes what they read."""

from __future__ import annotations

import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.subscription import Subscription

_LOOK_S = 0.9  # between two looks at who publishes


class Polled(CallbackGroup):
    """Subscriptions that no executor touches, because a loop reads their messages with `take`."""

    def can_execute(self, entity: object) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: object) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: object) -> None:
        """Nothing to end."""


def take(subscription: Subscription) -> list[tuple[Any, float]]:
    """All waiting messages of a polled subscription, oldest first, with their arrival times by `time.monotonic`."""
    taken: list[tuple[Any, float]] = []
    with subscription.handle:
        while (found := subscription.handle.take_message(subscription.msg_type, subscription.raw)) is not None:
            message, info = found
            # The middleware stamps with the system clock, which may jump: hence the bounds.
            waited_s = min(max((time.time_ns() - info["received_timestamp"]) * 1e-9, 0.0), 10.0)
            taken.append((message, time.monotonic() - waited_s))
    return taken


def take_what_waits(subscription: Subscription, most: int) -> None:
    """Deliver up to `most` messages that have arrived: topics and services overtake each other in an executor."""
    for _ in range(most):
        with subscription.handle:
            taken = subscription.handle.take_message(subscription.msg_type, subscription.raw)
        if taken is None:
            return
        subscription.callback(taken[0])


def publisher_names(node: Node, topic: str) -> list[str]:
    """The full name of the node of each publisher of a topic; empty for one that has only just come."""
    return [
        "" if info.node_name.startswith("_NODE_NAME_UNKNOWN") else f"{info.node_namespace.rstrip('/')}/{info.node_name}"
        for info in node.get_publishers_info_by_topic(topic)
    ]


def published_by(names: list[str]) -> str:
    """Who publishes, to be put after a topic's name; empty if nobody does."""
    return f" (published by {', '.join(names)})" if names else ""


class Publishers:
    """Who publishes a topic.

    Args:
        node: Any node.
        topic: The topic's full name.
    """

    def __init__(self, node: Node, topic: str) -> None:
        self._node, self._topic = node, topic
        self._names: list[str] = []
        self._looked_s = -float("inf")

    @property
    def names(self) -> list[str]:
        """The nodes' full names, sorted; looked up once a second at most, once there are any."""
        now_s = time.monotonic()
        if not self._names or now_s - self._looked_s > _LOOK_S:
            self._looked_s = now_s
            self._names = sorted({name for name in publisher_names(self._node, self._topic) if name})
        return self._names

    def look_again(self) -> None:
        """Have them looked up at the next question: somebody has come who was not there before."""
        self._looked_s = -float("inf")

    @property
    def words(self) -> str:
        """The same, to be put after the topic's name; empty where nobody publishes it."""
        return published_by(self.names)
