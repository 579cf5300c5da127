import numpy as np
import pytest

from sac_gmm.core.errors import UserError
from sac_gmm.rl import ObservationSpec, Replay, Transition

SPEC = ObservationSpec(1)


def vector(value):
    return {"vector": np.array([value], np.float32)}


def line(n, capacity=100, reward_at=None, **last):
    """One episode that walks 0, 1, 2, ... ; every macro-step takes ten control steps."""
    replay = Replay(SPEC, 1, capacity)
    for i in range(n):
        end = last if i == n - 1 else {}
        reward = float(i == reward_at)
        replay.add(Transition(vector(i), np.zeros(1), reward, vector(i + 1), end.get("terminated", False),
                              end.get("truncated", False), steps=10))  # fmt: skip
    return replay


def sample_all(replay, **options):
    """One row per distinct observation."""
    batch = replay.sample(1000, np.random.default_rng(0), **options)
    rows = {int(v): i for i, v in enumerate(batch["vector"][:, 0])}
    return {key: {name: batch[name][i] for name in batch} for key, i in rows.items()}


def test_macro_step_discount_and_terminal_against_time_out():
    ended = sample_all(line(3, terminated=True), gamma=0.99)
    assert ended[0]["discount"] == pytest.approx(0.99**10)
    assert ended[2]["discount"] == 0.0
    assert sample_all(line(3, truncated=True), gamma=0.99)[2]["discount"] == pytest.approx(0.99**10)


def test_n_step_sums_discounted_rewards_and_stops_at_the_end():
    rows = sample_all(line(5, reward_at=3, truncated=True), gamma=0.99, n_step=3)
    assert rows[1]["reward"] == pytest.approx(0.99**20)  # steps 1, 2, 3
    assert rows[1]["discount"] == pytest.approx(0.99**30)
    assert rows[1]["next_vector"][0] == 4.0
    assert rows[4]["next_vector"][0] == 5.0  # the last one alone
    assert rows[0]["reward"] == 0.0


def test_oldest_are_overwritten():
    replay = line(25, capacity=10)
    assert len(replay) == 10
    assert sorted(sample_all(replay)) == list(range(15, 25))


def test_images_are_stored_once_and_come_back(transitions):
    spec = ObservationSpec(1, (1, 24, 24))
    made = transitions(spec, 57)
    replay = Replay(spec, 2, 25)
    for transition in made:
        replay.add(transition)
    held = made[-25:]
    assert len(replay._next_image) <= 25 // 10 + 2
    batch = replay.sample(500, np.random.default_rng(0))
    by_vector = {t.obs["vector"].tobytes(): t for t in held}
    for i in range(500):
        transition = by_vector[batch["vector"][i].tobytes()]
        np.testing.assert_array_equal(batch["image"][i], transition.obs["image"])
        np.testing.assert_array_equal(batch["next_image"][i], transition.next_obs["image"])


def test_successful_episodes_are_drawn_as_asked():
    replay = Replay(SPEC, 1, 100)
    for episode in range(10):
        for i in range(4):
            success = episode == 6 and i == 3
            now = vector(episode)
            replay.add(Transition(now, np.zeros(1), 0.0, now, success, i == 3, success=success))
    batch = replay.sample(400, np.random.default_rng(0), success_fraction=0.5)
    assert batch["succeeded"].sum() == pytest.approx(200 + 20, abs=20)
    assert set(batch["vector"][batch["succeeded"] == 1.0, 0]) == {6.0}


def test_state_restores_everything(transitions):
    spec = ObservationSpec(2, (3, 24, 24))
    first, second = Replay(spec, 2, 20), Replay(spec, 2, 20)
    made = transitions(spec, 60)
    for transition in made[:33]:
        first.add(transition)
    second.load_state_dict(first.state_dict())
    for transition in made[33:]:
        first.add(transition)
        second.add(transition)
    a, b = (r.sample(64, np.random.default_rng(1), n_step=3, success_fraction=0.3) for r in (first, second))
    for name in a:
        np.testing.assert_array_equal(a[name], b[name])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"obs": vector(np.nan)}, "not finite"),
        ({"obs": {"vector": np.zeros(2)}}, "shape"),
        ({"obs": {}}, "nothing"),
        ({"action": np.array([1.5])}, r"\[-1, 1\]"),
        ({"action": np.array([np.nan])}, r"\[-1, 1\]"),
        ({"reward": float("inf")}, "reward"),
        ({"steps": 0}, "steps"),
        ({"success": True}, "last transition only"),
    ],
)
def test_bad_transitions_are_refused(change, message):
    good = {"obs": vector(0), "action": np.zeros(1), "reward": 0.0, "next_obs": vector(1), "terminated": False}
    replay = Replay(SPEC, 1, 4)
    with pytest.raises(UserError, match=message):
        replay.add(Transition(**{**good, **change}))
    assert len(replay) == 0
    with pytest.raises(UserError, match="empty"):
        replay.sample(1, np.random.default_rng(0))


def test_an_episode_that_was_cut_off_does_not_run_on_into_the_next():
    replay = Replay(SPEC, 1, 100)
    for i in range(2):  # never ends
        replay.add(Transition(vector(i), np.zeros(1), 0.0, vector(i + 1), False, steps=10, first=i == 0))
    replay.add(Transition(vector(7), np.zeros(1), 1.0, vector(8), True, steps=10, first=True, success=True))
    rows = sample_all(replay, gamma=0.99, n_step=3)
    assert [rows[i]["succeeded"] for i in (0, 1, 7)] == [0, 0, 1]
    assert rows[1]["reward"] == 0.0
    assert list(replay.episode_starts()) == [0, 2]


def test_success_is_a_flag_of_its_own_beside_the_reward():
    """Dense rewards pay episodes that fail; a penalty may make the return of a success negative."""
    replay = Replay(SPEC, 1, 100)
    for episode, (reward, success) in enumerate([(1.0, False), (-1.0, True)]):
        for i in range(3):
            now, succeeds, fails = vector(10 * episode + i), i == 2 and success, i == 2 and not success
            replay.add(Transition(now, np.zeros(1), reward, now, succeeds, fails, success=succeeds))
    succeeded = {key: row["succeeded"] for key, row in sample_all(replay).items()}
    assert succeeded == {0: 0, 1: 0, 2: 0, 10: 1, 11: 1, 12: 1}


def test_a_success_that_is_overwritten_is_no_longer_drawn():
    replay = Replay(SPEC, 1, 4)
    replay.add(Transition(vector(9), np.zeros(1), 1.0, vector(9), True, success=True))
    assert replay.sample(8, np.random.default_rng(0), success_fraction=1.0)["succeeded"].all()
    for i in range(4):
        replay.add(Transition(vector(i), np.zeros(1), 0.0, vector(i), False))
    assert not replay.sample(8, np.random.default_rng(0), success_fraction=1.0)["succeeded"].any()
