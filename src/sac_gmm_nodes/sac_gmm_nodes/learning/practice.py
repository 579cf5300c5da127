"""An agent that practises in a node: its learner, its checkpoint, and the pace that it announces."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sac_gmm_interfaces.msg import MethodPace

from sac_gmm.core.errors import UserError
from sac_gmm.core.provenance import provenance
from sac_gmm.methods import Agent, Decoder, Mode, ObservationWindow
from sac_gmm.methods.episodes import Act, still
from sac_gmm.methods.sac_gmm.settings import CONTROL_RATE_HZ
from sac_gmm.methods.skill import POLICY_FILE
from sac_gmm.rl import (
    AlgorithmSpec,
    AsyncLearner,
    FixedPolicy,
    Observation,
    Policy,
    SyncLearner,
    read_extra,
    save_policy,
)
from sac_gmm_nodes.common.conversions import header
from sac_gmm_nodes.common.episode_times import EpisodeTimes
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.pace import TOPIC as PACE_TOPIC
from sac_gmm_nodes.common.qos import LATCHED
from sac_gmm_nodes.learning.episode_gatherer import Begin, Decide, End
from sac_gmm_nodes.learning.given_skill import GivenSkill

_LEARNER_START_S = 120.0  # starting Python and torch on a busy machine
_PROGRESS_S = 5.0  # between two lines about what takes long


def in_training_steps(steps: int, rate_hz: float) -> int:
    """Control steps as the agent's discount counts them: a robot's rate must not change how far it looks ahead."""
    return max(1, round(steps * CONTROL_RATE_HZ / rate_hz))


class Progress:
    """Tells what takes long, at its begin, every few seconds, and at its end: a node that says nothing looks hung.

    Args:
        say: Takes a line of the log.
        clock: In seconds.
    """

    def __init__(self, say: Callable[[str], Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._say, self._clock = say, clock
        self._what = ""
        self._begun_s = self._said_s = 0.0

    def __call__(self, what: str, share: float) -> None:
        """So much of it is done, 0 to 1."""
        now_s = self._clock()
        if what != self._what:
            self._what, self._begun_s, self._said_s = what, now_s, now_s
            self._say(f"{what} …")
        if share >= 1.0:
            self._say(f"{what}: done in {now_s - self._begun_s:.0f} s")
            self._what = ""
        elif now_s - self._said_s >= _PROGRESS_S:
            self._said_s = now_s
            self._say(f"{what}: {share:.0%}")


class RulePolicy:
    """A fixed rule in the place of a learned policy."""

    version = 0

    def __init__(self, act: Act) -> None:
        self._act = act

    def act(
        self, obs: Observation, deterministic: bool = False, noise: NDArray[np.floating] | None = None
    ) -> NDArray[np.float32]:
        """The rule's action (m,)."""
        return np.asarray(self._act(obs), np.float32)


