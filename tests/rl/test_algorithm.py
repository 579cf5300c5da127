"""Learners and files know `Algorithm` alone: here they work with one that is not the soft actor-critic."""

import ast
import dataclasses
import zipfile
from pathlib import Path

import numpy as np
import pytest
from tests.rl.conftest import wait_for
from tests.rl.toy import Toy, ToyConfig

from sac_gmm.core.errors import UserError
from sac_gmm.rl import (
    Algorithm,
    AlgorithmSpec,
    AsyncLearner,
    ObservationSpec,
    Sac,
    SacConfig,
    SyncLearner,
    algorithm,
    algorithm_class,
    load_checkpoint,
    load_policy,
    register_algorithm,
    save_policy,
)

OBSERVATION = ObservationSpec(3)
SPEC = AlgorithmSpec(Toy, OBSERVATION, 2, ToyConfig(rollout=4), seed=5)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """The toy is registered from outside; the registry is left as it was."""
    monkeypatch.setattr(algorithm, "ALGORITHMS", dict(algorithm.ALGORITHMS))
    register_algorithm("toy", "tests.rl.toy:Toy")


def numbers(learner):
    state = learner.algorithm.state_dict()
    return state.tensors["mean"].numpy(), state.values, state.arrays["rollout"]


def test_a_resumed_run_equals_an_unbroken_one(tmp_path, transitions):
    made = transitions(OBSERVATION, 30)
    unbroken, broken = SyncLearner(SPEC.build()), SyncLearner(SPEC.build())
    for i, transition in enumerate(made):
        unbroken.observe(transition)
        broken.observe(transition)
        if i in (9, 21):  # in the middle of a rollout
            broken.checkpoint(tmp_path / "toy.checkpoint", {"i": i})
            broken, extra = SyncLearner.resume(tmp_path / "toy.checkpoint", SPEC)
            assert extra == {"i": i}
    (mean, values, rollout), (other_mean, other_values, other_rollout) = numbers(unbroken), numbers(broken)
    np.testing.assert_array_equal(mean, other_mean)
    assert values == other_values
    assert len(rollout["rewards"]) == 2
    for name in rollout:
        np.testing.assert_array_equal(rollout[name], other_rollout[name])
    assert mean.any()


def test_each_group_of_arrays_is_a_member_of_the_checkpoint(tmp_path):
    SyncLearner(SPEC.build()).checkpoint(tmp_path / "toy.checkpoint")
    with zipfile.ZipFile(tmp_path / "toy.checkpoint") as archive:
        assert set(archive.namelist()) == {"header.json", "tensors.safetensors", "rollout.npz"}


def test_an_algorithm_beside_the_actor_learns_as_one_within_it(tmp_path, transitions):
    """The learner's process does not run this module: it gets the class with the specification."""
    made = transitions(OBSERVATION, 16)
    within = SyncLearner(SPEC.build())
    beside = AsyncLearner(SPEC, checkpoint_path=tmp_path / "toy.checkpoint")
    try:
        beside.wait_until_ready()
        for learner in (within, beside):
            learner.observe(made[0], learn=False)
            learner.prepare()
        wait_for(lambda: beside.metrics()["version"] == 1)
        for k, transition in enumerate(made[:8]):
            within.observe(transition)
            beside.observe(transition)
            wait_for(lambda k=k: beside.metrics()["transitions"] == k + 2)
        wait_for(lambda: beside.metrics()["updates"] == 2)
        assert beside.metrics() == {**within.metrics(), "alive": 1.0}
        np.testing.assert_array_equal(beside.policy().act({}, True), within.policy().act({}, True))
    finally:
        beside.close()
    resumed = AsyncLearner(SPEC, resume_from=tmp_path / "toy.checkpoint")
    try:
        resumed.wait_until_ready()
        np.testing.assert_array_equal(resumed.policy().act({}, True), within.policy().act({}, True))
    finally:
        resumed.close()


def test_a_policy_file_finds_its_class_by_name(tmp_path):
    learner = SyncLearner(SPEC.build())
    learner.prepare()
    save_policy(tmp_path / "policy.bin", learner.policy(), SPEC, {"task": "door"})
    policy, extra = load_policy(tmp_path / "policy.bin")
    np.testing.assert_array_equal(policy.act({}, True), [0.5, 0.5])
    assert (extra, policy.version, policy.spec) == ({"task": "door"}, 1, OBSERVATION)


def test_an_algorithm_that_nobody_knows_is_named(tmp_path):
    save_policy(tmp_path / "policy.bin", SPEC.make_policy(), SPEC)
    SyncLearner(SPEC.build()).checkpoint(tmp_path / "toy.checkpoint")
    del algorithm.ALGORITHMS["toy"]
    for load, name in ((load_policy, "policy.bin"), (load_checkpoint, "toy.checkpoint")):
        with pytest.raises(UserError, match=rf"{name} .*no algorithm 'toy', known are sac"):
            load(tmp_path / name)
    # With the class at hand, its name need not be registered.
    assert load_checkpoint(tmp_path / "toy.checkpoint", SPEC).algorithm.spec == SPEC


@pytest.mark.parametrize(
    "other",
    [
        dataclasses.replace(SPEC, config=ToyConfig(rollout=5)),
        dataclasses.replace(SPEC, action_dim=3),
        dataclasses.replace(SPEC, observation=ObservationSpec(4)),
        AlgorithmSpec(Sac, OBSERVATION, 2, SacConfig()),
    ],
)
def test_the_checkpoint_of_something_else_is_refused(tmp_path, other):
    SyncLearner(SPEC.build()).checkpoint(tmp_path / "toy.checkpoint")
    with pytest.raises(UserError, match="another observation or configuration, or by another algorithm"):
        SyncLearner.resume(tmp_path / "toy.checkpoint", other)


def test_a_run_goes_on_with_the_seed_it_began_with(tmp_path):
    SyncLearner(SPEC.build()).checkpoint(tmp_path / "toy.checkpoint")
    resumed, _ = SyncLearner.resume(tmp_path / "toy.checkpoint", dataclasses.replace(SPEC, seed=6))
    assert resumed.algorithm.spec.seed == 5


def test_every_registered_algorithm_has_its_name_and_its_settings():
    for name in algorithm.ALGORITHMS:
        found = algorithm_class(name)
        assert issubclass(found, Algorithm)
        assert found.name == name
        config = found.config_class()
        assert found.config_class.from_json(config.to_json()) == config


def test_a_name_stands_for_one_class():
    register_algorithm("toy", "tests.rl.toy:Toy")  # again the same
    with pytest.raises(UserError, match="'sac' is sac_gmm"):
        register_algorithm("sac", "tests.rl.toy:Toy")


def test_what_algorithms_share_names_none_of_them():
    """Only the package's front door and the registry do, and the registry by its name alone."""
    for path in Path(algorithm.__file__).parent.glob("*.py"):
        if path.name == "__init__.py":
            continue
        modules = [node.module for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.ImportFrom)]
        assert not [module for module in modules if module.startswith("sac_gmm.rl.sac")], path.name
        assert "Sac" not in path.read_text().replace(algorithm.ALGORITHMS["sac"], ""), path.name
