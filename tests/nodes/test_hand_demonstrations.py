"""The chain: a person's hand before a camera -> pictures over DDS -> recorder -> bags -> fit -> the door opens."""

import sys

import numpy as np
import pytest
from tests.nodes.conftest import ROOT

from sac_gmm.demos import find_bags, read_demonstration, to_training_set
from sac_gmm.evaluation import run_episodes
from sac_gmm.evaluation.noise_sweep import plain_env
from sac_gmm.models import fit_lpv_ds
from sac_gmm.training.seeds import seed_bank

pytestmark = pytest.mark.slow

DEMONSTRATIONS = 2


def test_what_is_shown_with_a_hand_opens_the_door(graph, tmp_path):
    folder = tmp_path / "door"
    arguments = ["launch/hand_demonstrations.launch.yaml", f"episodes:={DEMONSTRATIONS}", f"folder:={folder}"]
    code = f"import sys; from sac_gmm.cli import up; sys.exit(up.main({arguments!r}))"
    process = graph.run("chain", [sys.executable, "-c", code])
    assert process.wait(150.0) == 0, graph.output("chain")
    shown = [read_demonstration(bag) for bag in find_bags([folder])]
    driven = [read_demonstration(bag) for bag in find_bags([ROOT / "demos" / "door"])][:DEMONSTRATIONS]
    assert len(shown) == DEMONSTRATIONS
    for hand, robot in zip(shown, driven, strict=True):
        assert hand.task == "door" and hand.frame_id == robot.frame_id
        assert np.allclose(hand.target_m, robot.target_m)
        assert hand.n_samples == robot.n_samples, "from the first picture to the last, and none was lost"
        away = [np.linalg.norm(robot.relative_m - point, axis=1).min() for point in hand.relative_m]
        assert np.mean(away) < 1.5e-3 and np.max(away) < 5e-3

    opened = []
    for demonstrations in (driven, shown):
        x, v, lengths = to_training_set(demonstrations, 30.0)
        skill = fit_lpv_ds(x, v, lengths.tolist(), 8, clustering="spans", metric="identity")
        env = plain_env("door", skill)
        outcomes = run_episodes(env, lambda _: np.zeros(0), seed_bank("test", 0, 5), {"target_noise_std_m": 0.0})
        opened.append(sum(outcome.success for outcome in outcomes))
        env.task.close()
    assert opened[1] >= opened[0] - 1, f"{opened[0]} of 5 as driven, {opened[1]} as shown"
