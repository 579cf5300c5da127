"""The reward of a measured value: the task is done while a joint, a force or any other number is beyond a threshold.

    ros2 run sac_gmm_nodes threshold_reward --ros-args -p "field:=position[door_hinge]" -p threshold:=0.6

A force is `topic:=wrench message_type:=geometry_msgs/msg/WrenchStamped field:=wrench.force`, a pair of scales
`topic:=scale message_type:=std_msgs/msg/Float64 field:=data`.

With `pays:=value` each reading pays `gain` times what is measured plus `offset`; success is still the threshold's. A
message without a header counts as taken when it arrives.
"""

from __future__ import annotations

from typing import Any

from std_msgs.msg import Header

from sac_gmm.core.errors import UserError
from sac_gmm.perception.threshold import Field, ThresholdGate
from sac_gmm_nodes.common.conversions import header
from sac_gmm_nodes.common.node import run_node
from sac_gmm_nodes.common.optional_messages import message_type
from sac_gmm_nodes.reward.reward_node import RewardNode

_MOST = 1e9


class ThresholdReward(RewardNode):
    """Turns measured values into Rewards."""

    def __init__(self) -> None:
        super().__init__(
            "threshold_reward",
            source="threshold",
            reading="reading",
            topic="",
            check="what measures it, and the parameters topic and message_type",
            frames=3,
        )
        self.topic = self.text("topic", "joint_states", "where the value is published")
        kind = self.text(
            "message_type", "sensor_msgs/msg/JointState", "type of the topic, as `ros2 topic type` says it"
        )
        self._name = self.text(
            "field", "position[0]", "the value: wrench.force.z, position[JOINT], data; of a vector its length"
        )
        self._field = Field(self._name)
        side = self.text("done_when", "above", "on which side of the threshold the task is done", ("above", "below"))
        self._gate = ThresholdGate(
            self.real("threshold", 0.0, -_MOST, _MOST, "", "in the unit of the value"),
            side,  # type: ignore[arg-type]  # one of the choices
            self.real("hysteresis", 0.0, 0.0, _MOST, "", "once done, the value may go back by so much"),
        )
        self._side = side
        self._pays_value = self.text("pays", "success", "what a reading pays", ("success", "value")) == "value"
        self._gain = self.real("gain", 1.0, -_MOST, _MOST, "", "pays value: factor on what is measured")
        self._offset = self.real("offset", 0.0, -_MOST, _MOST, "", "pays value: added to that")
        self.create_subscription(message_type(kind), self.topic, self._on_reading, self.sensor_qos)

    def _on_reading(self, message: Any) -> None:
        head = getattr(message, "header", None)
        if not isinstance(head, Header):
            head = header(self.get_clock().now().to_msg())
        self.take(head)
        try:
            self.check_age()
            value = self._field.read(message)
        except UserError as error:
            self.send_invalid(head.frame_id, str(error))
            return
        counts = self._gate.counts(value, self.success)
        answer = self.judge(counts, head, f"{self._name} is {value:.4g}: done {self._side} {self._gate.threshold:g}")
        if self._pays_value:
            answer.value = self._gain * value + self._offset
        self.send(answer)


def main() -> None:
    """Run the node."""
    run_node(ThresholdReward)


if __name__ == "__main__":
    main()
