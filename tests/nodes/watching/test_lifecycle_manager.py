import pytest
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState, GetState
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


def ask(graph, transition):
    """As `ros2 lifecycle set` does: by the number."""
    return graph.call(
        ChangeState, "gmm_controller/change_state", ChangeState.Request(transition=Transition(id=transition))
    )


def test_what_a_person_deactivates_stays_so_until_a_person_says_otherwise(graph, model_file):
    graph.start("gmm_controller", model_file=model_file)
    graph.start("lifecycle_manager", nodes="[gmm_controller]")
    graph.wait(lambda: "all nodes are active" in graph.output("lifecycle_manager"), "the bring-up")
    assert ask(graph, Transition.TRANSITION_DEACTIVATE).success
    graph.wait(
        lambda: "somebody has deactivated /gmm_controller" in graph.output("lifecycle_manager"), "the manager to see it"
    )
    graph.wait(lambda: "inactive: call ~/set_active" in graph.output("lifecycle_manager"), "the manager to rest")
    assert state(graph) == "inactive"
    assert "is not possible while" not in graph.output("gmm_controller"), "nobody asks for what it is already"
    assert ask(graph, Transition.TRANSITION_ACTIVATE).success
    graph.wait(lambda: graph.output("lifecycle_manager").count("all nodes are active") == 2, "the manager to watch")
    assert state(graph) == "active"
    assert "lost" not in graph.output("lifecycle_manager")


def test_a_transition_that_is_not_possible_is_told_by_its_name(graph, model_file):
    graph.start("gmm_controller", model_file=model_file)
    assert not ask(graph, Transition.TRANSITION_DEACTIVATE).success
    graph.wait(lambda: "deactivate is not possible while unconfigured" in graph.output("gmm_controller"), "its name")


def test_it_is_silent_about_what_it_waited_for_when_it_is_stopped(graph):
    """A node that lives and does not answer, as one that loads a skill."""
    mute = rclpy.create_node("pet", context=graph.context)  # nobody spins it
    asked = mute.create_service(GetState, "pet/get_state", lambda _asked, answer: answer)
    mute.create_service(ChangeState, "pet/change_state", lambda _asked, answer: answer)
    beats = graph.node.create_publisher(Heartbeat, "heartbeat", RELIABLE)
    graph.node.create_timer(0.2, lambda: beats.publish(Heartbeat(node="/pet", lifecycle_state=1)))
    graph.start("lifecycle_manager", nodes="[pet]", transition_timeout_s=600.0)

    def is_asked():
        _request, header = asked.handle.service_take_request(GetState.Request)
        return header is not None

    graph.wait(is_asked, "its question")
    assert graph.stop("lifecycle_manager") == 0
    assert "in vain" not in graph.output("lifecycle_manager")
    mute.destroy_node()


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
