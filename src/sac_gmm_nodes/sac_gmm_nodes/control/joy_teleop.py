"""Moves the arm by a gamepad or a SpaceMouse, through the guard.

    ros2 run sac_gmm_nodes joy_teleop --ros-args -p joystick:=gamepad
    ros2 run joy joy_node

With `drive: false` it is the deadman of an arm that something else moves, as a skill.

Hears `joy` (sensor_msgs/Joy) and says at a steady rate what the person asks for: `desired_twist`, `desired_gripper` and
`deadman`. The arm moves only while a button is held. A joystick that is silent, unplugged, or says what is no number
counts as released: zeros are sent, and the log says why. So does one that says the same for `unchanged_timeout_s`,
unless it is declared `wired`. A button that was down from the beginning does not count until it has been released once,
and after each episode it must be pressed anew.

`joystick` chooses a layout, and each axis and button has a parameter of its own besides. `gamepad` is Xbox's, as
joy_node reads it: hold RB, left stick for x and y, right stick for z and the turn about it, A closes the gripper, B
opens it, Start starts a recording and keeps it, Back discards it, Y tells `home_reset` that the task has been put back
(`reset_done`). `spacemouse` is that of spacenav (remap `joy` to
`spacenav/joy`): hold the left button; the right one closes and opens the gripper in turn.
"""

from __future__ import annotations

import math
import time

from geometry_msgs.msg import TwistStamped
from rclpy.duration import Duration
from sac_gmm_interfaces.msg import EpisodeState
from sensor_msgs.msg import Joy
from std_msgs.msg import Bool, Empty, Float64

from sac_gmm.control.joystick import LAYOUTS, Joystick, JoystickLayout, JoystickScales
from sac_gmm_nodes.common.conversions import header, twist_message
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.polling import Publishers
from sac_gmm_nodes.common.qos import COMMAND, EPISODE, RELIABLE
from sac_gmm_nodes.recording.recording_buttons import RecordingButtons

_LAST_WORD = Duration(seconds=1)  # time for it to be heard
_MOST = 63  # the last axis or button that may be named


class JoyTeleop(BaseNode):
    """Turns the newest reading of the joystick into what is asked for."""

    def __init__(self) -> None:
        super().__init__("joy_teleop")
        self._layout = self._declare_layout()
        wired = self.flag("wired", False, "it has a cable: it may say the same for as long as it likes")
        unchanged_s = self.real(
            "unchanged_timeout_s", 10.0, 0.5, 600.0, "s", "one that says the same for longer counts as released"
        )
        scales = self.settings(JoystickScales)
        self._joystick = Joystick(self._layout, scales, math.inf if wired else unchanged_s)
        self._drives = self.flag("drive", True, "ask for motions; false: deadman and buttons alone")
        rate_hz = self.real("rate_hz", 50.0, 10.0, 250.0, "Hz", "rate of all that is published")
        self._silence_timeout_s = self.real(
            "silence_timeout_s", 0.25, 0.02, 60.0, "s", "a joystick that is silent for longer counts as released"
        )
        self._base_frame = self.text("base_frame", "lbr_link_0", "frame of the twists")
        self._recording = RecordingButtons(self)

        if self._drives:
            self._twists = self.create_publisher(TwistStamped, "desired_twist", COMMAND)
            self._grippers = self.create_publisher(Float64, "desired_gripper", COMMAND)
        self._confirmations = self.create_publisher(Empty, "reset_done", RELIABLE)
        self.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)
        self._deadman = self.create_publisher(Bool, "deadman", RELIABLE)
        self.create_subscription(Joy, "joy", self._on_joy, RELIABLE)
        self._topic = self.resolve_topic_name("joy")
        self._drivers = Publishers(self, self._topic)
        self._heard_s = time.monotonic()
        self._ended_id: int | None = None  # of the last episode that ended
        self._said: str | None = None  # what the log has last said about the deadman
        self.create_timer(1.0 / rate_hz, self._tick, clock=self.steady_clock)

    def _declare_layout(self) -> JoystickLayout:
        preset = LAYOUTS[self.text("joystick", "gamepad", "layout of axes and buttons", tuple(LAYOUTS))]

        def button(name: str, default: int, text: str, low: int = -1) -> int:
            none = "; -1: none" if low < 0 else ""
            return self.whole(name, default, low, _MOST, f"button that {text}, counted from 0{none}")

        axes = "axis of each of vx, vy, vz, wx, wy, wz, counted from 0; -1: none"
        return JoystickLayout(
            twist_axes=tuple(self.wholes("twist_axes", preset.twist_axes, -1, _MOST, axes)),
            reversed_axes=tuple(self.wholes("reversed_axes", preset.reversed_axes, 0, _MOST, "axes to be reversed")),
            deadman_button=button("deadman_button", preset.deadman_button, "is held while the arm may move", 0),
            open_button=button("open_button", preset.open_button, "opens the gripper"),
            close_button=button("close_button", preset.close_button, "closes it; the same for both: in turn"),
            record_button=button("record_button", preset.record_button, "starts a recording and, again, keeps it"),
            discard_button=button("discard_button", preset.discard_button, "ends a recording and discards it"),
            confirm_button=button("confirm_button", preset.confirm_button, "says that the task has been put back"),
        )

    def close(self) -> None:
        """Let go."""
        self._joystick.let_go("this node ends")
        self._send()
        # Otherwise the last word may be lost before it is read.
        self._deadman.wait_for_all_acked(_LAST_WORD)
        if self._drives:
            self._twists.wait_for_all_acked(_LAST_WORD)

    def _on_joy(self, message: Joy) -> None:
        self._heard_s = time.monotonic()
        pressed = self._joystick.read(message.axes, message.buttons, self._heard_s)
        if self._layout.record_button in pressed:
            self._recording.start_or_keep()
        if self._layout.discard_button in pressed:
            self._recording.discard()
        if self._layout.confirm_button in pressed:
            self._confirmations.publish(Empty())

    def _on_episode(self, message: EpisodeState) -> None:
        if message.phase == EpisodeState.PHASE_ENDED and message.episode_id != self._ended_id:
            self._ended_id = message.episode_id
            self._joystick.ask_anew("the episode has ended: release the button, and press it again for the next one")

    def _tick(self) -> None:
        if time.monotonic() - self._heard_s > self._silence_timeout_s:
            self._joystick.let_go(self._silence())
        self._send()
        self._log()

    def _silence(self) -> str:
        if not self._drivers.names:
            return f"nobody publishes {self._topic}: plug the joystick in and start its driver, as joy_node"
        waited = f"has been silent for {self._silence_timeout_s:g} s"
        return f"{self._topic}{self._drivers.words} {waited}: is the joystick plugged in?"

    def _send(self) -> None:
        joystick, now = self._joystick, self.get_clock().now().to_msg()
        self._deadman.publish(Bool(data=joystick.held))
        if not self._drives:
            return
        self._twists.publish(twist_message(joystick.twist, header(now, self._base_frame)))
        if joystick.gripper is not None:
            self._grippers.publish(Float64(data=joystick.gripper))

    def _log(self) -> None:
        """Say that the deadman is held, or why it counts as released, when that changes."""
        because = self._joystick.because
        if because == self._said:
            return
        self._said = because
        if self._joystick.held:
            self.get_logger().info("the deadman is held: the arm may move")
        else:
            self.get_logger().warning(f"the deadman counts as released: {because}")


def main() -> None:
    """Entry point."""
    run_node(JoyTeleop)


if __name__ == "__main__":
    main()
