"""The smallest problem of the door's kind: a hidden offset that only the picture shows, and a reward for undoing it.

    python -m sac_gmm.bench.rl.bandit --seeds 5 --json benchmarks/results/rl/bandit.json
    python -m sac_gmm.bench.rl.bandit --seeds 5 --decisions 10 --json benchmarks/results/rl/bandit_10.json
    python -m sac_gmm.bench.rl.bandit --seeds 3 --study --json benchmarks/results/rl/bandit_study.json

An offset (2,), N(0, 1 cm) per axis, is drawn once per episode. A 64x64 picture shows a bar that the offset shifts by
4.6 px per cm. The action moves the hand by up to 3 cm; the reward is 1 when hand and bar meet within 5 mm on both axes.
Doing nothing succeeds in 15 % of the episodes.

With one decision per episode this is a contextual bandit. With ten it is a door without physics: the hand follows the
action with a lag, the camera moves with the hand, the approach takes four decisions, contact decides, and the reward
comes later.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from sac_gmm.core.files import write_json
from sac_gmm.rl import AlgorithmSpec, Ar1Noise, Observation, ObservationSpec, Policy, Sac, SacConfig, Transition

# With one decision per episode, the bandit yields a hundredth of a task's transitions for as many episodes. The tasks'
# settings then overfit; a linear actor that imitates its successes generalises.
ONE_DECISION: dict[str, Any] = {
    "actor_hidden": (),
    "initial_std": 0.15,
    "min_std": 0.1,
    "target_entropy_per_action": -0.5,
    "imitation_weight": 3.0,
    "updates_per_decision": 5,
    "shift_std": 0.0,
}

# The variants of the study: each differs from the defaults in the given fields.
VARIANTS: dict[str, dict[str, Any]] = {
    "defaults": {},
    "no shifts along the symmetry": {"shift_std": 0.0},
    "linear actor": {"actor_hidden": ()},
    "self-imitation": {"imitation_weight": 3.0},
    "self-imitation alone": {"imitation_weight": 3.0, "value_weight": 0.0},
    "exploration stays": {"min_std": 0.1, "target_entropy_per_action": -0.5},
    "initial spread 0.15": {"initial_std": 0.15},
    "5 updates per decision": {"updates_per_decision": 5},
    "2 critics": {"n_critics": 2},
    "critics 128x128": {"critic_hidden": (128, 128)},
    "20 updates per decision": {"updates_per_decision": 20},
    "for one decision": ONE_DECISION,
    "no layer normalisation": {"layer_norm": False},
    "latent of 8": {"latent_size": 8},
    "successes not preferred": {"success_fraction": 0.0},
    "encoder trained on, every 4th update": {"encoder_interval": 4},
}

SIDE_PX = 64
PX_PER_CM = 4.6
RANGE_CM = 3.0
TOLERANCE_CM = 0.5
LAG = 0.6  # share of the distance to the commanded place that the hand covers in one decision
CONTACT, PAID = 4, 6  # decisions until contact with the bar, and until the reward
STEPS = 30  # control steps per decision


class HiddenOffset:
    """Episodes with one or several decisions.

    Args:
        seed: Seed of offsets and pictures.
        n_decisions: 1, or more than the six that it takes to be rewarded.
    """

    def __init__(self, seed: int, n_decisions: int = 1) -> None:
        self.n_decisions = n_decisions
        # Hand (2), progress (1); the picture shows the rest.
        # Shifting hand and action by d and the offset by -d leaves picture and outcome unchanged.
        shift = 100.0 / RANGE_CM  # per metre
        self.spec = ObservationSpec(
            3,
            (3, SIDE_PX, SIDE_PX),
            vector_shift=((shift, 0.0), (0.0, shift), (0.0, 0.0)),
            action_shift=((shift, 0.0), (0.0, shift)),
        )
        self._rng = np.random.default_rng(seed)
        texture = np.random.default_rng(7).normal(size=(3, 8, 8))
        self._background = 110.0 + 12.0 * np.kron(texture, np.ones((1, 8, 8)))
        self._y, self._x = np.mgrid[0:SIDE_PX, 0:SIDE_PX]
        self.reset()

    def reset(self) -> Observation:
        """Draw an offset; return the first observation."""
        self.offset_cm = self._rng.normal(size=2)
        self._hand_cm = np.zeros(2)
        self._decision = 0
        self._met = False
        return self._observe()

    def step(self, action: NDArray[np.floating]) -> tuple[Observation, float, bool, bool]:
        """Return observation, reward, terminated, truncated."""
        lag = 1.0 if self.n_decisions == 1 else LAG
        self._hand_cm = self._hand_cm + lag * (RANGE_CM * action - self._hand_cm)
        self._decision += 1
        if self._decision == min(CONTACT, self.n_decisions):
            self._met = bool(np.all(np.abs(self._hand_cm + self.offset_cm) < TOLERANCE_CM))
        paid = self._met and self._decision == min(PAID, self.n_decisions)
        over = self._decision == self.n_decisions
        # With one decision per episode, a failure is terminal too: nothing follows it.
        return self._observe(), float(paid), paid or (over and self.n_decisions == 1), over and not paid

    def _observe(self) -> Observation:
        progress = self._decision / self.n_decisions
        zoom = 1.0 + (progress if self.n_decisions > 1 else 0.0)  # the camera approaches
        centre = (SIDE_PX - 1) / 2 + PX_PER_CM * zoom * (self.offset_cm + self._hand_cm)
        bar = _inside(np.abs(self._x - centre[0]), 8.0 * zoom) * _inside(np.abs(self._y - centre[1]), 3.0 * zoom)
        image = self._background * (1.0 + 0.05 * self._rng.normal()) + bar * np.array([60.0, 70.0, 90.0])[:, None, None]
        image = image + 4.0 * self._rng.normal(size=image.shape)
        return {
            "vector": np.array([*self._hand_cm / RANGE_CM, progress], np.float32),
            "image": np.clip(image, 0, 255).astype(np.uint8),
        }


def learn(
    config: SacConfig,
    seed: int,
    n_decisions: int = 1,
    episodes: int = 100,
    base_episodes: int = 20,
    encoder_steps: int = 400,
    evaluate_at: tuple[int, ...] = (25, 50, 75, 100),
    evaluation_episodes: int = 100,
) -> dict[str, Any]:
    """Fill the buffer with base episodes, pre-train the encoder, learn; measure the deterministic policy on the way.

    Args:
        config: Settings of the learner.
        seed: Seed of everything.
        n_decisions: Decisions per episode.
        episodes: Episodes with exploration and learning.
        base_episodes: Episodes without adaptation, before those.
        encoder_steps: Steps of pre-training.
        evaluate_at: Episodes after which the deterministic policy is measured.
        evaluation_episodes: Episodes per measurement, the same ones every time.

    Returns:
        "success" by number of episodes, "base", "training_successes", "worst_window_of_25", "wall_s".
    """
    start = time.perf_counter()
    task = HiddenOffset(1000 + seed, n_decisions)
    sac = Sac(AlgorithmSpec(Sac, task.spec, 2, config, seed))
    noise = Ar1Noise(2, config.noise_correlation, np.random.default_rng([seed, 2]))
    for _ in range(base_episodes):
        _episode(task, sac, base=True)
    # With one decision per episode there are few pictures, so the encoder trains a little longer.
    pictures = [task.reset()["image"] for _ in range(200 if n_decisions == 1 else 0)]
    sac.agent.pretrain_encoder(np.array(pictures) if pictures else sac.replay.images(), encoder_steps)

    base = _success_rate(sac.policy, n_decisions, evaluation_episodes)
    success, trained = {}, []
    for episode in range(1, episodes + 1):
        noise.reset()
        trained.append(_episode(task, sac, noise=noise))
        if episode in evaluate_at:
            success[episode] = _success_rate(sac.policy, n_decisions, evaluation_episodes)
    windows = np.convolve(trained, np.ones(25) / 25, "valid") if episodes >= 25 else np.array([np.mean(trained)])
    return {
        "seed": seed,
        "base": base,
        "success": success,
        "training_successes": int(sum(trained)),
        "worst_window_of_25": round(float(windows.min()), 3),
        "wall_s": round(time.perf_counter() - start, 1),
    }


def _episode(task: HiddenOffset, sac: Sac, noise: Ar1Noise | None = None, base: bool = False) -> float:
    """Play one episode into the buffer, with updates after each decision unless `base`; return its reward."""
    obs, reward, over = task.reset(), 0.0, False
    while not over:
        action = np.zeros(2, np.float32) if noise is None else sac.act(obs, noise=noise.sample())
        after, reward, terminated, truncated = task.step(action)
        sac.observe(Transition(obs, action, reward, after, terminated, truncated, STEPS, success=reward > 0.0))
        if not base:
            sac.update(sac.updates_per_transition)
        obs, over = after, terminated or truncated
    return reward


def _success_rate(policy: Policy, n_decisions: int, episodes: int) -> float:
    task = HiddenOffset(99, n_decisions)
    successes = 0.0
    for _ in range(episodes):
        obs, over = task.reset(), False
        while not over:
            obs, reward, terminated, truncated = task.step(policy.act(obs, deterministic=True))
            successes += reward
            over = terminated or truncated
    return successes / episodes


def _inside(distance: NDArray[np.floating], half_width: float) -> NDArray[np.floating]:
    """1 inside, 0 outside, with an edge that is soft over half a pixel."""
    return 1.0 / (1.0 + np.exp(np.clip(2.0 * (distance - half_width), -50.0, 50.0)))


def main() -> None:
    """Run several seeds of the defaults, or of every variant; print and write a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, help="number of training seeds")
    parser.add_argument("--decisions", type=int, default=1, help="per episode: 1 or 10")
    parser.add_argument("--episodes", type=int, default=150, help="training episodes")
    parser.add_argument("--study", action="store_true", help="compare the variants")
    parser.add_argument("--json", type=Path, help="file for the results")
    options = parser.parse_args()

    torch.set_num_threads(1)
    evaluate_at = tuple(range(25, options.episodes + 1, 25))
    rows = []
    for name, change in (VARIANTS if options.study else {"defaults": {}}).items():
        runs = [
            learn(SacConfig(**change), seed, options.decisions, options.episodes, evaluate_at=evaluate_at)
            for seed in range(options.seeds)
        ]
        mean = {at: round(float(np.mean([run["success"][at] for run in runs])), 3) for at in evaluate_at}
        rows.append({"variant": name, "change": change, "mean_success": mean, "runs": runs})
        print(f"{name:38s} {'  '.join(f'{at}: {rate:.2f}' for at, rate in mean.items())}", flush=True)
    if options.json:
        command = f"python -m sac_gmm.bench.rl.bandit {' '.join(sys.argv[1:])}"
        write_json(options.json, {"command": command, "config": SacConfig().to_json(), "rows": rows})


if __name__ == "__main__":
    main()
