"""What the benchmark of lock-step makes of episodes; the runs themselves are for `benchmarks/results`."""

import pytest

from sac_gmm.bench.control import lockstep
from sac_gmm.cli.main import main


def test_what_the_nodes_say_of_an_episode_is_added_up():
    log = """
[pybullet_bridge] [INFO] [1.0] [pybullet_bridge]: times of episode 7: {"physics": 0.5, "rewards": 0.25}
[sac_adapter] [INFO] [1.1] [sac_adapter]: times of episode 7: {"learning": 1.0}
[sac_adapter] [INFO] [1.2] [sac_adapter]: seeing: done in 3 s
[pybullet_bridge] [INFO] [2.0] [pybullet_bridge]: times of episode 8: {"physics": 0.75}
"""
    assert lockstep._shares(log) == {7: {"physics": 0.5, "rewards": 0.25, "learning": 1.0}, 8: {"physics": 0.75}}


def test_the_first_episode_does_not_count():
    episodes = [
        {"seconds": 60.0, "steps": 300, "success": False, "shares": {"learning": 55.0}},
        {"seconds": 2.0, "steps": 100, "success": True, "shares": {"physics": 0.5}},
        {"seconds": 3.0, "steps": 200, "success": False, "shares": {"physics": 0.7, "learning": 1.0}},
    ]
    mean = lockstep._mean(episodes)
    shares = mean.pop("shares")
    assert mean == {"episodes": 2, "successes": 1, "steps": 150.0, "seconds": 2.5}
    assert shares == pytest.approx({"physics": 0.6, "learning": 0.5})
    side = {**mean, "shares": shares}
    result = {mode: {"offline": side, "ros": side, "ratio": 1.0} for mode in lockstep.MODES}
    assert "2.50 s an episode of 150 steps (1/2 succeeded): learning 0.50, physics 0.60" in lockstep.report(result)


def test_one_episode_is_too_few(capsys):
    assert main(["bench", "lockstep", "--episodes", "1"]) == 2
    assert "at least 2 episodes" in capsys.readouterr().err
