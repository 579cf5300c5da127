"""What every source of reward does: one Reward for each reading of its sensor, debounced, and of this episode alone.

In lock-step the simulation waits for it. If a reading cannot be judged (no calibration, unknown encoding, too old, none
at all), the Reward is marked invalid and gives the reason, instead of a silent zero. A reading from before an episode
is never rewarded in it.
"""

from __future__ import annotations

import math
import time

from rclpy.clock import Clock, ClockType, ROSClock
from rclpy.qos import QoSProfile
from sac_gmm_interfaces.msg import EpisodeState, Reward
from std_msgs.msg import Header

from sac_gmm.perception import RewardDebouncer, RewardJudge
from sac_gmm_nodes.common.conversions import header, nanoseconds, stamp_of
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.polling import take_what_waits
from sac_gmm_nodes.common.qos import EPISODE, RELIABLE, stream

_START_UP_S = 5.0  # no reading is not yet an error while the other nodes may be starting


class RewardNode(BaseNode):
    """Judges the readings of one sensor; a subclass subscribes to it and says what a reading shows.

    Args:
        name: Name of the node.
        source: What the rewards are judged by, as told in every Reward.
        reading: What the sensor sends: `image` or `reading`.
        topic: The sensor's topic.
        check: What to check when the sensor is silent.
        frames: Readings in a row, by default, until the task counts as done, and until it no longer does; None for a
            source that judges at times of its own, not at those of its readings.
    """

    def __init__(self, name: str, *, source: str, reading: str, topic: str, check: str, frames: int | None) -> None:
        super().__init__(name)
        self._source, self._kind, self._check = source, reading, check
        self.topic = topic
        self._max_age_s = math.inf
        if frames is not None:
            self._max_age_s = self.real(
                f"max_{reading}_age_s",
                1.0,
                0.02,
                60.0,
                "s",
                f"older {reading}s are stale: the reward is not valid",
            )
        self._silence_s = self.real(
            "silence_timeout_s",
            1.0,
            0.05,
            60.0,
            "s",
            f"without any {reading} for this long the reward is not valid",
        )
        self.sensor_qos: QoSProfile = stream(reliable=False)
        debouncer = RewardDebouncer(1, 1)
        if frames is not None:
            every = self.flag("reliable_state", False, f"take every {reading}, as lock-step needs, not only the latest")
            self.sensor_qos = stream(every)
            self.driven_by_events = every
            debouncer = RewardDebouncer(
                self.whole("frames_on", frames, 1, 100, f"{reading}s in a row until the task counts as done"),
                self.whole("frames_off", frames, 1, 100, f"{reading}s in a row until it no longer does"),
            )
        self._judge = RewardJudge(debouncer)
        self._stamp_ns = 0  # of the last reading
        self._last_at_s = time.monotonic() + _START_UP_S
        self._last_ns: int | None = None  # by the node's clock, which stands still where a simulation does
        self._phase = EpisodeState.PHASE_RUNNING
        self._complaint = ""
        self._reward = self.create_publisher(Reward, "reward", RELIABLE)
        self._episodes = self.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)
        self.create_timer(self._silence_s / 2.0, self.on_silence, clock=Clock(clock_type=ClockType.STEADY_TIME))

    # For the subclass ------------------------------------------------------------------------------------------

    @property
    def success(self) -> bool:
        """Whether the task counts as done so far."""
        return self._judge.success

    def take(self, head: Header) -> None:
        """Call this first with each reading's header."""
        # A node that lags behind finds the new episode and its first reading at once: it must not be judged by what
        # was seen in the previous episode.
        take_what_waits(self._episodes, EPISODE.depth)
        self._last_at_s, self._last_ns = time.monotonic(), self.get_clock().now().nanoseconds
        self._stamp_ns = nanoseconds(head.stamp)

    def check_age(self) -> None:
        """Check that the reading is a present one.

        Raises:
            UserError: It is too old, or from another clock.
        """
        self.refuse_stale(self._stamp_ns, self._max_age_s, self._kind)

    def judge(self, counts: bool, head: Header, text: str) -> Reward:
        """The answer to a reading that was judged, to be published by `send`.

        Args:
            counts: Whether the reading shows that the task is done.
            head: The reading's header.
            text: What it shows, in words.
        """
        success = self._judge.judge(nanoseconds(head.stamp), counts)
        return Reward(
            header=header(head.stamp, head.frame_id),
            episode_id=self._judge.episode_id,
            source=self._source,
            valid=True,
            success=success,
            value=float(success),
            seen=counts,
            text=text,
        )

    def send(self, answer: Reward) -> None:
        """Publish the answer to a reading."""
        self._complaint = ""
        self._reward.publish(answer)

    def send_invalid(self, frame_id: str, why: str, stamp_ns: int | None = None) -> None:
        """Say why nothing is judged at a stamp, by default the last reading's; the reason is logged once."""
        answer = Reward(
            header=header(stamp_of(self._stamp_ns if stamp_ns is None else stamp_ns), frame_id),
            episode_id=self._judge.episode_id,
            source=self._source,
            valid=False,
            text=why,
        )
        self._reward.publish(answer)
        if why.split(":")[0] != self._complaint:
            self._complaint = why.split(":")[0]
            self.get_logger().warning(f"no valid reward: {why}")

    def new_episode(self) -> None:
        """Called when an episode begins: forget what belongs to the previous one."""

    def on_episode(self, message: EpisodeState) -> None:
        """Called with each announcement of an episode."""

    def why_silent(self) -> str:
        """Why nothing can be judged, if the sensor has been silent for too long; empty if it has not."""
        if min(time.monotonic() - self._last_at_s, self._simulated_silence_s()) < self._silence_s:
            return ""
        topic = self.resolve_topic_name(self.topic)
        return f"no {self._kind} on {topic} for {self._silence_s:g} s: check {self._check}"

    def on_silence(self) -> None:
        """Look whether the sensor is silent, and say so; between episodes a simulation may rest."""
        idle = self._phase not in (EpisodeState.PHASE_RUNNING, EpisodeState.PHASE_RESETTING)
        if (why := self.why_silent()) and not idle:
            self.send_invalid("", why)

    # Callbacks -------------------------------------------------------------------------------------------------

    def _on_episode(self, message: EpisodeState) -> None:
        self._phase = message.phase
        if message.phase == EpisodeState.PHASE_RESETTING:
            self._judge.episode_resetting(message.episode_id)
            self.new_episode()
        elif message.phase == EpisodeState.PHASE_RUNNING:
            self._judge.episode_running(message.episode_id, nanoseconds(message.start_stamp))
        self.on_episode(message)

    def _simulated_silence_s(self) -> float:
        """How long nothing has come in simulated time, where there is one: in lock-step a simulation may pause."""
        clock = self.get_clock()
        if not (isinstance(clock, ROSClock) and clock.ros_time_is_active):
            return math.inf
        now_ns = clock.now().nanoseconds
        if self._last_ns is None or now_ns < self._last_ns:  # the first look; or the clock was set back
            self._last_ns = now_ns
        return (now_ns - self._last_ns) * 1e-9
