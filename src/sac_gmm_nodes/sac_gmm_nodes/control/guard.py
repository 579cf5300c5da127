"""Stands between the arm and whoever wants to move it: takes what is asked for, sends what is safe.

    ros2 run sac_gmm_nodes guard --ros-args -p autostart:=true --params-file config/guard.yaml

Anybody may ask: a skill, a joystick, another package's policy. They publish `desired_twist` (base frame, stamped) or
`desired_joint_velocity` (all joints of the arm, stamped), and `desired_gripper` (-1 open to 1 closed). The guard sends
the same within the limits of `gmm_controller`, whose loop, link, life cycle and reports it shares. It stops the arm,
and says why and what to do, when a command is late, old, stamped wrongly, not a number or in another frame, when its
sender is gone, when a second one appears, or when another node commands the arm.

On the wall clock a command holds until the next one, for `command_timeout_s` at most. In lock-step it answers a state:
it has the state's stamp, and the guard ticks once for each state, when its command is there; a gripper command goes out
with that tick, so it is published before the twist. One node asks at a time: a second one that publishes on any of the
three topics stops the arm, whether or not it sends anything. A reset asks on topics of its own, see `reset_motion`.
"""

from __future__ import annotations

import time

from std_msgs.msg import Float64

from sac_gmm.control import DRIVER_TIMEOUT_S, Reason, Tick
from sac_gmm.control.command_gate import Asked, CommandGate, gripper_opening
from sac_gmm.control.twist_guard import ArmJoints, TwistGuard
from sac_gmm_nodes.common.node import run_node
from sac_gmm_nodes.common.qos import COMMAND, RELIABLE, SENSOR
from sac_gmm_nodes.control.command_input import IN_AN_EPISODE, CommandInput
from sac_gmm_nodes.control.commanders import Commanders
from sac_gmm_nodes.control.episode import Episode
from sac_gmm_nodes.control.motion_node import MotionNode
from sac_gmm_nodes.control.robot_link import ArmReading

_LOOK_S = 0.2  # between two looks at who publishes commands
_OF_COMMANDS = (Reason.NO_COMMAND, Reason.STALE_COMMAND, Reason.SECOND_SENDER, Reason.COMMAND_REFUSED)
_MAY_GRIP = (Reason.NONE, Reason.NO_COMMAND, Reason.STALE_COMMAND)  # nothing but a twist is missing, if anything


