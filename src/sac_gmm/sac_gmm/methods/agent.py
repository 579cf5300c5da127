"""The agent: acts at every decision, remembers it, and passes complete transitions to its learner."""

from __future__ import annotations

import enum
from collections import deque
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
        hold_back: Number of transitions to hold back: each is passed on only once so many follow it, or the episode has
            ended. Needed where news of the end is slow: the last decisions may turn out to have come after the end.
        base_action: Policy of base episodes; zero actions if not given.
    """

    def __init__(
        self,
        learner: Learner,
        action_dim: int,
        noise_correlation: float,
        seed: int,
        *,
        hold_back: int = 0,
        base_action: Callable[[Observation], NDArray[np.floating]] | None = None,
    ) -> None:
        self._learner = learner
        self._action_dim = action_dim
        self._noise = Ar1Noise(action_dim, noise_correlation, np.random.default_rng(seed))
        self._base_action = base_action
        self._mode = Mode.BASE
        self._last: tuple[Observation, NDArray[np.float32]] | None = None
        self._hold_back = hold_back
        self._held: deque[Transition] = deque()
        # States of the noise before the last decisions.
        self._noises: deque[dict[str, Any]] = deque(maxlen=hold_back + 1)
        self._first = True  # no transition of this episode has been passed on yet
        self._unprepared = True  # the learner has not prepared for this agent yet
        self._remembers = False
        self._measured: Policy | None = None  # policy of the evaluation in progress

    def begin(self, mode: Mode) -> None:
        """Start an episode; discard one that never ended."""
        self._hand_over()
        self._mode = mode
        self._last, self._first = None, True
        self._noises.clear()
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

        What has just happened is learned afterwards, by `learn` or else before the next decision: so the arm can move
        while the learner works, and the outcome does not depend on which of them is faster.

        Args:
            observation: Observation from the window.
            steps: Control steps taken since the last decision.
            reward: Discounted reward of these steps.
        """
        self.learn()
        self._remember(observation, reward, steps)
        if self._mode is Mode.BASE:
            action = np.zeros(self._action_dim, np.float32)
            if self._base_action is not None:
                action = np.asarray(self._base_action(observation), np.float32)
        elif self._measured is not None:
            action = self._measured.act(observation, deterministic=True)
        else:
            if self._hold_back:
                self._noises.append(self._noise.state_dict())
            action = self._learner.policy().act(observation, noise=self._noise.sample())
        self._last = (observation, action)
        return action

    def learn(self) -> None:
        """Learn from what happened before the last decision; without it that is done at the next one."""
        self._hand_over(but=self._hold_back)

    def end(
        self,
        observation: Observation,
        *,
        reward: float,
        success: bool,
        truncated: bool,
        steps: int,
        late: int = 0,
    ) -> None:
        """Close the episode.

        Args:
            observation: Observation at the end.
            reward: Discounted reward since the last decision.
            success: Whether the task was done.
            truncated: Whether the time ran out, so that the value of later states still counts.
            steps: Control steps taken since the last decision before the end.
            late: Number of decisions that were made after the end. They are dropped, and the outcome is credited to the
                decision before them, if `hold_back` still holds that one.
        """
        if late and self._hold_back:
            observation = self._take_back(observation, late)
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
        self._held.append(transition)

    def _take_back(self, observation: Observation, late: int) -> Observation:
        """Undo the last decisions; return the observation of the first of them, nearest to the end, or `observation`.

        Their noise is drawn again: whether news of the end or a decision comes first must not change what follows.
        """
        if self._noises:
            self._noise.load_state_dict(self._noises[-min(late, len(self._noises))])
        self._last = None
        if late > len(self._held):
            self._held.clear()  # all of them are from after the end
            return observation
        for _ in range(late):
            undone = self._held.pop()
        self._last, self._first = (undone.obs, undone.action), undone.first
        return undone.next_obs

    def _hand_over(self, but: int = 0) -> None:
        """Pass on what is held, but for the last few."""
        while len(self._held) > but:
            self._learner.observe(self._held.popleft(), learn=self._mode is Mode.TRAIN)
