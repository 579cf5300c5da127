"""Decoders, the macro environment, the observer and the agent's bookkeeping."""

import numpy as np
import pytest

from sac_gmm.control import ArmState
from sac_gmm.methods import (
    AdaptingAgent,
    Gmm,
    MacroEnv,
    Mode,
    ResidualGmm,
    Sac,
    SacGmm,
    Translation,
    WindowObserver,
)
from sac_gmm.models import Regressor
from sac_gmm.rl import Transition

TARGET_M = np.array([0.5, 0.0, 0.3])


def drive(decoder, steps, relative_m=(0.0, 0.0, 0.08)):
    """Hold the arm still and let the decoder speak: its last twist."""
    state = ArmState(TARGET_M + relative_m, TARGET_M)
    for _ in range(steps):
        twist = decoder.twist(state)
    return twist.copy()


class PointTask:
    """A point that moves as it is told; done when it is near the target."""

    control_dt_s = 1 / 30
    limit = 50

    def reset(self, *, seed=None, options=None):
        self.position = TARGET_M + [0.0, 0.0, 0.1]
        self.steps = 0
        return self._state(), {}

    def step(self, action):
        self.position = self.position + self.control_dt_s * action[:3]
        self.steps += 1
        done = bool(np.linalg.norm(self.position - TARGET_M) < 0.02)
        return self._state(), float(done), done, not done and self.steps >= self.limit, {}

    def read(self, group):
        return np.full((64, 64, 3), self.steps, np.uint8)

    def _state(self):
        return {"ee_position_m": self.position, "target_m": TARGET_M, "wrench": np.full(6, float(self.steps))}


def test_no_action_leaves_the_base_model_itself(model):
    assert Translation(model).apply(np.zeros(3)) is model


def test_an_action_moves_the_whole_skill(model):
    moved = Translation(model, reach_m=0.03).apply([1.0, -0.5, 5.0])
    shift = np.array([0.03, -0.015, 0.03])  # what is beyond 1 is cut
    np.testing.assert_allclose(moved.attractor - model.attractor, shift)
    x = np.array([0.01, 0.02, 0.05])
    np.testing.assert_allclose(Regressor(moved.mixture)(x + shift), Regressor(model.mixture)(x), atol=1e-12)


def test_gmm_follows_the_field(model):
    expected = Regressor(model.mixture)(np.array([0.0, 0.0, 0.08]))
    decoder = Gmm(model)
    decoder.begin()
    np.testing.assert_allclose(drive(decoder, 60)[:3], expected, atol=1e-6)


def test_sac_gmm_follows_the_moved_field(model):
    decoder = SacGmm(model)
    decoder.begin()
    decoder.decide(np.array([0.0, 1.0, 0.0]))
    expected = Regressor(decoder.adaptation.apply([0.0, 1.0, 0.0]).mixture)(np.array([0.0, 0.0, 0.08]))
    np.testing.assert_allclose(drive(decoder, 60)[:3], expected, atol=1e-6)


def test_a_new_episode_begins_with_the_base_model(model):
    decoder = SacGmm(model)
    decoder.begin()
    decoder.decide(np.ones(3))
    drive(decoder, 30)
    decoder.begin()
    expected = Regressor(model.mixture)(np.array([0.0, 0.0, 0.08]))
    np.testing.assert_allclose(drive(decoder, 60)[:3], expected, atol=1e-6)


def test_residual_gmm_adds_the_action(model):
    decoder = ResidualGmm(model, authority_m_s=0.05)
    decoder.decide(np.array([1.0, 0.0, -1.0]))
    expected = Regressor(model.mixture)(np.array([0.0, 0.0, 0.08])) + [0.05, 0.0, -0.05]
    np.testing.assert_allclose(drive(decoder, 60)[:3], expected, atol=1e-6)


def test_sac_is_its_action():
    decoder = Sac()
    decoder.decide(np.array([0.4, 0.0, 0.0]))
    np.testing.assert_allclose(drive(decoder, 60), [0.1, 0, 0, 0, 0, 0], atol=1e-6)


