"""The locator: what it cuts out, what it learns without labels, and the frame in which actor and critics then work."""

import numpy as np
import pytest
import torch

from sac_gmm.rl import AlgorithmSpec, ObservationSpec, Sac, SacConfig, Sight, SyncLearner, Transition
from sac_gmm.rl.sac.agent import SacAgent
from sac_gmm.rl.sight.locator import HALF_M, SIDE_PX, Locator, train_locator

# A camera that looks straight down: x of the picture along x of the base, y of the picture against y of the base.
DOWN = ((1.0, 0.0, 0.0), (0.0, -1.0, 0.0), (0.0, 0.0, -1.0))
FOCAL_PX, AWAY_M = 80.0, 0.25
SIGHT = Sight(FOCAL_PX, DOWN, first=0)


def picture_of(place_m, depth_range_m=None):
    """A square of 24 mm at `place_m` (3,), camera frame, before a plain ground: (1, 64, 64) bytes."""
    v, u = np.mgrid[:64, :64] + 0.5
    x, y = ((w - 32.0) / FOCAL_PX * place_m[2] for w in (u, v))
    inside = (abs(x - place_m[0]) < 0.012) & (abs(y - place_m[1]) < 0.012)
    if depth_range_m is None:
        return np.where(inside, 230, 60).astype(np.uint8)[None]
    low, high = depth_range_m
    metres = np.where(inside, place_m[2], place_m[2] + 0.03)
    return np.clip(255 * (metres - low) / (high - low), 0, 255).astype(np.uint8)[None]


def scenes(n, seed, depth_range_m=None):
    """Pictures (n, 1, 64, 64), detected targets in the camera's frame (n, 3), errors in base axes (n, 3)."""
    rng = np.random.default_rng(seed)
    true_m = np.array([0.0, 0.0, AWAY_M]) + rng.uniform(-0.02, 0.02, (n, 3))
    error_m = rng.normal(0.0, 0.008, (n, 3))
    detected_m = true_m - error_m @ np.array(DOWN).T
    pictures = np.array([picture_of(place, depth_range_m) for place in true_m])
    return pictures, detected_m.astype(np.float32), error_m


def told(locator, pictures, detected_m):
    with torch.no_grad():
        return locator(torch.from_numpy(pictures), torch.from_numpy(detected_m)).numpy()


def test_a_target_detected_rightly_is_in_the_middle_whatever_its_distance():
    locator = Locator((1, 64, 64), SIGHT, 4, 4)
    for place in ([0.02, -0.01, 0.2], [-0.03, 0.02, 0.32]):
        view = locator.cut_out(torch.from_numpy(picture_of(np.array(place)))[None], torch.tensor([place]))[0, 0]
        bright = np.argwhere(view.numpy() > 0.5)
        np.testing.assert_allclose(bright.mean(axis=0), (SIDE_PX - 1) / 2, atol=0.6)
        side_px = 0.024 / (2 * HALF_M) * SIDE_PX
        assert abs(np.ptp(bright[:, 0]) + 1 - side_px) <= 2.0


@pytest.mark.parametrize("depth_range_m", [None, (0.1, 0.5)])
def test_a_made_up_error_looks_like_a_real_one(depth_range_m):
    """Cut out with an error made up, a picture looks as one does that was taken with that error of the detection."""
    locator = Locator((1, 64, 64), Sight(FOCAL_PX, DOWN, 0, depth_range_m), 4, 4)
    true_m, error_m = np.array([0.01, 0.005, AWAY_M]), np.array([0.012, -0.006, 0.01])
    seen = torch.from_numpy(picture_of(true_m, depth_range_m))[None]
    moved_m = true_m + np.array(DOWN) @ error_m
    really = torch.from_numpy(picture_of(moved_m, depth_range_m))[None]
    at = torch.from_numpy(true_m[None].astype(np.float32))
    made_up = locator.cut_out(seen, at, torch.tensor(error_m[None], dtype=torch.float32))
    real = locator.cut_out(really, at)
    assert (made_up - real).abs().mean() < 0.08 < (locator.cut_out(seen, at) - real).abs().mean()


@pytest.mark.parametrize("depth_range_m", [None, (0.1, 0.5)])
def test_it_learns_the_error_without_labels(depth_range_m):
    torch.manual_seed(0)
    locator = Locator((1, 64, 64), Sight(FOCAL_PX, DOWN, 0, depth_range_m), 8, 8)
    pictures, detected_m, error_m = scenes(24, 0, depth_range_m)
    assert not told(locator, pictures, detected_m).any(), "it says nothing before it has learned"
    train_locator(locator, pictures, detected_m, 500, np.random.default_rng(0))
    np.testing.assert_allclose(told(locator, pictures, detected_m).mean(axis=0), 0.0, atol=1e-5)
    pictures, detected_m, error_m = scenes(60, 1, depth_range_m)
    left = told(locator, pictures, detected_m) - error_m
    assert (left.std(axis=0)[:2] < 0.002).all(), left.std(axis=0)
    if depth_range_m:  # how far a plain square is, colours hardly tell
        assert left.std(axis=0)[2] < 0.9 * error_m.std(axis=0)[2]


def seeing_spec(action_shift=True):
    """Position (3) and detected target in the camera's frame (3)."""
    shifts = {}
    if action_shift:
        rows = [[1, 0, 0], [0, 1, 0], [0, 0, 1], *(-np.array(DOWN)).tolist()]
        shifts = {"vector_shift": rows, "action_shift": (np.eye(3) / 0.05).tolist()}
    return ObservationSpec(6, (1, 64, 64), sight=Sight(FOCAL_PX, DOWN, 3), **shifts)


