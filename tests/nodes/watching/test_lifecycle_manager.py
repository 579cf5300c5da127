import pytest
from lifecycle_msgs.srv import GetState
from sac_gmm_interfaces.msg import Heartbeat
from std_srvs.srv import SetBool

from sac_gmm_nodes.common.qos import RELIABLE

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def state(graph):
    return graph.call(GetState, "gmm_controller/get_state", GetState.Request()).current_state.label


def test_it_says_what_it_waits_for_and_gives_up(graph):
    process = graph.start(
        "lifecycle_manager", nodes="[gmm_controller]", watched="[pybullet_bridge]", startup_timeout_s=1.0
    )
    assert process.wait(120.0) == 2
    output = graph.output("lifecycle_manager")
    assert "waiting for heartbeat of /pybullet_bridge, heartbeat of /gmm_controller" in output
    assert "still missing after 1 s: heartbeat of /pybullet_bridge" in output
    assert "Traceback" not in output


def test_it_brings_up_and_down_on_request(graph, model_file):
    beats = graph.listen("heartbeat", Heartbeat, RELIABLE)
    graph.start("gmm_controller", model_file=model_file)
    graph.wait(lambda: any(beat.node == "/gmm_controller" for beat in beats), "a heartbeat")
    assert state(graph) == "unconfigured"
    graph.start("lifecycle_manager", nodes="[gmm_controller]")
    graph.wait(lambda: "all nodes are active" in graph.output("lifecycle_manager"), "the bring-up")
    assert state(graph) == "active"
    graph.call(SetBool, "lifecycle_manager/set_active", SetBool.Request(data=False))
    graph.wait(lambda: state(graph) == "inactive", "the deactivation")
    graph.call(SetBool, "lifecycle_manager/set_active", SetBool.Request(data=True))
    graph.wait(lambda: state(graph) == "active", "the activation")
    assert graph.stop("lifecycle_manager") == 0
    assert state(graph) == "active", "an operator may start the manager again"


def test_a_no_while_it_still_waits_is_heard(graph, model_file):
    graph.start("lifecycle_manager", nodes="[gmm_controller]", startup_timeout_s=60.0)
    graph.wait(lambda: "waiting for heartbeat" in graph.output("lifecycle_manager"), "the manager")
    graph.call(SetBool, "lifecycle_manager/set_active", SetBool.Request(data=False))
    graph.wait(lambda: "inactive: call" in graph.output("lifecycle_manager"), "the manager to rest")
    beats = graph.listen("heartbeat", Heartbeat, RELIABLE)
    graph.start("gmm_controller", model_file=model_file)
    graph.wait(lambda: sum(beat.node == "/gmm_controller" for beat in beats) > 2, "heartbeats")
    assert state(graph) == "unconfigured"
    graph.call(SetBool, "lifecycle_manager/set_active", SetBool.Request(data=True))
    graph.wait(lambda: state(graph) == "active", "the activation")


def test_a_node_that_refuses_ends_it_with_a_sentence(graph, tmp_path):
    (tmp_path / "broken.npz").write_bytes(b"no model")
    graph.start("gmm_controller", model_file=tmp_path / "broken.npz")
    manager = graph.start("lifecycle_manager", nodes="[gmm_controller]")
    assert manager.wait(120.0) == 2
    assert "/gmm_controller refused to configure: the reason is in its log" in graph.output("lifecycle_manager")
    assert "cannot configure: " in graph.output("gmm_controller")
    assert "broken.npz" in graph.output("gmm_controller")


def test_without_nodes_there_is_nothing_to_manage(graph):
    process = graph.start("lifecycle_manager")
    assert process.wait(120.0) == 2
    assert "parameter nodes is empty" in graph.output("lifecycle_manager")
