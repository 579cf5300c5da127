import numpy as np

from sac_gmm.rl import AlgorithmSpec, AsyncLearner, FixedPolicy, Learner, ObservationSpec, Sac, SacConfig, SyncLearner

OBSERVATION = ObservationSpec(6)
SPEC = AlgorithmSpec(Sac, OBSERVATION, 2, SacConfig(updates_per_decision=10))


def public(kind):
    return {name for name in dir(kind) if not name.startswith("_")}


def test_sync_and_async_share_an_interface():
    assert public(SyncLearner) - {"resume"} <= public(AsyncLearner)
    for kind in (SyncLearner, AsyncLearner, FixedPolicy):
        assert public(Learner) <= public(kind)


def test_the_learner_makes_the_updates_that_a_transition_allows(transitions):
    learner = SyncLearner(SPEC.build())
    for transition in transitions(OBSERVATION, 3):
        learner.observe(transition)
    learner.observe(transitions(OBSERVATION, 1)[0], learn=False)
    assert learner.metrics()["updates"] == 30
    assert learner.metrics()["transitions"] == 4


def test_a_fixed_policy_stays_as_it_is(transitions):
    policy = SPEC.build().policy
    learner = FixedPolicy(policy)
    before = policy.snapshot().values
    for transition in transitions(OBSERVATION, 3):
        learner.observe(transition)
    learner.prepare()
    assert learner.policy() is policy
    np.testing.assert_array_equal(policy.snapshot().values, before)
    assert learner.metrics() == {"transitions": 0.0, "updates": 0.0, "version": 0.0}