@pytest.mark.parametrize("make", [lambda m: SacGmm(m), lambda m: ResidualGmm(m), lambda m: Sac()])
def test_no_decoder_jumps(model, make):
    decoder = make(model)
    decoder.begin()
    rng = np.random.default_rng(0)
    last = np.zeros(6)
    for step in range(200):
        if step % 10 == 0:
            decoder.decide(rng.uniform(-1, 1, 3))
        twist = drive(decoder, 1, rng.normal(0, 0.05, 3))
        assert np.linalg.norm(twist[:3]) <= 0.25 + 1e-9
        assert np.linalg.norm(twist - last) <= 2.0 / 30 + 1e-9  # the acceleration limit
        last = twist


def test_a_macro_step_sums_and_counts(model):
    env = MacroEnv(PointTask(), Gmm(model, interval=20), WindowObserver(0))
    env.reset(seed=0)
    outcomes = []
    while not outcomes or not (outcomes[-1].terminated or outcomes[-1].truncated):
        outcomes.append(env.step(np.zeros(0)))
    assert [o.steps for o in outcomes[:-1]] == [20] * (len(outcomes) - 1)
    assert sum(o.steps for o in outcomes) == env.task.steps
    assert sum(o.reward for o in outcomes) == float(outcomes[-1].terminated)


def test_a_time_out_is_told_apart_from_an_end():
    env = MacroEnv(PointTask(), Sac(), WindowObserver(3))
    env.reset(seed=0)
    for _ in range(49):
        result = env.step(np.zeros(3))
        assert not result.terminated and not result.truncated
    result = env.step(np.zeros(3))
    assert (result.terminated, result.truncated) == (False, True)


def test_the_observer_averages_a_window_and_begins_the_next():
    observer = WindowObserver(2, time_limit_s=10.0)
    observer.tick(np.array([0.1, 0.2, 0.3]), np.array([1.0, 0, -4, 0, 0, 0]))
    observer.tick(np.array([0.4, 0.5, 0.6]), np.array([3.0, 0, 2, 0, 0, 1]))
    observer.acted(np.array([0.5, -0.5]))
    vector = observer.observe(None, elapsed_s=2.5)["vector"]
    np.testing.assert_allclose(vector[:3], [0.4, 0.5, 0.6], rtol=1e-6)
    np.testing.assert_allclose(vector[3:9], [2.0, 0, -1, 0, 0, 0.5])
    np.testing.assert_allclose(vector[9:12], [3.0, 0, -4])  # the strongest, with its sign
    np.testing.assert_allclose(vector[12:], [0.5, -0.5, 0.25])
    assert not observer.observe(None, elapsed_s=2.5)["vector"][3:12].any()


def test_the_picture_is_handed_on_channels_first():
    picture = np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8)
    observation = WindowObserver(3, image="rgb").observe(picture, 0.0)
    np.testing.assert_array_equal(observation["image"], picture.transpose(2, 0, 1))


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
    agent.end(observation(3), success=success, truncated=not success, steps=7)
    return actions


def test_base_episodes_are_remembered_but_not_learned_from():
    learner = Notebook()
    actions = play(AdaptingAgent(learner, 3, 0.9, seed=0), Mode.BASE, success=True)
    assert not np.any(actions)
    assert [learn for _, learn in learner.seen] == [False] * 3
    last = learner.seen[-1][0]
    assert (last.reward, last.terminated, last.truncated, last.steps) == (1.0, True, False, 7)


def test_training_explores_and_closes_time_outs_as_truncated():
    learner = Notebook()
    actions = play(AdaptingAgent(learner, 3, 0.9, seed=0), Mode.TRAIN, success=False)
    assert np.all(np.abs(actions) > 0)
    transitions = [t for t, learn in learner.seen if learn]
    assert [t.steps for t in transitions] == [16, 16, 7]
    assert [t.obs["vector"][0] for t in transitions] == [0, 1, 2]
    assert [t.next_obs["vector"][0] for t in transitions] == [1, 2, 3]
    last = transitions[-1]
    assert (last.reward, last.terminated, last.truncated) == (0.0, False, True)


