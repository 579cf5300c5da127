import math

import pytest
from sac_gmm_interfaces.msg import EpisodeState, Reward
from sensor_msgs.msg import Range

from sac_gmm_nodes.common.conversions import header, stamp_of
from sac_gmm_nodes.common.qos import EPISODE, RELIABLE

pytestmark = pytest.mark.ros


def test_a_pressed_switch_is_paid_once_it_has_stopped_bouncing(graph):
    rewards = graph.listen("reward", Reward, RELIABLE)
    readings = graph.node.create_publisher(Range, "limit_switch", RELIABLE)
    graph.node.create_publisher(EpisodeState, "episode_state", EPISODE)
    given = {"reliable_state": True, "max_reading_age_s": 60.0}  # the first reading may come late on a busy machine
    graph.start("switch_reward", pressed_within_m=0.002, **given)
    graph.wait(lambda: readings.get_subscription_count() and graph.node.count_publishers("reward"), "switch_reward")

    def read(value):
        message = Range(header=header(stamp_of(graph.node.get_clock().now().nanoseconds), "limit_switch"), range=value)
        readings.publish(message)
        graph.wait(lambda: any(r.header.stamp == message.header.stamp for r in rewards), "the answer")
        return next(r for r in rewards if r.header.stamp == message.header.stamp)

    told = [read(value) for value in (math.inf, -math.inf, math.inf, -math.inf, 0.001)]
    assert [r.success for r in told] == [False, False, False, False, True], "a single reading may be a bounce"
    assert {(r.source, r.valid) for r in told} == {("switch", True)}
    assert told[1].text == "the switch is pressed" and told[4].text == "the switch is pressed (0.0010 m)"
    broken = read(math.nan)
    assert not broken.valid and "not a number" in broken.text and not broken.success
    assert graph.stop("switch_reward") == 0
