"""Measures by regression what the agent's view reveals about the hidden error of the detected target.

A trained policy runs episodes, and at every decision the detection error is regressed on parts of the agent's view. The
truth is used only for this measurement; the agent never sees it. R2 on held-out episodes is the share of the error's
variance that the view explains: 0 means none.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_gmm.core.provenance import provenance
from sac_gmm.evaluation.measuring import episode_seeds
from sac_gmm.methods import Skill, make_env, run_episode
from sac_gmm.rl import Observation, Policy, SeeingPolicy, load_policy

Array = NDArray[np.float64]

N_HIDDEN, STEPS = 64, 1500  # of the small network that is added to the linear regression
PARTS = ("pose and action", "with touch", "with memory", "with picture")


def probe(
    skill: Skill,
    episodes: int = 200,
    bank: str = "select",
    on_episode: Callable[[], None] = lambda: None,
    seed: int = 0,
) -> dict[str, Any]:
    """Measure what a trained agent's view reveals.

    Args:
        skill: A trained skill.
        episodes: Episodes to run; the regression is fitted on three quarters of them and tested on the rest.
        bank: Bank of their seeds.
        on_episode: Called after each episode.
        seed: Seed of the regression.

    Returns:
        R2 per axis and part of the view, over the decisions of the test episodes and at each decision.
    """
    assert skill.policy is not None
    policy, _ = load_policy(skill.policy)
    rows = collect(skill, policy, episode_seeds(bank, episodes), on_episode)
    parts = _parts(skill, rows)
    train = rows["episode"] < round(0.75 * episodes)
    found: dict[str, Any] = {}
    for name, inputs in parts.items():
        predicted = _regress(inputs, rows["error_m"], train, seed)
        test = ~train
        by_decision = {
            int(k): _r2(rows["error_m"][at], predicted[at])
            for k in range(int(rows["decision"].max()) + 1)
            if (at := test & (rows["decision"] == k)).sum() >= 10
        }
        found[name] = {
            "r2": _r2(rows["error_m"][test], predicted[test]),
            "rms_error_mm": (1e3 * np.sqrt(((rows["error_m"] - predicted)[test] ** 2).mean(axis=0))).round(2).tolist(),
            "r2_by_decision": by_decision,
        }
    return {
        "task": skill.task,
        "skill": skill.method.name,
        "episodes": episodes,
        "error_std_mm": (1e3 * rows["error_m"].std(axis=0)).round(2).tolist(),
        "axes": ["x", "y", "z"],
        "parts": found,
        **provenance(),
    }


def collect(
    skill: Skill, policy: Policy, seeds: range, on_episode: Callable[[], None] = lambda: None
) -> dict[str, Array]:
    """Collect the agent's view at every decision, with the detection error.

    Returns:
        "vector" (N, n), "seen" (N, L): the latent or the locator's estimate of the error, "error_m" (N, 3), "episode"
        (N,), "decision" (N,).
    """
    env = make_env(skill.task, skill.method, skill.settings, skill.prior)
    task: Any = env.task
    rows: dict[str, list[Any]] = {name: [] for name in ("vector", "seen", "error_m", "episode", "decision")}
    for episode, seed in enumerate(seeds):
        seen: list[Any] = []

        def act(observation: Observation, seen: list[Any] = seen) -> NDArray[np.floating]:
            seen.append(observation)
            return policy.act(observation, deterministic=True)

        run_episode(env, act, seed)
        for decision, observation in enumerate(seen):
            told = policy.seen(observation) if isinstance(policy, SeeingPolicy) else np.zeros(0)
            values = (observation["vector"], told, task.target_m - task.true_target_m, episode, decision)
            for name, value in zip(rows, values, strict=True):
                rows[name].append(value)
        on_episode()
    task.close()
    return {name: np.array(values, float) for name, values in rows.items()}


def _parts(skill: Skill, rows: dict[str, Array]) -> dict[str, Array]:
    """Inputs of the regression, each with more of the view than the one before."""
    own_settings = skill.settings.skill
    vector, seen = rows["vector"], rows["seen"]
    if own_settings.camera is not None and own_settings.image is not None:
        vector = vector[:, :-3]  # without the target in the camera's frame, which only the locator uses
    n_memory = 4 * own_settings.memory + 9 * own_settings.history
    n_actions = vector.shape[1] - 13 - n_memory
    own = np.r_[0:3, 12 : 13 + n_actions]  # position, last action, clock
    window = np.arange(13 + n_actions)
    choices = [vector[:, own], vector[:, window], vector, np.hstack((vector, seen))]
    named = dict(zip(PARTS, choices, strict=True))
    if not own_settings.touch:
        del named["with touch"]
    if not n_memory:
        del named["with memory"]
    if not seen.shape[1]:
        del named["with picture"]
    return named


def _regress(inputs: Array, outputs: Array, train: NDArray[np.bool_], seed: int) -> Array:
    """Predictions (N, 3) of a small network with a linear path, fitted to the rows in `train`."""
    import torch
    from torch import nn

    torch.manual_seed(seed)
    x = (inputs - inputs[train].mean(axis=0)) / (inputs[train].std(axis=0) + 1e-6)
    scale = outputs[train].std(axis=0)
    X, Y = (torch.as_tensor(a, dtype=torch.float32) for a in (np.clip(x, -5.0, 5.0), outputs / scale))
    body = nn.Sequential(nn.Linear(X.shape[1], N_HIDDEN), nn.ReLU(), nn.Dropout(0.2), nn.Linear(N_HIDDEN, 3))
    line = nn.Linear(X.shape[1], 3)
    optimiser = torch.optim.AdamW([*body.parameters(), *line.parameters()], lr=2e-3, weight_decay=0.05)
    rows = torch.as_tensor(np.flatnonzero(train))
    for _ in range(STEPS):
        i = rows[torch.randint(len(rows), (128,))]
        loss = (body(X[i]) + line(X[i]) - Y[i]).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    body.eval()
    with torch.no_grad():
        return (body(X) + line(X)).numpy().astype(float) * scale


def _r2(truth: Array, predicted: Array) -> list[float]:
    """Share of variance explained, per axis."""
    left = ((truth - predicted) ** 2).mean(axis=0)
    return [round(float(v), 3) for v in 1.0 - left / truth.var(axis=0)]