class Practice:
    """The agent of a node, from its parameters to its checkpoint.

    Attributes:
        rate_hz: Rate of the states.

    Args:
        node: It gets the parameters of learning, and publishes the pace.
        given: What is practised or, with a policy, used unchanged.
        decoder: The skill's.
        window: The skill's.
        hold_back: As for `Agent`.
    """

    def __init__(
        self, node: BaseNode, given: GivenSkill, decoder: Decoder, window: ObservationWindow, *, hold_back: int
    ) -> None:
        self._node = node
        self._skill = skill = given.skill
        self._interval, self._looks_once = decoder.interval, window.looks_once
        run_dir = node.text("run_dir", "", "folder for checkpoints; training continues from the one found there")
        kind = node.text(
            "learner", "async", "async: learn in a separate process; sync: between decisions", ("async", "sync")
        )
        self._save_every_s = node.real("checkpoint_interval_s", 30.0, 1.0, 3600.0, "s", "time between two checkpoints")
        self.rate_hz = node.real("control_rate_hz", 30.0, 1.0, 500.0, "Hz", "rate of the states")
        seed = node.whole("seed", 0, 0, 2**31 - 1, "seed of exploration and learning")
        self._times = EpisodeTimes(node)
        self._checkpoint = Path(run_dir) / "agent.checkpoint" if run_dir else None
        self._learner: AsyncLearner | SyncLearner | FixedPolicy
        fixed = self._fixed_policy(given.policy, decoder, window)
        known = self._known() if fixed is None else None
        # Whether the folder holds a skill that this practice did not write.
        self._foreign = known is None and self._checkpoint is not None and (Path(run_dir) / POLICY_FILE).exists()
        if fixed is None:
            assert skill.method.algorithm is not None
            self._spec = skill.method.algorithm(window.spec, decoder.action_dim, skill.settings, seed)
            self._learner = self._open_learner(kind, self._spec)
        else:
            torch.set_num_threads(1)  # its matrices are too small to share among threads
            self._learner = FixedPolicy(fixed)
        self._learner_ended = False
        self._saved_at_s = time.monotonic()
        base_action = skill.method.base_action
        self._agent = Agent(
            self._learner,
            decoder.action_dim,
            skill.settings.noise_correlation,
            seed,
            hold_back=hold_back,
            base_action=None if base_action is None else base_action(skill.prior),
        )
        # Episodes that the checkpoint includes, by mode: `sac-gmm demo` compares them with its log.
        self._episodes = {mode.name.lower(): 0 for mode in (Mode.BASE, Mode.TRAIN)}
        if known is not None:
            self._agent.load_state_dict(known["agent"])
            self._episodes = known["episodes"]
        self._tell_learner()
        self._mode = Mode.BASE
        self._decided = False  # in this episode
        self._pace = node.create_publisher(MethodPace, PACE_TOPIC, LATCHED)

    def announce_pace(self, blend_s: float = 0.0) -> MethodPace:
        """Publish, and return, what other nodes need of the settings; this message is their only source.

        Args:
            blend_s: Time over which a changed mixture takes over.
        """
        skill = self._skill
        noise_m = {
            mode: skill.method.reset(skill.settings, mode).get("target_noise_std_m", math.nan)
            for mode in (Mode.BASE, Mode.TRAIN)
        }
        pace = MethodPace(
            header=header(self._node.get_clock().now().to_msg()),
            model_id=skill.prior.model_id,
            decision_interval=self._interval,
            control_rate_hz=CONTROL_RATE_HZ,
            blend_s=float(blend_s),
            looks_once=self._looks_once,
            training_noise_std_m=float(noise_m[Mode.TRAIN]),
            base_noise_std_m=float(noise_m[Mode.BASE]),
        )
        self._pace.publish(pace)
        return pace

    # Episodes --------------------------------------------------------------------------------------------------

    def begin(self, event: Begin) -> None:
        """Start an episode."""
        fixed = isinstance(self._learner, FixedPolicy) and event.mode == Mode.TRAIN
        self._mode = Mode.EVALUATE if fixed else Mode(event.mode)
        self._times.begin(event.episode_id)
        with self._times.spent_on("learning"):
            self._agent.begin(self._mode)
        self._decided = False

    def decide(self, event: Decide) -> NDArray[np.float32]:
        """The action (m,) for a decision that is due."""
        self._decided = True
        with self._times.spent_on("learning"):
            return self._agent.decide(event.observation, in_training_steps(event.steps, self.rate_hz))

    def learn(self) -> None:
        """Learn from what happened before the last decision, whose action is under way: the arm moves meanwhile."""
        with self._times.spent_on("learning"):
            self._agent.learn()

    def end(self, event: End) -> None:
        """Close the episode, learn from it, save from time to time."""
        steps = in_training_steps(event.steps, self.rate_hz)
        paid = self._skill.method.reward(float(event.success), {"success": event.success})
        with self._times.spent_on("learning"):
            self._agent.end(
                event.observation,
                reward=paid * self._skill.settings.discount ** (steps - 1),  # it comes with the last step
                success=event.success,
                truncated=event.truncated,
                steps=steps,
                late=event.late,
            )
        self._times.end()
        # One without a decision ended before this node was started: it only heard of it.
        if self._mode is not Mode.EVALUATE and self._decided:
            self._episodes[self._mode.name.lower()] += 1
        self._tell_learner()
        if time.monotonic() - self._saved_at_s > self._save_every_s:
            self._save()
        if isinstance(self._learner, AsyncLearner) and not self._learner.alive:
            if not self._learner_ended:
                why = self._learner.why_ended()
                self._node.get_logger().error(
                    f"the learner's process has ended ({why}): continuing with its last policy"
                )
            self._learner_ended = True

    def forget(self) -> None:
        """Start the episode again: what has been decided in it was not carried out, and must not be learned from."""
        self._agent.begin(self._mode)

    def close(self) -> None:
        """Save what was learned."""
        self._save()
        self._learner.close()

    def save_skill(self) -> None:
        """Write what was learned to the run's folder as a skill too, which every command opens."""
        if self._checkpoint is None or isinstance(self._learner, FixedPolicy):
            return
        skill, folder = self._skill, self._checkpoint.parent
        if self._foreign:
            text = f"the skill is not saved: {folder} already holds another's {POLICY_FILE}; give a run_dir of its own"
            self._node.get_logger().error(text)
            return
        about = {
            "task": skill.task,
            "skill": skill.method.name,
            "settings": skill.settings.to_json(),
            "model_id": skill.prior.model_id,
            "episodes_trained": self._episodes["train"],
            "limits": skill.limits.to_json(),
            **provenance(),
        }
        try:
            folder.mkdir(parents=True, exist_ok=True)
            skill.method.prior.save(folder / skill.method.prior.file, skill.prior)
            save_policy(folder / POLICY_FILE, self._learner.policy(), self._spec, about)
        except (OSError, UserError) as error:
            self._node.get_logger().error(f"the skill is not saved: {error}")

    # The learner and its checkpoint ----------------------------------------------------------------------------

    def _fixed_policy(self, trained: Policy | None, decoder: Decoder, window: ObservationWindow) -> Any:
        """The policy that is used unchanged; None where there is something to learn."""
        skill = self._skill
        if trained is not None:
            if trained.spec != window.spec:
                raise UserError(
                    f"policy {skill.policy} was trained with other observations: is use_image as in its training?"
                )
            return trained
        if skill.method.learns:
            return None
        rule = skill.method.rule
        return RulePolicy(still(decoder.action_dim) if rule is None else rule(skill.settings))

    def _known(self) -> dict[str, Any] | None:
        """What was stored beside the existing checkpoint; None if there is none.

        Raises:
            UserError: It belongs to another skill, or to another program.
        """
        if self._checkpoint is None or not self._checkpoint.exists():
            return None
        known, model_id = read_extra(self._checkpoint), self._skill.prior.model_id
        if known.get("model_id") != model_id:
            raise UserError(
                f"checkpoint {self._checkpoint} adapts skill {known.get('model_id')}, this is {model_id}: "
                "use another run_dir"
            )
        if not isinstance(known.get("episodes"), dict) or "agent" not in known:
            raise UserError(
                f"checkpoint {self._checkpoint} is not an adapter's but that of a run of `sac-gmm train`: use another "
                "run_dir, or use its policy.bin as policy"
            )
        return known

    def _open_learner(self, kind: str, spec: AlgorithmSpec) -> AsyncLearner | SyncLearner:
        """A learner that continues from the checkpoint, if there is one."""
        path, say = self._checkpoint, self._node.get_logger().info
        resume_from = path if path is not None and path.exists() else None
        if resume_from is not None:
            say(f"continuing from {resume_from}")
        if kind == "sync":
            torch.set_num_threads(1)  # its matrices are too small to share among threads
            made = SyncLearner(spec.build()) if resume_from is None else SyncLearner.resume(resume_from, spec)[0]
            made.algorithm.on_progress = Progress(say)
            return made
        learner = AsyncLearner(
            spec, resume_from=resume_from, checkpoint_path=path, checkpoint_interval_s=self._save_every_s
        )
        learner.wait_until_ready(_LEARNER_START_S)
        return learner

    def _save(self) -> None:
        """Write the checkpoint; a learner in its own process does that itself."""
        if self._checkpoint is not None and isinstance(self._learner, SyncLearner):
            try:
                self._learner.checkpoint(self._checkpoint, self._beside())
            except (OSError, UserError) as error:
                self._node.get_logger().error(f"not saved, learning continues: {error}")
        self._saved_at_s = time.monotonic()

    def _tell_learner(self) -> None:
        """Pass on what to store: a learner in its own process saves by itself, at any time."""
        if isinstance(self._learner, AsyncLearner):
            self._learner.remember(self._beside())

    def _beside(self) -> dict[str, Any]:
        """What the next episode depends on besides the learner, for the checkpoint."""
        return {
            "model_id": self._skill.prior.model_id,
            "episodes": self._episodes,
            "agent": self._agent.state_dict(),
        }
