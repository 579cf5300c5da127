"""In which axes an LBR driver takes twists, according to its own parameters."""

from __future__ import annotations

from functools import partial
from typing import Any

from rcl_interfaces.msg import ParameterType
from rcl_interfaces.srv import GetParameters

from sac_gmm.control import Reason
from sac_gmm_nodes.common.node import BaseNode

_ASK_S = 1.0  # between two queries: the driver may be restarted with another setting
_TIP_FRAME = ("inv_jac_ctrl.twist_in_tip_frame", "twist_in_tip_frame")  # newer and older drivers


class DriverAxes:
    """Queries the driver periodically. In tip axes, its default, the arm would move the wrong way.

    Attributes:
        objection: Why the arm must not move; NONE once the driver has confirmed base axes.

    Args:
        node: The node that moves the arm.
        prefix: Namespace of the driver's topics, with a trailing slash; empty for none.
    """

    def __init__(self, node: BaseNode, prefix: str) -> None:
        self.objection = Reason.WRONG_DRIVER_SETTING
        self._logger = node.get_logger()
        self._settings = node.create_client(GetParameters, f"{prefix}twist_controller/get_parameters")
        node.create_timer(_ASK_S, self._ask, clock=node.steady_clock)

    def _ask(self) -> None:
        if not self._settings.service_is_ready():
            self.objection = Reason.WRONG_DRIVER_SETTING  # another driver may take over
            self._logger.info(
                f"waiting for {self._settings.srv_name} to report in which axes it takes twists",
                throttle_duration_sec=5.0,
            )
            return
        # One by one: asked for a name that it does not know, a driver leaves the whole answer empty.
        answers: list[Any] = []
        for name in _TIP_FRAME:
            future = self._settings.call_async(GetParameters.Request(names=[name]))
            future.add_done_callback(partial(self._on_answer, answers))

    def _on_answer(self, answers: list[Any], future: Any) -> None:
        """Judge once all names have been answered: only a driver that says false may receive twists."""
        answers.append(future.result().values)
        if len(answers) < len(_TIP_FRAME):
            return
        told = [v.bool_value for values in answers for v in values if v.type == ParameterType.PARAMETER_BOOL]
        before = self.objection
        self.objection = Reason.NONE if told and not any(told) else Reason.WRONG_DRIVER_SETTING
        if not self.objection and before:
            self._logger.info("the driver takes twists in base axes")
        elif any(told):
            self._logger.error("twist_in_tip_frame is true: the arm is not moved", throttle_duration_sec=5.0)
        elif not told:
            self._logger.error(
                f"{self._settings.srv_name} knows none of {', '.join(_TIP_FRAME)}: the arm is not moved",
                throttle_duration_sec=5.0,
            )
