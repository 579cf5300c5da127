import pytest
from lifecycle_msgs.msg import State
from sac_gmm_interfaces.msg import ControllerStatus, Heartbeat

from sac_gmm_nodes.common import polling
from sac_gmm_nodes.common.qos import RELIABLE
from sac_gmm_nodes.learning import controller_watch
from sac_gmm_nodes.learning.controller_watch import ControllerWatch

pytestmark = pytest.mark.ros


@pytest.fixture
def clock(monkeypatch):
    """The time that the watch sees: what the test says."""
    clock = type("Clock", (), {"now_s": 1000.0, "monotonic": lambda self: self.now_s})()
    monkeypatch.setattr(controller_watch, "time", clock)
    monkeypatch.setattr(polling, "_LOOK_S", -1.0)  # who publishes is looked up every time
    return clock


def beat(watch, state):
    watch._on_heartbeat(Heartbeat(node="/listener", lifecycle_state=state))


def test_a_controller_that_is_not_there_is_waited_for_while_everything_starts(graph, clock):
    watch = ControllerWatch(graph.node)
    assert "nobody publishes controller_status; start one, `ros2 launch sac_gmm_bringup" in watch.why_down()
    assert watch.given_up(clock.now_s) == ""
    clock.now_s += 29.0
    assert watch.given_up(clock.now_s) == ""
    clock.now_s += 2.0
    assert watch.given_up(clock.now_s - 5.1) == watch.why_down() != ""
    assert watch.given_up(clock.now_s) == "", "seconds from the question on"


@pytest.mark.parametrize(
    ("state", "command"),
    [
        (State.PRIMARY_STATE_UNCONFIGURED, "`ros2 lifecycle set /listener configure`"),
        (State.PRIMARY_STATE_INACTIVE, "`ros2 lifecycle set /listener activate`"),
        (State.PRIMARY_STATE_FINALIZED, "start it again, `ros2 launch"),
    ],
)
def test_a_controller_that_rests_is_named_with_the_command_to_use(graph, clock, state, command):
    graph.node.create_publisher(ControllerStatus, "controller_status", RELIABLE)
    watch = ControllerWatch(graph.node)
    graph.wait(lambda: watch._states() == {"/listener": None}, "the discovery of the controller")
    assert watch.why_down() == "", "it need not have a life cycle"
    beat(watch, State.PRIMARY_STATE_ACTIVE)  # from now on nothing is starting
    assert watch.why_down() == ""
    beat(watch, state)
    assert command in watch.why_down() and watch.resting() == ""
    final = state == State.PRIMARY_STATE_FINALIZED
    assert watch.given_up(clock.now_s) == (watch.why_down() if final else "")
    clock.now_s += 5.1
    beat(watch, state)
    assert watch.given_up(clock.now_s - 5.1) == watch.resting() == watch.why_down()
    beat(watch, State.PRIMARY_STATE_ACTIVE)
    assert watch.why_down() == watch.given_up(0.0) == ""
    clock.now_s += 3.1
    assert "/listener is silent" in watch.why_down()
    clock.now_s += 5.1
    assert "/listener is silent" in watch.given_up(0.0) and watch.resting() == "", "an episode has its own time-outs"
