import subprocess
import sys

import pytest
from sac_gmm_interfaces.msg import Reward

from sac_gmm.tasks import TASKS
from sac_gmm_nodes.common.qos import RELIABLE
from sac_gmm_nodes.reward.task_reward import SOURCES


def test_every_task_has_a_source_and_every_source_a_use():
    assert {task.reward_sensor for task in TASKS.values()} | {None} == set(SOURCES)


@pytest.mark.ros
def test_a_task_without_a_sensor_is_paid_by_the_simulation_and_told_so(graph, tmp_path, monkeypatch):
    file = tmp_path / "blind.py"
    file.write_text(
        "from sac_gmm.tasks.scenes.door import DoorTask\n"
        "class BlindDoor(DoorTask):\n    name = 'blind'\n    reward_sensor = None\n"
    )
    graph.env["SAC_GMM_TASKS"] = str(file)
    rewards = graph.listen("reward", Reward, RELIABLE)
    given = {"task": "blind", "lockstep": "false"}
    words = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    graph.run("bridge", [sys.executable, "-m", "sac_gmm_nodes.simulation.pybullet_bridge", "--ros-args", *words])
    graph.run(
        "task_reward",
        [sys.executable, "-m", "sac_gmm_nodes.reward.task_reward", "--task", "blind"]
        + ["--ros-args", "-p", "use_sim_time:=true"],
    )
    graph.wait(lambda: any(reward.valid for reward in rewards), "a reward")
    valid = [reward for reward in rewards if reward.valid]
    assert {(r.source, r.success, r.text) for r in valid} == {
        ("simulation", False, "the simulator says that the task is not done")
    }
    assert graph.stop("task_reward") == 0 and graph.stop("bridge") == 0


def test_an_unknown_task_is_refused_in_one_sentence():
    command = [sys.executable, "-m", "sac_gmm_nodes.reward.task_reward", "--task", "dor"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 2
    assert "there is no task 'dor'; choose one of: door" in done.stderr and "Traceback" not in done.stderr
