"""A lifecycle node whose transitions report what went wrong.

rclpy's own class swallows exceptions in a transition, and terminates the node on an impossible one.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import Any

from lifecycle_msgs.msg import State, Transition
from rclpy.lifecycle import LifecycleState, TransitionCallbackReturn
from rclpy.lifecycle.node import LifecycleNodeMixin

from sac_gmm.core.errors import UserError
from sac_gmm_nodes.common.node import BaseNode

_TRANSITIONS = {
    Transition.TRANSITION_CONFIGURE: "configure",
    Transition.TRANSITION_CLEANUP: "cleanup",
    Transition.TRANSITION_ACTIVATE: "activate",
    Transition.TRANSITION_DEACTIVATE: "deactivate",
    Transition.TRANSITION_UNCONFIGURED_SHUTDOWN: "shutdown",
    Transition.TRANSITION_INACTIVE_SHUTDOWN: "shutdown",
    Transition.TRANSITION_ACTIVE_SHUTDOWN: "shutdown",
}
_SUCCESS = TransitionCallbackReturn.SUCCESS


class ManagedNode(LifecycleNodeMixin, BaseNode):
    """A node that is configured, activated, deactivated and cleaned up from outside.

    Override `configure`, `activate`, `deactivate` and `cleanup`. A `UserError` raised in one of them refuses the
    transition and is logged as one sentence; anything else is logged with its traceback, and the node is cleaned up.

    Attributes:
        autostart: The parameter of that name; if it is set, the node's constructor ends with `start_by_itself`.
    """

    def __init__(self, name: str) -> None:
        BaseNode.__init__(self, name)
        LifecycleNodeMixin.__init__(self)
        self.autostart = self.flag("autostart", False, "configure and activate without a lifecycle manager")
        self._refusal = ""  # why the last transition failed
        asked = self._service_change_state.callback
        self._service_change_state.callback = self._never_raising(asked)

    @property
    def lifecycle_state(self) -> int:
        """One of lifecycle_msgs/State."""
        return int(self._state_machine.current_state[0])

    @property
    def is_active(self) -> bool:
        """Whether the node is active."""
        return self.lifecycle_state == State.PRIMARY_STATE_ACTIVE

    def start_by_itself(self) -> None:
        """Configure and activate, as a lifecycle manager would.

        Raises:
            UserError: A transition was refused.
        """
        for transition in (self.trigger_configure, self.trigger_activate):
            if transition() != _SUCCESS:
                raise UserError(self._refusal)

    def configure(self) -> None:
        """Prepare: load, open, check."""

    def activate(self) -> None:
        """Start acting."""

    def deactivate(self) -> None:
        """Stop acting and leave everything at rest."""

    def cleanup(self) -> None:
        """Undo `configure`. Called in any state but active, also after a `configure` that failed half-way."""

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Configure; if that fails, undo what was done."""
        result = self._carry_out(self.configure)
        if result != _SUCCESS:
            self._carry_out(self.cleanup, keep_refusal=True)
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Activate."""
        return self._carry_out(self.activate)

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Deactivate."""
        return self._carry_out(self.deactivate)

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Clean up."""
        return self._carry_out(self.cleanup)

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Come to rest from any state."""
        if state.state_id == State.PRIMARY_STATE_ACTIVE:
            self._carry_out(self.deactivate)
        return self._carry_out(self.cleanup)

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to the unconfigured state after a bug in a transition."""
        if state.state_id == State.PRIMARY_STATE_ACTIVE:
            self._carry_out(self.deactivate, keep_refusal=True)
        return self._carry_out(self.cleanup, keep_refusal=True)

    def _carry_out(self, transition: Callable[[], None], keep_refusal: bool = False) -> TransitionCallbackReturn:
        try:
            transition()
            return _SUCCESS
        except UserError as refusal:
            text, result = str(refusal), TransitionCallbackReturn.FAILURE
            self.get_logger().error(f"cannot {transition.__name__}: {text}")
        except Exception as error:
            text, result = f"{type(error).__name__}: {error}", TransitionCallbackReturn.ERROR
            self.get_logger().fatal(f"while trying to {transition.__name__}:\n{traceback.format_exc()}")
        if not keep_refusal:
            self._refusal = text
        return result

    def _never_raising(self, asked: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Any]:
        def answer(request: Any, response: Any) -> Any:
            asked_id, now = request.transition.id, self._state_machine.current_state[1]
            wanted = request.transition.label or _TRANSITIONS.get(asked_id, f"transition {asked_id}")
            possible = {entry[1]: entry[0] for entry in self._state_machine.available_transitions}
            if wanted in possible or (not request.transition.label and asked_id in possible.values()):
                try:
                    return asked(request, response)
                except Exception as error:  # rclpy's own error, of a private type
                    self.get_logger().error(f"{wanted} failed while {now}: {error}")
            else:
                self.get_logger().error(f"{wanted} is not possible while {now}: possible are {', '.join(possible)}")
            response.success = False
            return response

        return answer
