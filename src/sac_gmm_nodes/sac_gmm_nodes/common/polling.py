"""Subscriptions that a loop reads by itself, past the executor."""

from __future__ import annotations

import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.subscription import Subscription


class Polled(CallbackGroup):
    """Subscriptions that no executor touches, because a loop takes their messages itself with `take`."""

    def can_execute(self, entity: object) -> bool:
        """Never."""
        return False

    def beginning_execution(self, entity: object) -> bool:
        """Never."""
        return False

    def ending_execution(self, entity: object) -> None:
        """Nothing was begun."""


def take(subscription: Subscription) -> list[tuple[Any, float]]:
    """All messages that wait in a polled subscription, oldest first, with their arrival times by `time.monotonic`."""
    taken: list[tuple[Any, float]] = []
    with subscription.handle:
        while (found := subscription.handle.take_message(subscription.msg_type, subscription.raw)) is not None:
            message, info = found
            # The middleware stamps with the system's clock, which may be set back or forth: hence the bounds.
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
