"""The agent: acts at every decision, remembers the last one, and hands whole transitions to its learner."""

from __future__ import annotations

import enum
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sac_gmm.rl import Ar1Noise, Learner, Observation, Policy, Transition


class Mode(enum.IntEnum):
    """What an episode is for; the numbers are those of EpisodeState.msg."""

    BASE = 0  # the skill as fitted: nothing is changed, but the agent may learn from what it sees
    TRAIN = 1  # explore and learn
    EVALUATE = 2  # act deterministically, learn nothing


class Agent:
    """Turns observations into actions and episodes into transitions.

    Base episodes fill the memory and show what there is to see; learning begins with the first
    training episode.

    Args:
        learner: Learns from the transitions and gives the policy.
        action_dim: Entries of an action.
        noise_correlation: From decision to decision, of the exploration noise; near 1 an episode explores one change.
        seed: Of the exploration.
        hold_back: Whether a transition is handed over only when the next one is there, or the episode has ended: where
            time does not wait, it may turn out that the last decision was made after the end.
        base_action: What is done in base episodes, from the observation; nothing (zeros) where it is not given.
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
        self._first = True  # no transition of this episode has been handed over
        self._unprepared = True  # the learner has prepared nothing for this agent yet
        self._remembers = False
        self._measured: Policy | None = None  # the policy of the evaluation in progress

    def begin(self, mode: Mode) -> None:
        """Start an episode; one that never ended is forgotten."""
        self._hand_over()
        self._mode = mode
        self._last, self._first = None, True
        self._noise.reset()
        if mode is not Mode.EVALUATE:
            self._measured = None
        elif self._measured is None:
            # One policy for all episodes that are measured in a row, even while a learner works off its backlog.
            self._measured = self._learner.policy()
        if mode is Mode.TRAIN and self._unprepared:
            self._unprepared = False
            known = self._learner.metrics()  # a resumed learner remembers episodes that this agent has not seen
            if (self._remembers or known.get("transitions")) and not known.get("updates"):
                self._learner.prepare()

    def decide(self, observation: Observation, steps: int, reward: float = 0.0) -> NDArray[np.float32]:
        """The action for this observation, shape (action_dim,), entries in [-1, 1].

        Args:
            observation: From the observation window.
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
            observation: What is seen at the end.
            reward: Discounted reward since the last decision.
            success: Whether the task was done.
            truncated: Whether the time ran out, so that the value of what would follow still counts.
            steps: Control steps taken since the last decision before the end.
            late: Whether the last decision was made after the end. It is left out then, and what came of the episode
                belongs to the one before, if `hold_back` has kept that.
        """
        if late and self._hold_back:
            observation = self._take_back(observation)
        self._remember(observation, reward, steps, success=success, terminated=not truncated, truncated=truncated)
        self._hand_over()
        self._last = None

    def state_dict(self) -> dict[str, Any]:
        """What the next episode depends on, ready for JSON; taken between two episodes."""
        # "sight_waits": in files since pictures were all there was to prepare for
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
        """Undo the last decision; give what was seen at it, which is nearest to the end, or else `observation`."""
        held, self._held, self._last = self._held, None, None
        if held is None:
            return observation
        self._last, self._first = (held.obs, held.action), held.first
        return held.next_obs

    def _hand_over(self) -> None:
        if self._held is not None:
            self._learner.observe(self._held, learn=self._mode is Mode.TRAIN)
        self._held = None
