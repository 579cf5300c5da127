"""User requests to a node that moves the arm: pause, stop, and the speed scale."""

from __future__ import annotations

from collections.abc import Callable

from rcl_interfaces.msg import SetParametersResult
from rclpy.parameter import Parameter
from std_srvs.srv import SetBool, Trigger

from sac_gmm.control import Limit, Reason, remedy
from sac_gmm_nodes.common.node import BaseNode


class MotionRequests:
    """The services `~/pause` and `~/stop`, and the parameter `speed_scale`.

    Attributes:
        hold: The requested reason to hold the arm; NONE if there is none.
        speed_scale: Factor on the speed.

    Args:
        node: The node that moves the arm.
        go_on: Called when motion is allowed again.
        held: Why the arm is not moved now, and what to do about it; NONE where it is.
    """

    def __init__(self, node: BaseNode, go_on: Callable[[], None], held: Callable[[], tuple[Reason, str]]) -> None:
        self.hold = Reason.NONE
        text = "factor on the speed; may be set while the node runs"
        self.speed_scale = node.real("speed_scale", 1.0, 0.0, 1.0, "", text, tunable=True)
        self._go_on, self._held = go_on, held
        node.add_on_set_parameters_callback(self._on_parameters)
        node.create_service(SetBool, "~/pause", self._on_pause)
        node.create_service(Trigger, "~/stop", self._on_stop)

    def _on_parameters(self, parameters: list[Parameter]) -> SetParametersResult:
        for parameter in parameters:
            if parameter.name == "speed_scale":
                value = parameter.value
                if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0.0 <= value <= 1.0:
                    reason = f"parameter speed_scale = {value!r} is out of range: expected 0 to 1"
                    return SetParametersResult(successful=False, reason=reason)
                self.speed_scale = float(value)
        return SetParametersResult(successful=True)

    def _on_pause(self, request: SetBool.Request, response: SetBool.Response) -> SetBool.Response:
        self.hold = Reason.PAUSED if request.data else Reason.NONE
        response.success = True
        if request.data:
            response.message = "paused"
            return response
        self._go_on()
        reason, why = self._held()
        held = f"no longer paused, but something else holds the arm ({reason.name}): {why}"
        response.message = held if reason else "going on"
        return response

    def _on_stop(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        self.hold = Reason.STOPPED
        response.success = True
        response.message = remedy(Reason.STOPPED, Limit.NONE)
        return response
