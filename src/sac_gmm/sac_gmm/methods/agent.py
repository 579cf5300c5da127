"""The agent: acts at every decision, remembers it, and passes complete transitions to its learner."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_gmm.rl import Ar1Noise, Learner, Observation, Policy, Transition


class Mode(enum.IntEnum):
    """Purpose of an episode; the numbers match EpisodeState.msg."""

    BASE = 0  # the skill as fitted: the agent changes nothing, but may learn from what it sees
    TRAIN = 1  # explore and learn
    EVALUATE = 2  # act deterministically, learn nothing


class Agent:
    """Turns observations into actions and episodes into transitions.

    Base episodes fill the memory and show typical observations; learning begins with the first training episode.

    Args:
        learner: Learns from the transitions and provides the policy.
        action_dim: Entries of an action.
        noise_correlation: Correlation of exploration noise between decisions; near 1, an episode explores one change.
        seed: Seed of the exploration.
        hold_back: Whether to pass a transition on only once the next one exists or the episode has ended. Needed in
            real time, where the last decision may turn out to have come after the end.
        base_action: Policy of base episodes; zero actions if not given.
    """

    def __init__(
        self,
        learner: Learner,
        action_dim: int,
        noise_correlation: float,
        seed: int,
        *,
        hold_back: bool = False,
        base_action: Callable[[Observation], NDArray[np.floating]] | None = None,
    ) -> None:
        self._learner = learner
        self._action_dim = action_dim
        self._noise = Ar1Noise(action_dim, noise_correlation, np.random.default_rng(seed))
        self._base_action = base_action
        self._mode = Mode.BASE
        self._last: tuple[Observation, NDArray[np.float32]] | None = None
        self._hold_back = hold_back
        self._held: Transition | None = None
        self._first = True  # no transition of this episode has been passed on yet
        self._unprepared = True  # the learner has not prepared for this agent yet
        self._remembers = False
        self._measured: Policy | None = None  # policy of the evaluation in progress

    def begin(self, mode: Mode) -> None:
        """Start an episode; discard one that never ended."""
        self._hand_over()
        self._mode = mode
        self._last, self._first = None, True
        self._noise.reset()
        if mode is not Mode.EVALUATE:
            self._measured = None
        elif self._measured is None:
            # Use one policy for consecutive evaluation episodes, even while a learner works off its backlog.
            self._measured = self._learner.policy()
        if mode is Mode.TRAIN and self._unprepared:
            self._unprepared = False
            known = self._learner.metrics()  # a resumed learner has episodes that this agent never saw
            if (self._remembers or known.get("transitions")) and not known.get("updates"):
                self._learner.prepare()

    def decide(self, observation: Observation, steps: int, reward: float = 0.0) -> NDArray[np.float32]:
        """Return the action for this observation, shape (action_dim,), entries in [-1, 1].

        Args:
            observation: Observation from the window.
            steps: Control steps taken since the last decision.
            reward: Discounted reward of these steps.
        """
        self._remember(observation, reward, steps)
        if self._mode is Mode.BASE:
            action = np.zeros(self._action_dim, np.float32)
            if self._base_action is not None:
                action = np.asarray(self._base_action(observation), np.float32)
        elif self._measured is not None:
            action = self._measured.act(observation, deterministic=True)
        else:
            action = self._learner.policy().act(observation, noise=self._noise.sample())
        self._last = (observation, action)
        return action

    def end(
        self,
        observation: Observation,
        *,
        reward: float,
        success: bool,
        truncated: bool,
        steps: int,
        late: bool = False,
    ) -> None:
        """Close the episode.

        Args:
            observation: Observation at the end.
            reward: Discounted reward since the last decision.
            success: Whether the task was done.
            truncated: Whether the time ran out, so that the value of later states still counts.
            steps: Control steps taken since the last decision before the end.
            late: Whether the last decision was made after the end. It is then dropped, and the outcome is credited to
                the decision before it, if `hold_back` still holds that one.
        """
        if late and self._hold_back:
            observation = self._take_back(observation)
        self._remember(observation, reward, steps, success=success, terminated=not truncated, truncated=truncated)
        self._hand_over()
        self._last = None

    def state_dict(self) -> dict[str, Any]:
        """JSON-ready state on which the next episode depends; call it between episodes."""
        # The key "sight_waits" is historical: preparation once served pictures only.
        return {"noise": self._noise.state_dict(), "sight_waits": self._unprepared, "remembers": self._remembers}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self._noise.load_state_dict(state["noise"])
        self._unprepared, self._remembers = state["sight_waits"], state["remembers"]

    def _remember(
        self,
        observation: Observation,
        reward: float,
        steps: int,
        *,
        success: bool = False,
        terminated: bool = False,
        truncated: bool = False,
    ) -> None:
        if self._last is None or self._mode is Mode.EVALUATE:
            return
        before, action = self._last
        self._remembers = True
        transition = Transition(before, action, reward, observation, terminated, truncated, steps, self._first, success)
        self._first = False
        self._hand_over()
        self._held = transition
        if not self._hold_back:
            self._hand_over()

    def _take_back(self, observation: Observation) -> Observation:
        """Undo the last decision; return its observation, the one nearest to the end, or else `observation`."""
        held, self._held, self._last = self._held, None, None
        if held is None:
            return observation
        self._last, self._first = (held.obs, held.action), held.first
        return held.next_obs

    def _hand_over(self) -> None:
        if self._held is not None:
            self._learner.observe(self._held, learn=self._mode is Mode.TRAIN)
        self._held = None
