import sys

import numpy as np
import pytest

from sac_gmm.demos import check_set, find_bags, read_demonstration, to_training_set

pytestmark = pytest.mark.slow


def record(graph, name, folder, episodes, task="door"):
    """Run `sac-gmm demos record` in the domain of this test; its exit code and output."""
    arguments = ["record", task, "-n", str(episodes), "-o", str(folder)]
    code = f"import sys; from sac_gmm.cli import demos; sys.exit(demos.main({arguments!r}))"
    process = graph.run(name, [sys.executable, "-c", code])
    return process.wait(120.0), graph.output(name)


def test_demonstrations_come_out_of_the_running_graph(graph, tmp_path):
    code, text = record(graph, "first", tmp_path / "door", 2)
    assert code == 0, text
    bags = find_bags([tmp_path / "door"])
    assert [bag.name for bag in bags] == ["door_00", "door_01"]
    demonstrations = [read_demonstration(bag) for bag in bags]
    report = check_set(demonstrations)
    assert report.all_problems == []
    for demonstration, one in zip(demonstrations, report.demonstrations, strict=True):
        assert demonstration.task == "door"
        assert one.rate_hz == pytest.approx(30.0, rel=1e-3)
        assert one.dropped == 0
        assert one.path_m > 0.2
    x, v, lengths = to_training_set(demonstrations, 30.0)
    assert len(lengths) == 2 and np.isfinite(x).all() and np.linalg.norm(v, axis=1).max() < 0.2
    assert sum(file.stat().st_size for file in bags[0].iterdir()) < 200_000
    assert not np.allclose(demonstrations[0].relative_m[50], demonstrations[1].relative_m[50], atol=1e-4)

    code, text = record(graph, "again", tmp_path / "again", 1)
    assert code == 0, text
    again = read_demonstration(tmp_path / "again" / "door_00")
    assert np.array_equal(again.position_m, demonstrations[0].position_m), "lock-step is repeatable"


def test_a_task_without_a_marker_is_recorded_too(graph, tmp_path):
    code, text = record(graph, "peg", tmp_path / "peg", 1, task="peg")
    assert code == 0, text
    demonstration = read_demonstration(tmp_path / "peg" / "peg_00")
    assert demonstration.relative_m[-1, 2] < -0.0425, "the peg is in"


def test_what_the_reward_did_not_approve_of_is_thrown_away(graph, tmp_path):
    """Nobody looks at the marker: nothing is kept, and the operator says why it gave up."""
    lockstep = {"lockstep": True, "wait_for_reward": False, "wrist_camera_period_steps": 0}
    graph.start("pybullet_bridge", **lockstep)
    graph.start("demo_recorder", reliable_state=True, follow_episodes=True)
    operator = graph.start("teleoperator", folder=tmp_path / "door", episodes=1, reliable_state=True, time_limit_s=2.0)
    assert operator.wait(90.0) == 2
    assert "only 0 of 1 demonstrations succeeded in 3 attempts" in graph.output("teleoperator")
    assert not list((tmp_path / "door").iterdir())


def test_an_existing_bag_ends_the_session_before_it_begins(graph, tmp_path):
    """Also when it is the last one that exists, and before anybody else is there."""
    (tmp_path / "mine" / "door_02").mkdir(parents=True)
    operator = graph.start("teleoperator", folder=tmp_path / "mine", episodes=3)
    assert operator.wait(60.0) == 2
    assert "door_02 exists and is never overwritten" in graph.output("teleoperator")
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["door_02"]


@pytest.mark.parametrize(
    ("parameters", "words"),
    [({"task": "window"}, ["task", "door"]), ({"episodes": 0}, ["episodes", "1 to 1000"])],
)
def test_bad_parameters_end_the_node_with_a_sentence(graph, parameters, words):
    process = graph.start("teleoperator", **parameters)
    assert process.wait(120.0) == 2
    assert all(word in graph.output("teleoperator") for word in words)
    assert "Traceback" not in graph.output("teleoperator")


def test_ctrl_c_ends_cleanly(graph):
    graph.start("teleoperator")
    graph.wait(lambda: graph.node.count_publishers("episode_state"), "the teleoperator")
    assert graph.stop("teleoperator") == 0
