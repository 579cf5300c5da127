import pytest
from geometry_msgs.msg import WrenchStamped
from sac_gmm_interfaces.msg import Reward
from std_msgs.msg import Float64

from sac_gmm_nodes.common.conversions import stamp_of
from sac_gmm_nodes.common.qos import RELIABLE

pytestmark = pytest.mark.ros


def test_a_force_beyond_the_threshold_is_paid_once_it_is_sure_and_a_message_without_it_is_named(graph):
    rewards = graph.listen("reward", Reward, RELIABLE)
    readings = graph.node.create_publisher(WrenchStamped, "wrench", RELIABLE)
    given = {"reliable_state": True, "max_reading_age_s": 60.0, "frames_on": 2, "frames_off": 1}
    graph.start(
        "threshold_reward",
        topic="wrench",
        message_type="geometry_msgs/msg/WrenchStamped",
        field="wrench.force",
        threshold=5.0,
        hysteresis=1.0,
        pays="value",
        gain=2.0,
        offset=-1.0,
        **given,
    )
    graph.wait(lambda: readings.get_subscription_count() and graph.node.count_publishers("reward"), "the node")

    def read(x_n, y_n=0.0):
        message = WrenchStamped()
        message.header.stamp = stamp_of(graph.node.get_clock().now().nanoseconds)
        message.wrench.force.x, message.wrench.force.y = x_n, y_n

        def answered():  # the first may be lost, and what is sent again counts once
            readings.publish(message)
            return any(r.header.stamp == message.header.stamp for r in rewards)

        graph.wait(answered, "the answer")
        return next(r for r in rewards if r.header.stamp == message.header.stamp)

    told = [read(*force) for force in ((4.9,), (3.0, 4.0), (6.0,), (4.5,), (3.0,))]
    assert [(r.seen, r.success) for r in told] == [
        (False, False),
        (True, False),
        (True, True),
        (True, True),
        (False,) * 2,
    ]
    assert {(r.source, r.valid) for r in told} == {("threshold", True)}
    assert [r.value for r in told] == pytest.approx([8.8, 9.0, 11.0, 8.0, 5.0])
    assert told[1].text == "wrench.force is 5: done above 5"
    broken = read(float("nan"))
    assert not broken.valid and "field wrench.force is nan" in broken.text
    assert graph.stop("threshold_reward") == 0


def test_a_number_without_a_stamp_counts_when_it_arrives(graph):
    rewards = graph.listen("reward", Reward, RELIABLE)
    readings = graph.node.create_publisher(Float64, "scale", RELIABLE)
    graph.start(
        "threshold_reward",
        topic="scale",
        message_type="std_msgs/msg/Float64",
        field="data",
        threshold=0.2,
        done_when="below",
        frames_on=1,
        reliable_state=True,
    )
    weigh = graph.node.create_timer(0.05, lambda: readings.publish(Float64(data=0.1)))
    graph.wait(lambda: any(reward.success and reward.value == 1.0 for reward in rewards), "success")
    graph.node.destroy_timer(weigh)


def test_a_type_that_is_not_there_is_refused_in_one_sentence(graph):
    process = graph.start("threshold_reward", message_type="std_msgs/msg/Float")
    assert process.wait(60) == 2
    del graph.processes["threshold_reward"]
    said = graph.output("threshold_reward")
    assert "there is no message type std_msgs/msg/Float here" in said and "Traceback" not in said
