"""Whether the guard allows what a skill was trained with."""

from __future__ import annotations

import time
from typing import Any

from rcl_interfaces.srv import GetParameters
from rclpy.parameter import parameter_value_to_python
from rclpy.task import Future

from sac_gmm.control import SafetyLimits
from sac_gmm.core.errors import UserError
from sac_gmm_nodes.common.node import BaseNode

_NAMES = ("max_speed_m_s", "max_acceleration_m_s2", "max_jerk_m_s3")
_LOOK_S = 0.5
_ANSWER_S = 5.0  # discovery is not mutual at once, so an answer may be lost


class GuardLimits:
    """Asks `guard` for its limits, once it is there, and ends the node if the skill needs more.

    Args:
        node: It gets a client and a timer.
        trained: The limits of the skill's training.
    """

    def __init__(self, node: BaseNode, trained: SafetyLimits) -> None:
        self._trained = trained
        self._client = node.create_client(GetParameters, "guard/get_parameters")
        self._answer: Future | None = None
        self._asked_s = 0.0
        self._timer = node.create_timer(_LOOK_S, self._look, clock=node.steady_clock)

    def _look(self) -> None:
        """Ask, or judge the answer.

        Raises:
            UserError: The guard allows less than the skill was trained with.
        """
        answer = self._answer
        if answer is not None and answer.done():
            self._timer.cancel()
            self._judge(answer.result())
        elif self._client.service_is_ready() and time.monotonic() - self._asked_s > _ANSWER_S:
            if answer is not None:
                self._client.remove_pending_request(answer)
            self._answer, self._asked_s = self._client.call_async(GetParameters.Request(names=_NAMES)), time.monotonic()

    def _judge(self, answer: Any) -> None:
        values = (
            {} if answer is None else dict(zip(_NAMES, map(parameter_value_to_python, answer.values), strict=False))
        )
        allowed = {name: value for name, value in values.items() if value is not None}
        if objection := SafetyLimits.from_json(allowed).objection_to(self._trained, box=False):
            raise UserError(f"the guard allows less than the skill needs: {objection}")
