"""Adapts the skill: decides at the pace of its method, and learns in a separate process.

    ros2 run sac_gmm_nodes sac_adapter --ros-args -p model_file:=door.npz -p run_dir:=runs/door

It announces that pace first (`method_pace`). The controller then says when a decision is due and for which state; the
decision is made once everything that belongs to the state has arrived: all poses and wrenches up to its stamp, and a
picture of it (`episode_gatherer`). The answer is a MixtureUpdate relative to the base skill. Decisions never wait for
learning: they use the newest policy there is.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from geometry_msgs.msg import PoseStamped, WrenchStamped
from sac_gmm_interfaces.msg import ControllerStatus, EpisodeState, MethodPace, MixtureUpdate, MixtureUpdateAnswer
from sensor_msgs.msg import Image
from std_msgs.msg import Header

from sac_gmm.core.errors import UserError
from sac_gmm.methods import Agent, Mode
from sac_gmm.methods.sac_gmm import method as sac_gmm
from sac_gmm.methods.sac_gmm.method import SAC_GMM
from sac_gmm.methods.sac_gmm.settings import CONTROL_RATE_HZ, AgentSettings, SkillSettings
from sac_gmm.methods.settings import load_settings
from sac_gmm.models import load_model
from sac_gmm.rl import AlgorithmSpec, AsyncLearner, FixedPolicy, Policy, SyncLearner, load_policy, read_extra
from sac_gmm_nodes.common.conversions import (
    frame_objection,
    header,
    nanoseconds,
    point_array,
    stamp_of,
    update_message,
    wrench_array,
)
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.pace import TOPIC as PACE_TOPIC
from sac_gmm_nodes.common.pictures import depth_array, picture_array
from sac_gmm_nodes.common.qos import EPISODE, LATCHED, RELIABLE, stream
from sac_gmm_nodes.learning.episode_gatherer import Begin, Decide, End, EpisodeGatherer

# Where the pictures of each sensor group come from; None: the agent uses none.
IMAGE_TOPICS = {None: "", "rgb": "wrist_camera/image", "depth": "depth_camera/image", "tactile": "tactile/image"}
_ENCODINGS = {"rgb": "rgb8", "depth": "32FC1", "tactile": "32FC1"}  # metres; the two pads stacked vertically
_LEARNER_START_S = 120.0  # starting Python and torch on a busy machine
_LOOK_S = 2.0  # of wall time; what was already missing at the last look is reported
_PROGRESS_S = 5.0  # between two lines about what takes long


def in_training_steps(steps: int, rate_hz: float) -> int:
    """Control steps as the agent's discount counts them: a robot's rate must not change how far it looks ahead."""
    return max(1, round(steps * CONTROL_RATE_HZ / rate_hz))


class Progress:
    """Tells what takes long, at its begin, every few seconds, and at its end: an adapter that says nothing looks hung.

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


