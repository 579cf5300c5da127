"""The reward of a switch: the task is done while a limit switch is pressed, or a range finder sees something close.

    ros2 run sac_gmm_nodes switch_reward --ros-args -p pressed_within_m:=0.004

`limit_switch` is a `sensor_msgs/Range`. A switch sends -inf while it is pressed and +inf while it is not, as that
message says of sensors with one fixed distance; a range finder sends the distance.
"""

from __future__ import annotations

import math

from sensor_msgs.msg import Range

from sac_gmm.core.errors import UserError
from sac_gmm_nodes.common.node import run_node
from sac_gmm_nodes.reward.reward_node import RewardNode


class SwitchReward(RewardNode):
    """Turns the readings of a switch into Rewards.

    Args:
        name: Name of the node.
        source: What the rewards are judged by.
        topic: Topic of the readings.
    """

    def __init__(self, name: str = "switch_reward", source: str = "switch", topic: str = "limit_switch") -> None:
        super().__init__(
            name, source=source, reading="reading", topic=topic, check="the switch and its driver", frames=2
        )
        self._pressed_within_m = self.real(
            "pressed_within_m", 0.0, 0.0, 10.0, "m", "a range finder's reading up to this counts as pressed"
        )
        self.create_subscription(Range, topic, self._on_reading, self.sensor_qos)

    def _on_reading(self, message: Range) -> None:
        self.take(message.header)
        try:
            self.check_age()
            if math.isnan(message.range):
                raise UserError("the reading is not a number: check the switch and its driver")
        except UserError as error:
            self.send_invalid(message.header.frame_id, str(error))
            return
        pressed = message.range <= self._pressed_within_m
        distance = f" ({message.range:.4f} m)" if math.isfinite(message.range) else ""
        self.send(self.judge(pressed, message.header, self.describe(pressed) + distance))

    def describe(self, pressed: bool) -> str:
        """What a reading shows, in words."""
        return f"the switch is {'pressed' if pressed else 'not pressed'}"


def main() -> None:
    """Run the node."""
    run_node(SwitchReward)


if __name__ == "__main__":
    main()
