"""Run episodes of a skill on a task in this process and count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sac_gmm.methods import MacroEnv, MacroStep
from sac_gmm.rl import Observation

Policy = Callable[[Observation], np.ndarray]


@dataclass(frozen=True)
class Outcome:
    """How one episode went."""

    seed: int
    success: bool
    steps: int  # control steps
    decisions: int


def run_episode(
    env: MacroEnv,
    policy: Policy,
    seed: int,
    options: dict[str, Any] | None = None,
    on_step: Callable[[Observation, np.ndarray, MacroStep], None] | None = None,
) -> Outcome:
    """Run one episode.

    Args:
        env: Task and decoder.
        policy: Observation to action, entries in [-1, 1].
        seed: Of the episode.
        options: For the task's reset, such as `target_noise_std_m`.
        on_step: Called with observation, action and outcome of every decision.
    """
    observation = env.reset(seed, options)
    steps = decisions = 0
    while True:
        action = policy(observation)
        result = env.step(action)
        steps += result.steps
        decisions += 1
        if on_step is not None:
            on_step(observation, action, result)
        if result.terminated or result.truncated:
            return Outcome(seed, result.reward > 0.0, steps, decisions)
        observation = result.observation


def run_episodes(
    env: MacroEnv, policy: Policy, seeds: Iterable[int], options: dict[str, Any] | None = None
) -> Iterator[Outcome]:
    """Run one episode per seed, one after the other."""
    for seed in seeds:
        yield run_episode(env, policy, seed, options)