def episode_observation(error_m, seed=0):
    """What is seen of one place under an error of the detection: all that differs is that error."""
    true_m = np.array([0.01, -0.01, AWAY_M])
    tip_m = np.array([0.02, 0.0, 0.1])  # relative to the true target
    detected_m = true_m - np.array(DOWN) @ error_m
    vector = np.concatenate((tip_m + error_m, detected_m)).astype(np.float32)
    return {"vector": vector, "image": picture_of(true_m)}


@pytest.fixture(scope="module")
def seeing_learner():
    config = SacConfig(
        encoder_channels=8, n_keypoints=8, locator_steps=500, locator_refit_steps=20, shift_std=0.0, replay_capacity=500
    )
    learner = SyncLearner(AlgorithmSpec(Sac, seeing_spec(), 3, config).build())
    pictures, detected_m, error_m = scenes(24, 0)
    for picture, target, error in zip(pictures, detected_m, error_m, strict=True):
        obs = {"vector": np.concatenate((error, target)).astype(np.float32), "image": picture}
        learner.observe(Transition(obs, np.zeros(3, np.float32), 0.0, obs, True, steps=16), learn=False)
    learner.prepare()
    return learner


def test_what_is_seen_is_not_shifted(seeing_learner):
    """Another error would be seen; moved without the picture it would teach that sight says nothing."""
    actors = []
    for shift_std in (0.0, 0.015):
        config = SacConfig(encoder_channels=8, n_keypoints=8, locator_steps=5, shift_std=shift_std)
        agent = SacAgent(seeing_spec(), 3, config, seed=0)
        agent.update_many(seeing_learner.algorithm.replay, 5)
        actors.append(torch.cat([p.reshape(-1) for p in agent.policy.actor.parameters()]))
    assert torch.equal(*actors)


def test_the_policy_undoes_the_error_that_it_sees(seeing_learner):
    policy = seeing_learner.policy()
    one_m, other_m = np.array([0.01, 0.0, 0.0]), np.array([-0.005, 0.012, 0.0])
    one, other = (policy.act(episode_observation(error_m), deterministic=True) for error_m in (one_m, other_m))
    # All that is left is what 24 errors do not average to zero.
    np.testing.assert_allclose(0.05 * (one - other)[:2], (one_m - other_m)[:2], atol=0.003)
    np.testing.assert_allclose(0.05 * one[:2], one_m[:2], atol=0.006)


def test_features_and_meant_actions_do_not_depend_on_the_error(seeing_learner):
    policy = seeing_learner.policy()
    found = []
    for error_m in (np.zeros(3), np.array([0.01, -0.008, 0.0])):
        obs = episode_observation(error_m)
        vector, image = torch.from_numpy(obs["vector"])[None], torch.from_numpy(obs["image"])[None]
        with torch.no_grad():
            seen = policy.see(vector, image)
        taken = torch.from_numpy((0.1 + error_m / 0.05).astype(np.float32))[None]
        found.append((policy.features(vector, seen), policy.to_seen_frame(taken, seen)))
    (features, meant), (other_features, other_meant) = found
    np.testing.assert_allclose(features.numpy(), other_features.numpy(), atol=0.003)
    np.testing.assert_allclose(0.05 * meant.numpy(), 0.05 * other_meant.numpy(), atol=0.003)
    assert features.shape == (1, 3), "the target in the camera's frame is for the locator alone"


def test_where_the_action_has_no_symmetry_the_error_is_a_feature():
    policy = SacAgent(seeing_spec(action_shift=False), 2, SacConfig(encoder_channels=4, n_keypoints=4), 0).policy
    obs = episode_observation(np.zeros(3))
    vector = torch.from_numpy(obs["vector"])[None]
    features = policy.features(vector, torch.tensor([[0.01, -0.02, 0.0]]))
    np.testing.assert_allclose(features[0, 3:].detach().numpy(), [1.0, -2.0, 0.0], rtol=1e-6)
    assert policy.act(obs).shape == (2,)


def test_it_learns_anew_when_there_are_twice_as_many_episodes(seeing_learner):
    learner, agent = seeing_learner, seeing_learner.algorithm.agent
    assert agent.state_dict()["values"]["n_located"] == 24
    pictures, detected_m, error_m = scenes(24, 2)
    for k, (picture, target, error) in enumerate(zip(pictures, detected_m, error_m, strict=True)):
        obs = {"vector": np.concatenate((error, target)).astype(np.float32), "image": picture}
        learner.observe(
            Transition(obs, np.zeros(3, np.float32), float(k % 2), obs, True, steps=16, success=bool(k % 2))
        )
        assert agent.state_dict()["values"]["n_located"] == (48 if k == 23 else 24)


def test_a_seeing_agent_goes_on_from_its_checkpoint(seeing_learner, tmp_path):
    seeing_learner.checkpoint(tmp_path / "agent.checkpoint")
    resumed, _ = SyncLearner.resume(tmp_path / "agent.checkpoint")
    obs = episode_observation(np.array([0.01, 0.0, 0.0]))
    for learner in (seeing_learner, resumed):
        learner.observe(Transition(obs, np.full(3, 0.1, np.float32), 1.0, obs, True, steps=16, success=True))
    actions = [learner.policy().act(obs, deterministic=True) for learner in (seeing_learner, resumed)]
    np.testing.assert_array_equal(*actions)