class Guard(MotionNode[TwistGuard]):
    """A `MotionNode` that follows what others ask for, as far as its `CommandGate` lets it."""

    def __init__(self) -> None:
        super().__init__("guard", without=("start_ramp_s",))
        self.driven_by_events = False  # rclpy's fails with callbacks that take a message's number, as ours do
        needs_episode = self.flag("needs_episode", False, "move only in a running episode; in lock-step always so")
        self._needs_episode = needs_episode or self._lockstep
        self._gate = CommandGate(self._command_settings, self._base_frame, self._lockstep, self.joint_names)
        self._opening: float | None = None  # of the gripper, not yet forwarded
        self._moved_ns = 0  # in lock-step: stamp of the last state that was answered

        # Best effort takes from everybody; in lock-step none may be lost.
        qos = RELIABLE if self._lockstep else SENSOR
        gripper = self.create_subscription(Float64, "desired_gripper", self._on_gripper, qos)
        self._input = CommandInput(self, IN_AN_EPISODE, self._gate, qos, self._notify, (gripper.topic_name,))
        self._grippers = self.create_publisher(Float64, "command/gripper", COMMAND)
        self._commanders = Commanders(self, self.link.command_topics, own=1)
        self.create_timer(_LOOK_S, self._look, clock=self.steady_clock)
        self.begin()

    def configure(self) -> None:
        """Start the loop, which does not move the arm yet."""
        super().configure()
        self.get_logger().info(f"guards the arm, {self._pace_words}")

    def activate(self) -> None:
        """Allow the arm to move, at what is asked for from now on."""
        self._gate.forget()
        self._opening = None
        super().activate()

    # The loop --------------------------------------------------------------------------------------------------

    def make_motion(self, joints: ArmJoints | None) -> TwistGuard:
        """See `MotionHooks`."""
        return TwistGuard(self._limits, self._turns, 1 / self._rate_hz, joints)

    def move(self, motion: TwistGuard, reading: ArmReading | None, age_s: float, hold: Reason) -> Tick:
        """See `MotionHooks`."""
        asked, position = self._asked(reading), None if reading is None else reading.position_m
        if motion is not self._motion:  # the copy that rehearses
            return motion.tick(position, age_s, asked, hold)
        if self._lockstep and reading is not None:
            if (reading.stamp_ns - self._moved_ns) * 1e-9 > DRIVER_TIMEOUT_S:
                motion.start_from_rest()
            self._moved_ns = reading.stamp_ns
        tick = motion.tick(position, age_s, asked, hold)
        opening, self._opening = self._opening, None  # one that comes while the arm is held is not kept for later
        if opening is not None and tick.reason in _MAY_GRIP:
            self._grippers.publish(Float64(data=opening))
        return tick

    def shared_reason(self) -> Reason:
        """See `MotionHooks`."""
        return Reason.OTHER_COMMANDER if self._commanders.others else Reason.NONE

    def wanted_by(self) -> str:
        """Who asks for a motion of an episode now, in words."""
        may = not self._needs_episode  # otherwise it is not followed anyway, such as a last command of an episode
        asks = may and self._gate.wants_motion and self._asked(None).reason is Reason.NONE
        return f"{IN_AN_EPISODE.twist}{self._input.senders.words}" if asks else ""

    def own_reason(self, now_s: float, running: bool) -> Reason:
        """Why the arm must not move: two ask, or no episode is running."""
        if self._gate.second_sender(now_s):
            return Reason.SECOND_SENDER
        return Reason.NO_EPISODE if self._needs_episode and not running else Reason.NONE

    def answerable(self, reading: ArmReading, episode: Episode) -> bool:
        """Whether the command for this state is there; while the arm is held, whether it must still be brought to rest.

        A held arm at rest leaves its state unanswered: the simulation waits, and its command is followed afterwards.
        """
        motion = self._motion
        if motion is None:
            return False
        if self._reason_to_hold(time.monotonic(), self._running_episode() is not None):
            return not motion.silent
        return self._gate.answers(reading.stamp_ns)

    def _asked(self, reading: ArmReading | None) -> Asked:
        return self._input.asked(0 if self._lockstep else None, 0 if reading is None else reading.stamp_ns)

    # Callbacks -------------------------------------------------------------------------------------------------

    def _on_gripper(self, message: Float64) -> None:
        self._opening = gripper_opening(message.data)
        if self._opening is None:
            text = f"desired_gripper{self._input.senders.words} is not a number: it is ignored; fix its sender"
            self.get_logger().error(text, throttle_duration_sec=5.0)

    def _look(self) -> None:
        """See who asks and who commands, off the loop's thread."""
        self._commanders.look()
        self._input.look()
        self._notify()

    def _go_on(self) -> None:
        super()._go_on()
        self._notify()

    # Publishing ------------------------------------------------------------------------------------------------

    def sentence(self, reason: Reason) -> str:
        """See `MotionHooks`."""
        if reason is Reason.OTHER_COMMANDER:
            return self._commanders.objection
        if reason is Reason.INACTIVE:
            own = self.get_fully_qualified_name()
            return (
                "not activated: the lifecycle manager does that once all nodes are there; by hand, "
                f"`ros2 lifecycle set {own} activate`"
            )
        if reason not in _OF_COMMANDS:
            return ""
        asked = self._asked(self._reading)
        return asked.text if asked.reason is reason else ""

    def _standing_reason(self) -> Reason:
        reason = super()._standing_reason()
        return reason if reason or self.resetting else self._asked(self._reading).reason


def main() -> None:
    """Run the node."""
    run_node(Guard)


if __name__ == "__main__":
    main()
