"""The true state of a scene is for scoring: no observation holds it, nothing a policy sees depends on it."""

import ast
from pathlib import Path

import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.methods import MacroEnv
from sac_gmm.methods.baselines import Sac
from sac_gmm.methods.sac_gmm import WindowObserver
from sac_gmm.tasks import TASKS, VECTOR_GROUPS, make_task

SOURCE = Path(__file__).parents[2] / "src"


@pytest.fixture(scope="module", params=TASKS)
def task(request):
    task = make_task(request.param)
    yield task
    task.close()


def test_it_is_no_group_of_an_observation(task):
    with pytest.raises(UserError, match="scoring"):
        make_task(task.name, groups=("proprio", "privileged"))
    with pytest.raises(UserError, match="scoring"):
        task.read("privileged")
    assert "privileged" not in {*VECTOR_GROUPS, *task.sensors, *task.observation_space.spaces}


def test_an_observation_with_all_groups_has_nothing_else_in_it(task):
    whole = make_task(task.name, groups=(*VECTOR_GROUPS, *task.sensors))
    observation, info = whole.reset(seed=0)
    entries = [name for group in VECTOR_GROUPS.values() for name in group] + list(whole.sensors)
    assert sorted(observation) == sorted(entries)
    assert info == {}
    *_, info = whole.step(np.zeros(6))
    assert info == {"success": False}  # the verdict alone
    assert not set(whole.truth()) & set(observation)
    whole.close()


def test_a_policy_sees_the_same_whatever_the_truth_says(task, monkeypatch):
    """The macro-environment is all that a policy sees; with another truth, but the same verdict, nothing changes."""

    def seen():
        env = MacroEnv(task, Sac(), WindowObserver(3))
        observations = [env.reset(seed=2)]
        for _ in range(30):
            result = env.step(np.array([0.05, 0.02, -0.4]))
            observations.append(result.observation)
        return observations

    plain = seen()
    monkeypatch.setattr(task, "truth", lambda: dict.fromkeys(("angle_rad", "depth_m", "lever_m", "success"), 0.0))
    for one, other in zip(plain, seen(), strict=True):
        assert set(one) == set(other)
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])


def test_what_is_detected_hides_the_truth(task):
    """Two episodes with the same scene and other noise: relative to the detected target they begin alike."""
    plain, _ = task.reset(seed=3, options={"target_noise_std_m": 0.0})
    noisy, _ = task.reset(seed=3, options={"target_noise_std_m": 0.02})
    assert np.linalg.norm(plain["target_m"] - noisy["target_m"]) > 1e-3
    np.testing.assert_allclose(
        plain["ee_position_m"] - plain["target_m"], noisy["ee_position_m"] - noisy["target_m"], atol=1e-7
    )
    np.testing.assert_array_equal(plain["wrench"], noisy["wrench"])


def test_no_skill_and_no_learner_asks_for_the_truth():
    """In the source: only tasks, evaluation and the bridge's own score name it."""
    for folder in ("sac_gmm/sac_gmm/skills", "sac_gmm/sac_gmm/rl", "sac_gmm/sac_gmm/control"):
        for path in (SOURCE / folder).rglob("*.py"):
            names = {node.attr for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Attribute)}
            assert "truth" not in names, f"{path.relative_to(SOURCE)} reads the truth"
    for name in ("sac_adapter", "skill_runner", "state_input", "episode_gatherer", "practice", "given_skill"):
        text = (SOURCE / f"sac_gmm_nodes/sac_gmm_nodes/learning/{name}.py").read_text()
        assert "truth" not in text and "task_success" not in text, name
