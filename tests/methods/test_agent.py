"""The agent's bookkeeping."""

import numpy as np
import pytest

from sac_gmm.methods import Agent, Mode
from sac_gmm.rl import Transition


class Notebook:
    """A learner that writes down what it is told."""

    def __init__(self):
        self.seen: list[tuple[Transition, bool]] = []
        self.pretrained = []
        self.asked = 0

    def observe(self, transition, *, learn=True):
        self.seen.append((transition, learn))

    def prepare(self):
        self.pretrained.append(len(self.seen))

    def metrics(self):
        return {"updates": 0.0}

    def policy(self):
        self.asked += 1

        class Policy:
            def act(self, obs, deterministic=False, noise=None):
                return np.zeros(3, np.float32) if deterministic else np.asarray(noise, np.float32)

        return Policy()


def observation(number):
    return {"vector": np.full(4, number, np.float32), "image": np.zeros((3, 64, 64), np.uint8)}


def play(agent, mode, *, success):
    agent.begin(mode)
    actions = [agent.decide(observation(i), steps=16) for i in range(3)]
    agent.end(observation(3), reward=float(success), success=success, truncated=not success, steps=7)
    return actions


def test_base_episodes_are_remembered_but_not_learned_from():
    learner = Notebook()
    actions = play(Agent(learner, 3, 0.9, seed=0), Mode.BASE, success=True)
    assert not np.any(actions)
    assert [learn for _, learn in learner.seen] == [False] * 3
    last = learner.seen[-1][0]
    assert (last.reward, last.terminated, last.truncated, last.steps) == (1.0, True, False, 7)


def test_training_explores_and_closes_time_outs_as_truncated():
    learner = Notebook()
    actions = play(Agent(learner, 3, 0.9, seed=0), Mode.TRAIN, success=False)
    assert np.all(np.abs(actions) > 0)
    transitions = [t for t, learn in learner.seen if learn]
    assert [t.steps for t in transitions] == [16, 16, 7]
    assert [t.obs["vector"][0] for t in transitions] == [0, 1, 2]
    assert [t.next_obs["vector"][0] for t in transitions] == [1, 2, 3]
    last = transitions[-1]
    assert (last.reward, last.terminated, last.truncated) == (0.0, False, True)


def test_rewards_between_decisions_are_kept():
    learner = Notebook()
    agent = Agent(learner, 3, 0.9, seed=0)
    agent.begin(Mode.TRAIN)
    agent.decide(observation(0), steps=0)
    agent.decide(observation(1), steps=16, reward=-0.25)
    agent.end(observation(2), reward=0.5, success=False, truncated=True, steps=3)
    assert [(t.reward, t.success) for t, _ in learner.seen] == [(-0.25, False), (0.5, False)]


def test_evaluation_is_deterministic_and_teaches_nothing():
    learner = Notebook()
    actions = play(Agent(learner, 3, 0.9, seed=0), Mode.EVALUATE, success=True)
    assert not np.any(actions) and not learner.seen


def test_one_policy_is_measured_however_the_learner_goes_on():
    learner = Notebook()
    agent = Agent(learner, 3, 0.9, seed=0)
    for _ in range(3):
        play(agent, Mode.EVALUATE, success=True)
    assert learner.asked == 1
    play(agent, Mode.TRAIN, success=False)
    play(agent, Mode.EVALUATE, success=True)
    assert learner.asked == 1 + 3 + 1


def test_the_encoder_looks_at_the_base_episodes_once():
    learner = Notebook()
    agent = Agent(learner, 3, 0.9, seed=0)
    play(agent, Mode.BASE, success=False)
    assert not learner.pretrained
    play(agent, Mode.TRAIN, success=False)
    play(agent, Mode.TRAIN, success=False)
    assert len(learner.pretrained) == 1 and learner.pretrained[0] == 3


@pytest.mark.parametrize(("transitions", "updates", "expected"), [(120.0, 0.0, 1), (120.0, 40.0, 0), (0.0, 0.0, 0)])
def test_a_resumed_learner_prepares_its_encoder_unless_it_has_already_learned(transitions, updates, expected):
    learner = Notebook()
    learner.metrics = lambda: {"transitions": transitions, "updates": updates}
    play(Agent(learner, 3, 0.9, seed=0), Mode.TRAIN, success=False)
    assert len(learner.pretrained) == expected


def play_late(agent, n, success=True):
    """An episode that had ended after 7 of the 16 steps from the decision before the last, unknown to who decided."""
    agent.begin(Mode.TRAIN)
    actions = [agent.decide(observation(i), steps=16 if i else 0) for i in range(n)]
    agent.end(observation(99), reward=float(success), success=success, truncated=not success, steps=7, late=True)
    return actions


