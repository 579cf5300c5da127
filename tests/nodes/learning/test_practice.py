"""What the nodes that practise share."""

import pytest

from sac_gmm_nodes.learning.practice import Progress, in_training_steps


@pytest.mark.parametrize(("rate_hz", "steps"), [(30.0, 8), (100.0, 27), (250.0, 67)])
def test_a_robots_rate_does_not_change_how_far_the_agent_looks_ahead(rate_hz, steps):
    assert in_training_steps(steps, rate_hz) == 8
    assert in_training_steps(0, rate_hz) == 1


def test_what_takes_long_is_told_with_its_progress():
    lines, now_s = [], [0.0]
    progress = Progress(lines.append, lambda: now_s[0])
    for what in ("learning to see from 20 episodes", "learning to see from 40 episodes"):
        for step in range(1, 1001):
            now_s[0] += 0.012
            progress(what, step / 1000)
    assert lines == [
        "learning to see from 20 episodes …",
        "learning to see from 20 episodes: 42%",
        "learning to see from 20 episodes: 84%",
        "learning to see from 20 episodes: done in 12 s",
        "learning to see from 40 episodes …",
        "learning to see from 40 episodes: 42%",
        "learning to see from 40 episodes: 84%",
        "learning to see from 40 episodes: done in 12 s",
    ]
