import pytest
from sac_gmm_interfaces.msg import MethodPace

from sac_gmm_nodes.common.pace import PaceListener, decision_steps
from sac_gmm_nodes.common.qos import LATCHED

pytestmark = pytest.mark.ros


@pytest.mark.parametrize(("rate_hz", "steps"), [(30.0, 8), (60.0, 16), (100.0, 27), (1.0, 1)])
def test_a_decision_lasts_as_long_at_any_rate(rate_hz, steps):
    assert decision_steps(MethodPace(decision_interval=8, control_rate_hz=30.0), rate_hz) == steps


def test_the_last_announcement_that_makes_sense_counts(graph):
    heard = []
    listener = PaceListener(graph.node, lambda: heard.append(listener.latest))
    assert listener.latest is None
    publisher = graph.node.create_publisher(MethodPace, "method_pace", LATCHED)
    nonsense = [(0, 30.0, 0.3), (8, 0.0, 0.3), (8, float("nan"), 0.3), (8, 30.0, -1.0), (8, 30.0, float("nan"))]
    for number, (interval, rate_hz, blend_s) in enumerate([(8, 30.0, 0.3), *nonsense, (4, 30.0, 0.12)]):
        message = MethodPace(decision_interval=interval, control_rate_hz=rate_hz, blend_s=blend_s)
        message.header.frame_id = str(number)
        publisher.publish(message)
        publisher.wait_for_all_acked()
        if number == 0:
            graph.wait(lambda: heard, "the first")
    graph.wait(lambda: listener.latest.decision_interval == 4, "the last")
    assert [pace.decision_interval for pace in heard] == [8, 4]
