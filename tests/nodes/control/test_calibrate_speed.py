"""The measurement of executed against commanded speed, on the simulated robot behind its driver's topics."""

import json

import numpy as np
import pytest
import robot_interfaces
from geometry_msgs.msg import Twist
from sac_gmm_interfaces.srv import SetFault
from std_msgs.msg import Bool

from sac_gmm_nodes.common.conversions import twist_array
from sac_gmm_nodes.common.qos import COMMAND, RELIABLE

pytestmark = [pytest.mark.ros, pytest.mark.slow]
QUICK = {"speeds_m_s": [0.03, 0.04, 0.05], "stroke_m": 0.03, "robot": "lbr", "tip_frame": "tcp", "use_sim_time": True}


@pytest.fixture
def start(graph, tmp_path):
    graph.env |= robot_interfaces.environment()

    def run(driver_gain=1.0, **parameters):
        graph.start("pybullet_bridge", driver="only", control_rate_hz=120, driver_gain=driver_gain)
        return graph.start("calibrate_speed", out=tmp_path / "speed", **(QUICK | parameters))

    return run


def ended(graph, process):
    graph.processes.pop("calibrate_speed")
    return process.wait(60)


def test_a_driver_that_is_slower_than_it_is_told_is_found_out(graph, start, tmp_path):
    process = start(driver_gain=0.6, move=True)
    assert ended(graph, process) == 0, graph.output("calibrate_speed")
    result = json.loads((tmp_path / "speed" / "speed.json").read_text())
    assert result["gain"] == pytest.approx(0.6, abs=0.04)
    assert result["twist_gain_suggested"] == pytest.approx(1.67, abs=0.12)
    assert result["residual_m"] < 2e-3 and len(result["strokes"]) == 6
    assert abs(result["position_m"][-1] - result["position_m"][0]) < 0.01, "it ends where it began"
    assert (tmp_path / "speed" / "speed.png").exists()
    assert "set twist_gain to" in graph.output("calibrate_speed")


def test_it_does_not_move_unless_it_is_told_to(graph, start, tmp_path):
    twists = graph.listen("lbr/command/twist", Twist, COMMAND)
    assert ended(graph, start()) == 0
    assert "set move:=true" in graph.output("calibrate_speed")
    assert not twists and not (tmp_path / "speed").exists()


def test_a_lost_session_ends_it_with_the_arm_at_rest(graph, start):
    twists = graph.listen("lbr/command/twist", Twist, COMMAND)
    process = start(move=True, speeds_m_s=[0.01, 0.01, 0.01])
    graph.wait(lambda: twists and np.linalg.norm(twist_array(twists[-1])) > 0.005, "motion")
    graph.call(SetFault, "pybullet_bridge/set_fault", SetFault.Request(fault="session"))
    assert ended(graph, process) == 2
    assert "SESSION_LOST" in graph.output("calibrate_speed")
    assert not twist_array(twists[-1]).any()


def test_it_moves_only_while_the_deadman_is_held(graph, start):
    twists = graph.listen("lbr/command/twist", Twist, COMMAND)
    process = start(move=True, deadman=True, deadman_timeout_s=0.5, speeds_m_s=[0.01, 0.01, 0.01])
    graph.wait(lambda: "waiting for the robot (NO_DEADMAN)" in graph.output("calibrate_speed"), "the wait for it")
    assert not twists
    held = [True]
    switch = graph.node.create_publisher(Bool, "deadman", RELIABLE)
    graph.node.create_timer(0.02, lambda: switch.publish(Bool(data=held[0])))
    graph.wait(lambda: twists and np.linalg.norm(twist_array(twists[-1])) > 0.005, "motion")
    held[0] = False
    assert ended(graph, process) == 2
    assert "stopped (NO_DEADMAN): the deadman is released" in graph.output("calibrate_speed")
    assert not twist_array(twists[-1]).any()


def test_it_does_not_leave_the_workspace_box(graph, start):
    twists = graph.listen("lbr/command/twist", Twist, COMMAND)
    process = start(move=True, stroke_m=0.3, workspace_max_m=[0.9, 0.9, 0.6])
    assert ended(graph, process) == 2
    assert "is not inside the workspace box" in graph.output("calibrate_speed")
    assert not twists