def test_evaluation_is_deterministic_and_teaches_nothing():
    learner = Notebook()
    actions = play(AdaptingAgent(learner, 3, 0.9, seed=0), Mode.EVALUATE, success=True)
    assert not np.any(actions) and not learner.seen


def test_one_policy_is_measured_however_the_learner_goes_on():
    learner = Notebook()
    agent = AdaptingAgent(learner, 3, 0.9, seed=0)
    for _ in range(3):
        play(agent, Mode.EVALUATE, success=True)
    assert learner.asked == 1
    play(agent, Mode.TRAIN, success=False)
    play(agent, Mode.EVALUATE, success=True)
    assert learner.asked == 1 + 3 + 1


def test_the_encoder_looks_at_the_base_episodes_once():
    learner = Notebook()
    agent = AdaptingAgent(learner, 3, 0.9, seed=0)
    play(agent, Mode.BASE, success=False)
    assert not learner.pretrained
    play(agent, Mode.TRAIN, success=False)
    play(agent, Mode.TRAIN, success=False)
    assert len(learner.pretrained) == 1 and learner.pretrained[0] == 3


@pytest.mark.parametrize(("transitions", "updates", "expected"), [(120.0, 0.0, 1), (120.0, 40.0, 0), (0.0, 0.0, 0)])
def test_a_resumed_learner_prepares_its_encoder_unless_it_has_already_learned(transitions, updates, expected):
    learner = Notebook()
    learner.metrics = lambda: {"transitions": transitions, "updates": updates}
    play(AdaptingAgent(learner, 3, 0.9, seed=0), Mode.TRAIN, success=False)
    assert len(learner.pretrained) == expected


def test_without_images_there_is_no_encoder_to_prepare():
    learner = Notebook()
    agent = AdaptingAgent(learner, 3, 0.9, seed=0, sees_images=False)
    play(agent, Mode.BASE, success=False)
    play(agent, Mode.TRAIN, success=False)
    assert not learner.pretrained


def play_late(agent, n, success=True):
    """An episode that had ended after 7 of the 16 steps from the decision before the last, unknown to who decided."""
    agent.begin(Mode.TRAIN)
    actions = [agent.decide(observation(i), steps=16 if i else 0) for i in range(n)]
    agent.end(observation(99), success=success, truncated=not success, steps=7, late=True)
    return actions


@pytest.mark.parametrize("success", [True, False])
def test_a_decision_after_the_end_is_left_out_and_the_one_before_it_is_paid(success):
    learner = Notebook()
    actions = play_late(AdaptingAgent(learner, 3, 0.9, seed=0, hold_back=True), 3, success)
    transitions = [transition for transition, _ in learner.seen]
    assert [t.obs["vector"][0] for t in transitions] == [0, 1]
    assert [t.next_obs["vector"][0] for t in transitions] == [1, 2]
    assert [(t.reward, t.terminated, t.truncated) for t in transitions] == [
        (0.0, False, False),
        (float(success), success, not success),
    ]
    assert [(t.steps, t.first) for t in transitions] == [(16, True), (7, False)]
    np.testing.assert_array_equal([t.action for t in transitions], actions[:2])
    play_late(AdaptingAgent(learner, 3, 0.9, seed=0, hold_back=True), 1)
    assert len(learner.seen) == 2, "nothing came of the only decision"


def test_what_is_held_back_is_handed_over_in_the_end():
    """Late as it is, it is the same; and the episode that never ended loses no more than its last decision."""
    at_once, later = Notebook(), Notebook()
    for learner, hold_back in ((at_once, False), (later, True)):
        agent = AdaptingAgent(learner, 3, 0.9, seed=0, hold_back=hold_back)
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
    agent = AdaptingAgent(learner, 3, 0.9, seed=0)
    agent.begin(Mode.TRAIN)
    agent.decide(observation(0), steps=16)
    agent.begin(Mode.TRAIN)
    agent.decide(observation(1), steps=16)
    assert not learner.seen
