"""Whoever asks for episodes, by command or from Python, sees how they go, and what is missing where nothing moves."""

import json
import signal
import sys

import pytest
from episode_world import World

from sac_gmm.control import Reason

pytestmark = [pytest.mark.ros, pytest.mark.slow]
ADAPT = [sys.executable, "-m", "sac_gmm.cli.main", "adapt"]
SCRIPT = """
import sys
from sac_gmm_nodes.client import SkillClient

with SkillClient(on_missing=lambda text: None) as client:
    for episode in client.run("evaluate", episodes=5, first_seed=30):
        print(episode.seed, episode.success, episode.episode_return, episode.reward_source, flush=True)
        if episode.seed == 31:
            break
    print("ended", client.stop())
"""


def test_without_a_graph_the_command_says_what_to_start(graph):
    graph.run("adapt", [*ADAPT, "--episodes", "1"])
    graph.wait(lambda: "no episode manager offers adapt_skill" in " ".join(graph.output("adapt").split()), "the reason")
    said = " ".join(graph.output("adapt").split())
    assert f"ROS_DOMAIN_ID {graph.domain}" in said and "ros2 launch sac_gmm_bringup" in said
    assert graph.stop("adapt", signal.SIGINT) == 130
    assert "Traceback" not in graph.output("adapt")


def test_episodes_are_counted_stopped_and_waited_for_in_words(graph, tmp_path):
    world = World(graph)
    world.ready()
    graph.run("base", [*ADAPT, "--mode", "base", "--episodes", "2", "--json", str(tmp_path / "base.json")])
    assert graph.processes.pop("base").wait(120) == 0, graph.output("base")
    said = " ".join(graph.output("base").split())
    assert "base skill: 2/2 episodes succeeded (34 to 100 % at 95 % confidence), judged by: lamp" in said
    result = json.loads((tmp_path / "base.json").read_text())
    assert (result["mode"], result["successes"], result["reward_source"]) == ("base", 2, "lamp")
    assert [(e["seed"], e["success"], e["return"]) for e in result["episode"]] == [
        (1_000_000, True, 1.25),
        (1_000_001, True, 1.25),
    ]
    assert [request.seed for request in world.requests] == [1_000_000, 1_000_001]

    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    graph.run("script", [sys.executable, str(script)])
    assert graph.processes.pop("script").wait(120) == 0, graph.output("script")
    lines = graph.output("script").splitlines()
    assert lines[:2] == ["30 True 1.25 lamp", "31 True 1.25 lamp"] and lines[2].startswith("ended")

    world.held = Reason.PAUSED
    graph.run("adapt", [*ADAPT, "--episodes", "3"])
    missing = "nothing moves: waiting for a controller that may move the arm (PAUSED: mend it)"
    graph.wait(lambda: missing in " ".join(graph.output("adapt").split()), "what is missing")
    graph.run("stop", [*ADAPT, "--stop"])
    assert graph.processes.pop("stop").wait(120) == 0 and "stopped" in graph.output("stop")
    assert graph.processes.pop("adapt").wait(120) == 2
    assert "the episodes ended early: cancelled" in " ".join(graph.output("adapt").split())
