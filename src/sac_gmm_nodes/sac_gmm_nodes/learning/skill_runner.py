"""Runs a skill of any method: observes, decides, and says at every control step what the arm should do.

    ros2 run sac_gmm_nodes skill_runner --ros-args -p model_file:=runs/x/skill.npz -p policy_file:=runs/x/policy.bin
    ros2 run sac_gmm_nodes skill_runner --ros-args -p model_file:=door.npz -p method:=residual_gmm -p run_dir:=runs/door

It publishes `desired_twist`; the node `guard` makes of it what is safe, and moves the arm. Decisions are due at the
pace of the method, which it announces first (`method_pace`), and are made once everything that belongs to their state
has arrived, as in `sac_adapter`. In lock-step each state of a running episode is answered once, with its stamp, so that
an episode is the same as in one process. In real time every new state is answered with what the last decision makes of
it: a picture that is late holds nothing up.

With a policy it acts; without one it practises, if its method learns, in the same way as `sac_adapter`. If the guard
allows less speed, acceleration or jerk than the skill was trained with, it ends with a sentence that says so.
"""

from __future__ import annotations

import math

from geometry_msgs.msg import TwistStamped

from sac_gmm.core.errors import UserError
from sac_gmm.methods import ObservationWindow
from sac_gmm.methods.sac_gmm.settings import CONTROL_RATE_HZ
from sac_gmm.tasks.actions import Twist
from sac_gmm.tasks.registry import TASKS
from sac_gmm_nodes.common.conversions import header, stamp_of, twist_message
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.pace import decision_steps
from sac_gmm_nodes.common.qos import COMMAND, stream
from sac_gmm_nodes.learning.episode_gatherer import PICTURES, Begin, Decide, End, EpisodeGatherer, Step
from sac_gmm_nodes.learning.given_skill import given_skill
from sac_gmm_nodes.learning.guard_limits import GuardLimits
from sac_gmm_nodes.learning.practice import Practice
from sac_gmm_nodes.learning.state_input import StateInput, check_groups

_NEWS_S = 0.5  # how late the news of an episode's end may be
_REPEAT_S = 1.0  # period at which an answer is sent again in lock-step, until the next state


