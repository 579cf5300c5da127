"""Faults of who asks the guard for motions: the simulated robot in real time, and its runner killed."""

import signal

import pytest
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState
from sac_gmm_interfaces.srv import RunEpisode
from tests.nodes.commands import MANY, Commands
from tests.nodes.faults.conftest import stop_of

from sac_gmm.control import Reason

pytestmark = [pytest.mark.ros, pytest.mark.slow]


def test_the_runner_is_killed(graph, table, model_file):
    commands = Commands(graph)
    statuses = graph.listen("controller_status", ControllerStatus, MANY)
    runner = {"model_file": model_file, "method": "residual_gmm", "learner": "sync", "time_limit_s": 600.0}
    graph.start("pybullet_bridge", wrist_camera_period_steps=0)
    graph.start(
        "guard",
        autostart=True,
        needs_episode=True,
        command_timeout_s=0.5,
        state_timeout_s=0.5,  # the simulation, too, may have to wait for the processor
    )
    graph.start("aruco_reward", use_sim_time=True)
    graph.start("episode_manager", expect_runner=True, time_limit_s=600.0, silence_timeout_s=60.0, idle_timeout_s=60.0)
    graph.start("skill_runner", **runner)
    client = graph.node.create_client(RunEpisode, "run_episode")
    graph.wait_to_be_known(client.service_is_ready, "the episode manager")
    client.call_async(RunEpisode.Request(mode=EpisodeState.MODE_BASE, seed=1))

    def moves(since):
        return any(abs(status.velocity.z) > 0.02 for status in statuses[since:])

    graph.wait(lambda: moves(0), "motion")
    since, sent = len(statuses), len(commands)
    process = graph.processes.pop("skill_runner")
    process.send_signal(signal.SIGKILL)
    process.wait(120.0)

    def rests():
        held = [status for status in statuses[since:] if status.reason == Reason.STALE_COMMAND]
        return any(not (s.velocity.x or s.velocity.y or s.velocity.z) for s in held)

    graph.wait(rests, "rest for want of commands")
    stop = stop_of(statuses[since:], Reason.STALE_COMMAND)
    assert stop.ticks * stop.period_s <= stop.bound_s
    back = len(statuses)
    graph.start("skill_runner", **runner)
    graph.wait(lambda: moves(back), "motion in the same episode, once it is back")
    commands.check_limits(sent)
    table.add(
        "skill_runner is killed",
        f"command_timeout_s later ramps {stop}; goes on in the same episode once it is started again",
        "STALE_COMMAND, later NO_COMMAND",
    )