@pytest.mark.parametrize("success", [True, False])
def test_a_decision_after_the_end_is_left_out_and_the_one_before_it_is_paid(success):
    learner = Notebook()
    actions = play_late(Agent(learner, 3, 0.9, seed=0, hold_back=True), 3, success)
    transitions = [transition for transition, _ in learner.seen]
    assert [t.obs["vector"][0] for t in transitions] == [0, 1]
    assert [t.next_obs["vector"][0] for t in transitions] == [1, 2]
    assert [(t.reward, t.terminated, t.truncated) for t in transitions] == [
        (0.0, False, False),
        (float(success), success, not success),
    ]
    assert [(t.steps, t.first) for t in transitions] == [(16, True), (7, False)]
    np.testing.assert_array_equal([t.action for t in transitions], actions[:2])
    play_late(Agent(learner, 3, 0.9, seed=0, hold_back=True), 1)
    assert len(learner.seen) == 2, "nothing came of the only decision"


@pytest.mark.parametrize("promptly", [True, False])
def test_what_happened_is_learned_after_the_next_decision_whenever_that_is_asked_for(promptly):
    """So the arm moves while the learner works, and who is faster changes nothing."""
    learner = Notebook()
    agent = Agent(learner, 3, 0.9, seed=0)
    known_at_decision = []
    agent.begin(Mode.TRAIN)
    for i in range(4):
        agent.decide(observation(i), steps=16 if i else 0)
        known_at_decision.append(len(learner.seen))
        if promptly:
            agent.learn()
    assert known_at_decision == [0, 0, 1, 2]
    agent.end(observation(4), reward=1.0, success=True, truncated=False, steps=7)
    assert len(learner.seen) == 4


def test_a_decision_after_the_end_leaves_no_trace():
    """In lock-step, news of the end and the last state race each other: the winner must not change the next episode."""
    told_late, told_in_time = (Agent(Notebook(), 3, 0.5, seed=0, hold_back=True) for _ in range(2))
    play_late(told_late, 3)
    told_in_time.begin(Mode.TRAIN)
    for i in range(2):
        told_in_time.decide(observation(i), steps=16 if i else 0)
    told_in_time.end(observation(2), reward=1.0, success=True, truncated=False, steps=7)
    np.testing.assert_array_equal(
        play(told_late, Mode.TRAIN, success=True), play(told_in_time, Mode.TRAIN, success=True)
    )


@pytest.mark.parametrize(("late", "credited"), [(1, 3), (2, 2), (3, 1), (4, None)])
def test_several_decisions_after_the_end_are_left_out(late, credited):
    """In real time, several decisions may pass before the news of the end: as many are held back."""
    learner = Notebook()
    agent = Agent(learner, 3, 0.9, seed=0, hold_back=3)
    agent.begin(Mode.TRAIN)
    for i in range(5):
        agent.decide(observation(i), steps=16 if i else 0)
    agent.learn()
    assert [transition.obs["vector"][0] for transition, _ in learner.seen] == [0], "what so many follow is passed on"
    agent.end(observation(99), reward=1.0, success=True, truncated=False, steps=7, late=late)
    transitions = [transition for transition, _ in learner.seen]
    assert [t.obs["vector"][0] for t in transitions] == list(range(credited + 1 if credited else 1))
    if credited:
        last = transitions[-1]
        assert (last.next_obs["vector"][0], last.reward, last.terminated, last.steps) == (credited + 1, 1.0, True, 7)


def test_what_is_held_back_is_handed_over_in_the_end():
    """Late as it is, it is the same; and the episode that never ended loses no more than its last decision."""
    at_once, later = Notebook(), Notebook()
    for learner, hold_back in ((at_once, False), (later, True)):
        agent = Agent(learner, 3, 0.9, seed=0, hold_back=hold_back)
        play(agent, Mode.BASE, success=True)
        agent.begin(Mode.TRAIN)
        for i in range(3):
            agent.decide(observation(i), steps=16)
        play(agent, Mode.EVALUATE, success=True)
    assert [learn for _, learn in later.seen] == [learn for _, learn in at_once.seen] == [False] * 3 + [True] * 2
    for (mine, _), (theirs, _) in zip(later.seen, at_once.seen, strict=True):
        assert (mine.reward, mine.steps, mine.first) == (theirs.reward, theirs.steps, theirs.first)
        np.testing.assert_array_equal(mine.action, theirs.action)


def test_an_episode_that_never_ended_is_forgotten():
    learner = Notebook()
    agent = Agent(learner, 3, 0.9, seed=0)
    agent.begin(Mode.TRAIN)
    agent.decide(observation(0), steps=16)
    agent.begin(Mode.TRAIN)
    agent.decide(observation(1), steps=16)
    assert not learner.seen