class SkillRunner(BaseNode):
    """Topics and episodes around one decoder and one `Practice`."""

    end_timeout_s = 40.0  # the learner finishes its current update and saves its state

    def __init__(self) -> None:
        super().__init__("skill_runner")
        self._lockstep = self.flag("lockstep", False, "answer every state once, with its stamp; decide before that")
        self.driven_by_events = self._lockstep
        reliable = self.flag("reliable_state", self._lockstep, "ask for every state and picture, not only the latest")
        self._base_frame = self.text("base_frame", "lbr_link_0", "frame of poses, wrenches, twists and the target")
        time_limit_s = self.real("time_limit_s", 10.0, 0.1, 600.0, "s", "longest episode, as for the episode manager")
        image_age_s = self.real(
            "image_max_age_s", 0.0, 0.0, 10.0, "s", "how much older than the state a picture may be"
        )
        whole_state = self.flag(
            "whole_state", True, "wait for state/twist and joint_states too; false: the method must do without them"
        )
        given = given_skill(self)
        skill = given.skill
        _check_action(skill.task)
        self._decoder = skill.method.decoder(skill.prior, skill.settings)
        self._window = skill.method.observation(self._decoder, skill.settings, time_limit_s)
        check_groups(self._window)
        # News of the end may come after a decision on the last state, in lock-step too if every state is decided on; in
        # real time after several decisions.
        hold_back = 1 if self._lockstep else math.ceil(_NEWS_S * CONTROL_RATE_HZ / self._decoder.interval)
        self._practice = Practice(self, given, self._decoder, self._window, hold_back=hold_back)
        rate_hz = self._practice.rate_hz
        sees = any(group in PICTURES for group in self._window.groups)
        streams = _streams(self._window, whole_state)
        self._gatherer = EpisodeGatherer(self._window, rate_hz, image_age_s if sees else None, streams)
        self._decision = -1  # number of the last one that was due in this episode
        self._undecided = False  # whether it has yet to be made
        self._acts = False  # whether any has been made
        self._step: Step | None = None  # not answered yet
        self._answer: TwistStamped | None = None  # to the last state, in lock-step
        self._again = False  # whether it was sent more than a period ago

        self._input = StateInput(
            self, self._gatherer, self._window, self._base_frame, stream(reliable), self._proceed, streams, steps=True
        )
        self._guard = GuardLimits(self, skill.limits)
        pace = self._practice.announce_pace()
        self._interval = decision_steps(pace, rate_hz)
        if self._lockstep:
            self.create_timer(_REPEAT_S, self._repeat, clock=self.steady_clock)
        # Last, because the episode manager takes this publisher as the sign that this node is ready.
        self._twists = self.create_publisher(TwistStamped, "desired_twist", COMMAND)
        self.get_logger().info(
            f"method '{skill.method.name}', {rate_hz:g} Hz, a decision every {self._interval} steps, "
            + ("lock-step" if self._lockstep else "real time")
        )

    def close(self) -> None:
        """Save what was learned."""
        self._practice.save_skill()
        self._practice.close()

    def _proceed(self) -> None:
        """Act on everything that is ready, then answer the newest state."""
        while (event := self._gatherer.poll() or self._gatherer.next_step()) is not None:
            if isinstance(event, Step):
                self._on_step(event)
            elif isinstance(event, Decide):
                self._decide(event)
            elif isinstance(event, Begin):
                self._begin(event)
            else:
                self._end(event)
        if self._step is not None and self._acts and not (self._lockstep and self._undecided):
            self._send(self._step)
            self._step = None
        self._practice.learn()

    def _begin(self, event: Begin) -> None:
        self._practice.begin(event)
        self._decoder.begin()
        self._rest()

    def _end(self, event: End) -> None:
        self._rest()
        self._practice.end(event)

    def _rest(self) -> None:
        self._decision, self._undecided, self._acts = -1, False, False
        self._step = self._answer = None

    def _on_step(self, step: Step) -> None:
        self._step = step
        number = step.step // self._interval
        if number > self._decision:
            self._decision, self._undecided = number, True
            self._gatherer.due(step.episode_id, number, step.stamp_ns, 0)

    def _decide(self, event: Decide) -> None:
        action = self._practice.decide(event)
        self._decoder.decide(action)
        self._window.acted(action)
        self._undecided, self._acts = False, True
        self._input.decisions += 1

    def _send(self, step: Step) -> None:
        stamp = stamp_of(step.stamp_ns) if self._lockstep else self.get_clock().now().to_msg()
        self._answer = twist_message(self._decoder.desired(step.state), header(stamp, self._base_frame))
        self._twists.publish(self._answer)
        self._again = False

    def _repeat(self) -> None:
        """Send the last answer again: a guard that was only just discovered has missed it."""
        if self._answer is not None and self._again:
            self._twists.publish(self._answer)
        self._again = True


def _streams(window: ObservationWindow, whole_state: bool) -> tuple[str, ...]:
    """The parts of the state that a window, or else the decoder, uses."""
    streams = ["ee_position_m"]
    if "wrench" in window.groups:
        streams.append("wrench")
    if "proprio" in window.groups and whole_state:
        streams += ["ee_velocity_m_s", "joint_position_rad"]
    return tuple(streams)


def _check_action(task: str) -> None:
    """Refuse a task that is not commanded by a twist.

    Raises:
        UserError: It is not.
    """
    if task in TASKS and type(TASKS[task].action) is not Twist:
        raise UserError(
            f"task '{task}' takes {TASKS[task].action.words}, and skill_runner sends twists: choose another"
        )


def main() -> None:
    """Run the node."""
    run_node(SkillRunner)


if __name__ == "__main__":
    main()