class SacAdapter(BaseNode):
    """Topics and episodes around one `Agent`."""

    end_timeout_s = 40.0  # the learner finishes its current update and saves its state

    def __init__(self) -> None:
        super().__init__("sac_adapter")
        model_file = self.text("model_file", "", "the base skill, the same file as the controller's")
        run_dir = self.text("run_dir", "", "folder for checkpoints; training continues from the one found there")
        config_folder = self.text(
            "config_folder", "", "folder of settings: how to learn and what to see; empty for defaults"
        )
        task = self.text("task", "", "the task whose settings apply")
        policy_file = self.text("policy_file", "", "a trained policy to use unchanged, without learning; see models/")
        learner = self.text(
            "learner", "async", "async: learn in a separate process; sync: between decisions", ("async", "sync")
        )
        self._save_every_s = self.real("checkpoint_interval_s", 30.0, 1.0, 3600.0, "s", "time between two checkpoints")
        reliable = self.flag("reliable_state", False, "ask for every state and picture, not only the latest")
        self._base_frame = self.text("base_frame", "lbr_link_0", "frame of poses, wrenches and the target")
        rate_hz = self.real("control_rate_hz", 30.0, 1.0, 500.0, "Hz", "rate of the states")
        time_limit_s = self.real("time_limit_s", 10.0, 0.1, 600.0, "s", "longest episode, as for the episode manager")
        use_image = self.flag("use_image", True, "let the agent see the pictures that the configuration names")
        image_age_s = self.real(
            "image_max_age_s", 0.0, 0.0, 10.0, "s", "how much older than the state a picture may be"
        )
        seed = self.whole("seed", 0, 0, 2**31 - 1, "seed of exploration and learning")
        if not model_file:
            raise UserError("parameter model_file is empty: give the file of a skill, written by `sac-gmm fit`")

        trained: Policy | None = None
        if policy_file:
            trained, about = load_policy(policy_file)
            settings = AgentSettings.from_json(about.get("settings", {}))
        else:
            settings = load_settings(SAC_GMM, task or None, config_folder) if config_folder else AgentSettings()
        settings = settings if use_image else settings.changed(image=None)
        self._image = image = settings.skill.image
        if image not in IMAGE_TOPICS:
            raise UserError(f"no topic carries pictures of '{image}'; set use_image to false, or another task")
        self._base = load_model(model_file)
        decoder = sac_gmm.decoder(self._base, settings)
        self._adaptation = decoder.adaptation
        self._observer = sac_gmm.observation(decoder, settings, time_limit_s)
        self._discount = settings.discount
        self._rate_hz = rate_hz
        self._gatherer = EpisodeGatherer(self._observer, rate_hz, image_age_s if image else None)
        self._checkpoint = Path(run_dir) / "agent.checkpoint" if run_dir else None
        self._learner: AsyncLearner | SyncLearner | FixedPolicy
        known = self._known() if trained is None else None
        if trained is None:
            spec = sac_gmm.algorithm(self._observer.spec, decoder.action_dim, settings, seed)
            self._learner = self._open_learner(learner, spec)
        else:
            self._check_policy(policy_file, trained, about)
            self._learner = FixedPolicy(trained)
        self._learner_ended = False
        self._saved_at_s = time.monotonic()
        self._agent = Agent(
            self._learner,
            decoder.action_dim,
            settings.noise_correlation,
            seed,
            # In lock-step nothing moves before the end is known. In real time a decision may come in between.
            hold_back=not reliable,
        )
        # Episodes that the checkpoint includes, by mode: `sac-gmm demo` compares them with its log.
        self._episodes = {mode.name.lower(): 0 for mode in (Mode.BASE, Mode.TRAIN)}
        if known is not None:
            self._agent.load_state_dict(known["agent"])
            self._episodes = known["episodes"]
        self._tell_learner()
        self._mode = Mode.BASE
        self._decision: int | None = None  # the last one in this episode
        self._version = 0  # the highest version number seen or sent
        self._missed: tuple[list[str], int] | None = None  # missing at the last look, and the version then

        self.create_subscription(PoseStamped, "state/pose", self._on_pose, stream(reliable))
        self.create_subscription(WrenchStamped, "wrench", self._on_wrench, stream(reliable))
        self.create_subscription(PoseStamped, "target_pose", self._on_target, LATCHED)
        if image is not None:
            self.create_subscription(Image, IMAGE_TOPICS[image], self._on_image, stream(reliable))
        self.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)
        self.create_subscription(ControllerStatus, "controller_status", self._on_status, RELIABLE)
        self.create_subscription(MixtureUpdateAnswer, "model_update_answer", self._on_answer, RELIABLE)
        self.create_timer(_LOOK_S, self._say_what_is_missing, clock=self.steady_clock)
        self._pace = self.create_publisher(MethodPace, PACE_TOPIC, LATCHED)
        self._pace.publish(self._pace_message(settings.skill))
        # Last, because the episode manager takes this publisher as the sign that the adapter is ready.
        self._updates = self.create_publisher(MixtureUpdate, "model_update", RELIABLE)

    def _pace_message(self, skill: SkillSettings) -> MethodPace:
        """The settings that other nodes need; this message is their only source."""
        noise_m = skill.training_noise_m
        return MethodPace(
            header=header(self.get_clock().now().to_msg()),
            model_id=self._base.model_id,
            decision_interval=skill.interval,
            control_rate_hz=CONTROL_RATE_HZ,
            blend_s=float(skill.blend_s),
            training_noise_std_m=math.nan if noise_m is None else float(noise_m),
        )

    def _check_policy(self, path: str, policy: Policy, about: dict[str, Any]) -> None:
        """Refuse a policy that was trained for another skill or with other observations."""
        if about.get("model_id") != self._base.model_id:
            raise UserError(f"policy {path} adapts skill {about.get('model_id')}, this is {self._base.model_id}")
        if policy.spec != self._observer.spec:
            raise UserError(f"policy {path} was trained with other observations: is use_image as in its training?")
        self.get_logger().info(f"using {path} unchanged, after {about.get('episodes_trained')} training episodes")

    def _known(self) -> dict[str, Any] | None:
        """What was stored beside the existing checkpoint; None if there is none.

        Raises:
            UserError: It belongs to another skill, or to another program.
        """
        if self._checkpoint is None or not self._checkpoint.exists():
            return None
        known = read_extra(self._checkpoint)
        if known.get("model_id") != self._base.model_id:
            raise UserError(
                f"checkpoint {self._checkpoint} adapts skill {known.get('model_id')}, this is {self._base.model_id}: "
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
        path = self._checkpoint
        resume_from = path if path is not None and path.exists() else None
        if resume_from is not None:
            self.get_logger().info(f"continuing from {resume_from}")
        if kind == "sync":
            torch.set_num_threads(1)  # its matrices are too small to share among threads
            made = SyncLearner(spec.build()) if resume_from is None else SyncLearner.resume(resume_from, spec)[0]
            made.algorithm.on_progress = Progress(self.get_logger().info)
            return made
        learner = AsyncLearner(
            spec, resume_from=resume_from, checkpoint_path=path, checkpoint_interval_s=self._save_every_s
        )
        learner.wait_until_ready(_LEARNER_START_S)
        return learner

    def close(self) -> None:
        """Save what was learned."""
        self._save()
        self._learner.close()

    # Events ----------------------------------------------------------------------------------------------------

    def _proceed(self) -> None:
        """Act on everything that is ready."""
        while (event := self._gatherer.poll()) is not None:
            if isinstance(event, Begin):
                fixed = isinstance(self._learner, FixedPolicy) and event.mode == Mode.TRAIN
                self._mode = Mode.EVALUATE if fixed else Mode(event.mode)
                self._agent.begin(self._mode)
                self._decision = None
            elif isinstance(event, Decide):
                self._decide(event)
            else:
                self._end(event)

    def _decide(self, event: Decide) -> None:
        self._decision = event.decision
        action = self._agent.decide(event.observation, in_training_steps(event.steps, self._rate_hz))
        self._observer.acted(action)
        self._version = max(self._version, event.version) + 1
        self._updates.publish(
            update_message(
                self._adaptation.apply(action),
                self._base.model_id,
                base_version=event.version,
                new_version=self._version,
                episode_id=event.episode_id,
                decision=event.decision,
                stamp=stamp_of(event.stamp_ns),
            )
        )

    def _say_what_is_missing(self) -> None:
        """Report what a due decision is waiting for: otherwise a waiting adapter looks like an idle one."""
        seen, missing = self._missed, self._gatherer.missing
        self._missed = missing, self._version
        if missing and seen == self._missed:
            topics = [IMAGE_TOPICS[self._image] if name == "image" else name for name in missing]
            self.get_logger().error(
                f"nothing is decided: waiting for {', '.join(topics)}; see that it is published, and stamped by the "
                "clock of state/pose; a picture may be image_max_age_s older than the state",
                throttle_duration_sec=5.0,
            )

    def _end(self, event: End) -> None:
        steps = in_training_steps(event.steps, self._rate_hz)
        self._agent.end(
            event.observation,
            reward=event.success * self._discount ** (steps - 1),  # it comes with the last step
            success=event.success,
            truncated=event.truncated,
            steps=steps,
            late=event.late,
        )
        # One without a decision ended before this adapter was started: it only heard of it.
        if self._mode is not Mode.EVALUATE and self._decision is not None:
            self._episodes[self._mode.name.lower()] += 1
        self._tell_learner()
        if time.monotonic() - self._saved_at_s > self._save_every_s:
            self._save()
        if isinstance(self._learner, AsyncLearner) and not self._learner.alive:
            if not self._learner_ended:
                why = self._learner.why_ended()
                self.get_logger().error(f"the learner's process has ended ({why}): continuing with its last policy")
            self._learner_ended = True

    def _save(self) -> None:
        """Write the checkpoint; a learner in its own process does that itself."""
        if self._checkpoint is not None and isinstance(self._learner, SyncLearner):
            try:
                self._learner.checkpoint(self._checkpoint, self._beside())
            except (OSError, UserError) as error:
                self.get_logger().error(f"not saved, learning continues: {error}")
        self._saved_at_s = time.monotonic()

    def _tell_learner(self) -> None:
        """Pass on what to store: a learner in its own process saves by itself, at any time."""
        if isinstance(self._learner, AsyncLearner):
            self._learner.remember(self._beside())

    def _beside(self) -> dict[str, Any]:
        """What the next episode depends on besides the learner, for the checkpoint."""
        return {"model_id": self._base.model_id, "episodes": self._episodes, "agent": self._agent.state_dict()}

    # Callbacks -------------------------------------------------------------------------------------------------

    def _on_pose(self, message: PoseStamped) -> None:
        position_m = point_array(message.pose.position)
        if self._usable(position_m, message.header, "state/pose"):
            self._gatherer.pose(nanoseconds(message.header.stamp), position_m)
            self._proceed()

    def _on_wrench(self, message: WrenchStamped) -> None:
        wrench = wrench_array(message)
        if self._usable(wrench, message.header, "wrench"):
            self._gatherer.wrench(nanoseconds(message.header.stamp), wrench)
            self._proceed()

    def _on_target(self, message: PoseStamped) -> None:
        position_m = point_array(message.pose.position)
        if self._usable(position_m, message.header, "target_pose"):
            self._gatherer.target(nanoseconds(message.header.stamp), position_m)
            self._proceed()
        else:
            self._gatherer.no_target()  # the previous one may be out of date

    def _usable(self, values: np.ndarray, header_: Header, topic: str) -> bool:
        """Whether all numbers are finite and in the base frame: others would spoil everything learned from here on."""
        objection = frame_objection(header_.frame_id, self._base_frame, topic)
        if not np.isfinite(values).all():
            objection = f"{topic} holds a value that is not a number: ignored"
        if objection:
            self.get_logger().error(objection, throttle_duration_sec=5.0)
        return not objection

    def _on_image(self, message: Image) -> None:
        coding = self._observer.coding
        assert coding is not None
        channels, height, width = coding.shape
        rows = height * (channels if coding.group == "tactile" else 1)
        expected = (rows, width, _ENCODINGS[coding.group])
        if (message.height, message.width, message.encoding) != expected:
            self.get_logger().error(
                f"the {coding.group} sensor sends {message.width} x {message.height} {message.encoding}: expected "
                f"{expected[1]} x {expected[0]} {expected[2]}",
                throttle_duration_sec=5.0,
            )
            return
        stamp_ns = nanoseconds(message.header.stamp)
        if coding.group == "rgb":
            self._gatherer.image(stamp_ns, picture_array(message))
        else:
            self._gatherer.image(stamp_ns, depth_array(message).reshape(coding.shape))
        self._proceed()

    def _on_episode(self, message: EpisodeState) -> None:
        if message.phase == EpisodeState.PHASE_RUNNING:
            self._gatherer.running(message.episode_id, message.mode, nanoseconds(message.start_stamp))
        elif message.phase == EpisodeState.PHASE_ENDED:
            end_ns = nanoseconds(message.end_stamp)
            self._gatherer.ended(message.episode_id, end_ns, message.success, message.timed_out)
        elif message.phase == EpisodeState.PHASE_IDLE:
            self._gatherer.aborted()
        self._proceed()

    def _on_status(self, message: ControllerStatus) -> None:
        if not message.decision_due:
            return
        if message.model_id != self._base.model_id:
            self.get_logger().error(
                f"the controller runs model {message.model_id}, this adapter was given {self._base.model_id}",
                throttle_duration_sec=5.0,
            )
            return
        stamp_ns = nanoseconds(message.header.stamp)
        self._gatherer.due(message.episode_id, message.decision, stamp_ns, message.version)
        self._proceed()

    def _on_answer(self, message: MixtureUpdateAnswer) -> None:
        if message.accepted or message.reason == MixtureUpdateAnswer.NOT_READY:  # not ready: the episode was over
            return
        self.get_logger().error(f"update {message.new_version} was refused: {message.text}")
        self._agent.begin(self._mode)  # an update that was not applied must not be learned from


def main() -> None:
    """Run the node."""
    run_node(SacAdapter)


if __name__ == "__main__":
    main()
