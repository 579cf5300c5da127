"""The reward of a person: a button or a key says that an episode has succeeded, has failed, or does not count.

    ros2 run joy joy_node
    ros2 run sac_gmm_nodes button_reward --ros-args -p success_button:=0 -p failure_button:=1 -p discard_button:=2
    ros2 run sac_gmm_nodes button_reward --ros-args -p device:=keys

A call ends the episode at once: success and failure as what they are, discard so that it is run again. Of the last
moment of an episode nothing is told until `late_window_s` after its time limit, so that a call within that time still
counts for it; without one the time has then run out. A call at any other time counts for no episode, and the log says
so. The keys are s, f and d, in the terminal in which the node was started. A joystick that falls silent makes the
reward invalid: joy_node repeats itself, by default 20 times a second (`autorepeat_rate`).
"""

from __future__ import annotations

import time

from rclpy.qos import QoSProfile, ReliabilityPolicy
from sac_gmm_interfaces.msg import EpisodeState
from sensor_msgs.msg import Joy

from sac_gmm.core.errors import UserError
from sac_gmm.perception.button import ButtonPresses, Call, EpisodeCalls
from sac_gmm_nodes.common.conversions import header, nanoseconds, stamp_of
from sac_gmm_nodes.common.keyboard import Keyboard
from sac_gmm_nodes.common.node import run_node
from sac_gmm_nodes.reward.reward_node import RewardNode

_EVERY_PRESS = QoSProfile(depth=50, reliability=ReliabilityPolicy.BEST_EFFORT)  # any driver's, and no press is lost
_KEYS = {"s": Call.SUCCESS, "f": Call.FAILURE, "d": Call.DISCARD}


class ButtonReward(RewardNode):
    """Turns presses into Rewards, which it sends at a rate of its own."""

    def __init__(self) -> None:
        super().__init__(
            "button_reward",
            source="button",
            reading="reading",
            topic="joy",
            check="the joystick, its battery and joy_node, whose autorepeat_rate must not be 0",
            frames=None,
        )
        device = self.text("device", "joy", "where the calls come from: buttons on joy, or keys", ("joy", "keys"))
        buttons = {
            call: self.whole(f"{call.value}_button", number, -1, 63, f"the button for {call.value}, from 0; -1: none")
            for number, call in enumerate(Call)
        }
        debounce_s = self.real("debounce_s", 0.05, 0.0, 1.0, "s", "a button pressed again sooner has bounced")
        window_s = self.real("late_window_s", 2.0, 0.0, 60.0, "s", "a call so long after the time limit still counts")
        rate_hz = self.real("rate_hz", 20.0, 1.0, 200.0, "Hz", "rate of the rewards")
        self._presses = ButtonPresses({call: k for call, k in buttons.items() if k >= 0}, debounce_s)
        self._calls = EpisodeCalls(window_s)
        self._keyboard: Keyboard | None = None
        self._trouble = ""  # what is wrong with the joystick
        if device == "keys":
            self._keyboard = Keyboard()
            if not self._keyboard.start():
                raise UserError(
                    "device is keys, but there is no terminal for keys here: start the node by ros2 run in one"
                )
        else:
            self.create_subscription(Joy, self.topic, self._on_joy, _EVERY_PRESS)
        self.create_timer(1.0 / rate_hz, self._tell, clock=self.steady_clock)

    def close(self) -> None:
        """Give the terminal back."""
        if self._keyboard is not None:
            self._keyboard.close()

    def on_episode(self, message: EpisodeState) -> None:
        """Follow the episodes."""
        if message.phase == EpisodeState.PHASE_RUNNING:
            self._calls.running(message.episode_id, nanoseconds(message.start_stamp), message.time_limit_s)
        else:
            self._calls.not_running(time.monotonic())

    def on_silence(self) -> None:
        """Silence is told with each reward that is due, see `_tell`."""

    def _now_ns(self) -> int:
        return self.get_clock().now().nanoseconds

    def _on_joy(self, message: Joy) -> None:
        self.take(message.header)
        try:
            calls = self._presses.take(message.buttons, time.monotonic())
            self._trouble = ""
        except UserError as error:
            self._trouble = str(error)
            return
        self._take_calls(calls)

    def _take_calls(self, calls: list[Call]) -> None:
        for call in calls:
            self.get_logger().info(self._calls.call(call, self._now_ns(), time.monotonic()))
        if calls:
            self._tell()

    def _tell(self) -> None:
        """Send the reward that is due now."""
        if self._keyboard is not None:
            self._take_keys(self._keyboard)
        now_ns = self._now_ns()
        if now_ns == 0:  # simulated time that has not started
            return
        if self._keyboard is None and (why := self.why_silent() or self._trouble):
            self.send_invalid("", why, now_ns)
            return
        judged = self._calls.judge(now_ns, time.monotonic())
        if judged is None:
            return
        call = judged.call
        text = "nobody has called yet" if call is None else f"a person calls {call.value}"
        answer = self.judge(call is Call.SUCCESS, header(stamp_of(judged.stamp_ns)), text)
        answer.failed, answer.discard = call is Call.FAILURE, call is Call.DISCARD
        self.send(answer)

    def _take_keys(self, keyboard: Keyboard) -> None:
        while not keyboard.keys.empty():
            if (call := _KEYS.get(keyboard.keys.get().lower())) is not None:
                self.get_logger().info(self._calls.call(call, self._now_ns(), time.monotonic()))


def main() -> None:
    """Run the node."""
    run_node(ButtonReward)


if __name__ == "__main__":
    main()
