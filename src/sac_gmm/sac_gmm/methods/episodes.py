"""Runs one episode, for an evaluated policy or a learning agent; the only loop over decisions."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from sac_gmm.methods.agent import Agent, Mode
from sac_gmm.methods.macro_env import MacroEnv, MacroStep
from sac_gmm.rl import Observation

Act = Callable[[Observation], np.ndarray]  # observation to action (m,), entries in [-1, 1]


@dataclass(frozen=True)
class Outcome:
    """How one episode went."""

    seed: int
    success: bool
    steps: int  # control steps
    decisions: int


def run_episode(
    env: MacroEnv,
    act: Act,
    seed: int,
    options: dict[str, Any] | None = None,
    on_step: Callable[[Observation, np.ndarray, MacroStep], None] | None = None,
) -> Outcome:
    """Run one episode.

    Args:
        env: Scene, decoder and window.
        act: Observation to action, entries in [-1, 1].
        seed: Seed of the episode.
        options: Options for the scene's reset, such as `target_noise_std_m`.
        on_step: Called with observation, action and outcome of every decision.
    """
    observation = env.reset(seed, options)
    steps = decisions = 0
    while True:
        action = act(observation)
        result = env.step(action)
        steps += result.steps
        decisions += 1
        if on_step is not None:
            on_step(observation, action, result)
        if result.terminated or result.truncated:
            return Outcome(seed, result.success, steps, decisions)
        observation = result.observation


def run_episodes(
    env: MacroEnv, act: Act, seeds: Iterable[int], options: dict[str, Any] | None = None
) -> Iterator[Outcome]:
    """Run one episode per seed, in order."""
    for seed in seeds:
        yield run_episode(env, act, seed, options)


def practise(env: MacroEnv, agent: Agent, mode: Mode, seed: int, options: dict[str, Any] | None = None) -> Outcome:
    """Run one episode for an agent that remembers it and, in training, learns from it."""
    last: list[MacroStep] = []

    def act(observation: Observation) -> np.ndarray:
        if not last:
            return agent.decide(observation, 0)
        return agent.decide(observation, last[0].steps, last[0].reward)

    def keep(observation: Observation, action: np.ndarray, step: MacroStep) -> None:
        last[:] = [step]

    agent.begin(mode)
    outcome = run_episode(env, act, seed, options, keep)
    end = last[0]
    agent.end(end.observation, reward=end.reward, success=end.success, truncated=end.truncated, steps=end.steps)
    return outcome


def still(action_dim: int) -> Act:
    """The policy that always returns a zero action."""
    action = np.zeros(action_dim, np.float32)
    return lambda _: action
