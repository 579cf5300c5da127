"""Adapts the skill: decides at the pace of its method, and learns in a separate process.

    ros2 run sac_gmm_nodes sac_adapter --ros-args -p model_file:=door.npz -p run_dir:=runs/door

It announces that pace first (`method_pace`). The controller then says when a decision is due and for which state; the
decision is made once everything that belongs to the state has arrived: all poses and wrenches up to its stamp, and a
picture of it (`episode_gatherer`). The answer is a MixtureUpdate relative to the base skill. Decisions never wait for
learning: they use the newest policy there is.
"""

from __future__ import annotations

from dataclasses import replace

from sac_gmm_interfaces.msg import ControllerStatus, MixtureUpdate, MixtureUpdateAnswer

from sac_gmm.core.errors import UserError
from sac_gmm.methods.sac_gmm import SacGmm
from sac_gmm_nodes.common.conversions import nanoseconds, stamp_of, update_message
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.qos import RELIABLE, stream
from sac_gmm_nodes.learning.episode_gatherer import PICTURES, Begin, Decide, EpisodeGatherer
from sac_gmm_nodes.learning.given_skill import given_skill
from sac_gmm_nodes.learning.practice import Practice
from sac_gmm_nodes.learning.state_input import StateInput


class SacAdapter(BaseNode):
    """Topics and episodes around one `Practice`."""

    end_timeout_s = 40.0  # the learner finishes its current update and saves its state

    def __init__(self) -> None:
        super().__init__("sac_adapter")
        reliable = self.flag("reliable_state", False, "ask for every state and picture, not only the latest")
        self.driven_by_events = reliable
        base_frame = self.text("base_frame", "lbr_link_0", "frame of poses, wrenches and the target")
        time_limit_s = self.real("time_limit_s", 10.0, 0.1, 600.0, "s", "longest episode, as for the episode manager")
        use_image = self.flag("use_image", True, "let the agent see the pictures that the configuration names")
        image_age_s = self.real(
            "image_max_age_s", 0.0, 0.0, 10.0, "s", "how much older than the state a picture may be"
        )
        given = given_skill(self)
        chosen, self._base = given.skill.method, given.skill.prior
        settings = given.skill.settings if use_image else given.skill.settings.changed(image=None)
        given = given._replace(skill=replace(given.skill, settings=settings))
        decoder = chosen.decoder(self._base, settings)
        if not isinstance(decoder, SacGmm):
            raise UserError(
                f"the decisions of method '{chosen.name}' do not change a mixture: it is run by skill_runner behind "
                "guard, which the launch files start with guard:=true"
            )
        self._adaptation = decoder.adaptation
        self._window = chosen.observation(decoder, settings, time_limit_s)
        # In lock-step nothing moves before the end is known. In real time a decision may come in between.
        self._practice = Practice(self, given, decoder, self._window, hold_back=not reliable)
        sees = any(group in PICTURES for group in self._window.groups)
        self._gatherer = EpisodeGatherer(self._window, self._practice.rate_hz, image_age_s if sees else None)
        self._version = 0  # the highest version number seen or sent

        self._input = StateInput(self, self._gatherer, self._window, base_frame, stream(reliable), self._proceed)
        self.create_subscription(ControllerStatus, "controller_status", self._on_status, RELIABLE)
        self.create_subscription(MixtureUpdateAnswer, "model_update_answer", self._on_answer, RELIABLE)
        self._practice.announce_pace(settings.skill.blend_s)
        # Last, because the episode manager takes this publisher as the sign that the adapter is ready.
        self._updates = self.create_publisher(MixtureUpdate, "model_update", RELIABLE)

    def close(self) -> None:
        """Save what was learned."""
        self._practice.close()

    def _proceed(self) -> None:
        """Act on everything that is ready."""
        while (event := self._gatherer.poll()) is not None:
            if isinstance(event, Begin):
                self._practice.begin(event)
            elif isinstance(event, Decide):
                self._decide(event)
            else:
                self._practice.end(event)

    def _decide(self, event: Decide) -> None:
        action = self._practice.decide(event)
        self._window.acted(action)
        self._version = max(self._version, event.version) + 1
        self._input.decisions += 1
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
        self._practice.learn()

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
        self._practice.forget()  # an update that was not applied must not be learned from


def main() -> None:
    """Run the node."""
    run_node(SacAdapter)


if __name__ == "__main__":
    main()
