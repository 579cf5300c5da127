"""The topic `target_pose`: one target for each episode, stamped within it, by one publisher alone."""

from __future__ import annotations

from collections.abc import Callable

from geometry_msgs.msg import PoseStamped, PoseWithCovariance, PoseWithCovarianceStamped
from sac_gmm_interfaces.msg import EpisodeState

from sac_gmm.core.errors import UserError
from sac_gmm.perception.marker_target import TargetEstimate
from sac_gmm_nodes.common.conversions import doubles, header, nanoseconds, pose_message, stamp_of
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.polling import Publishers
from sac_gmm_nodes.common.qos import EPISODE, LATCHED

_TOPIC = "target_pose"
_RENEW_NS = 1_000_000_000  # between two targets while no episode runs


class TargetTopic:
    """Follows the episodes and publishes a target when one is due.

    While an episode runs that is once, and not before it has begun: the controller takes no target that is older than
    the episode. While the scene is reset it is never, because the task may still move. Otherwise it is once a second,
    for whoever records or watches.

    Attributes:
        sent: The estimate that was published last.

    Args:
        node: Publishes.
        base_frame: Frame of the targets.
        look_anew: Called when the scene is reset and when an episode begins: what was seen before is the past.
    """

    def __init__(self, node: BaseNode, base_frame: str, look_anew: Callable[[], None]) -> None:
        self._node, self._base_frame, self._look_anew = node, base_frame, look_anew
        self.sent: TargetEstimate | None = None
        self._phase = EpisodeState.PHASE_IDLE
        self._start_ns = 0  # of the running episode
        self._settled = False  # whether the running episode has its target
        self._poses = node.create_publisher(PoseStamped, _TOPIC, LATCHED)
        self._with_spread = node.create_publisher(PoseWithCovarianceStamped, "~/pose_with_covariance", LATCHED)
        self._publishers = Publishers(node, node.resolve_topic_name(_TOPIC))
        node.create_subscription(EpisodeState, "episode_state", self._on_episode, EPISODE)

    @property
    def due(self) -> bool:
        """Whether a target is wanted, now or in a moment: outside of resets, and once in an episode."""
        return not self.resetting and not self._settled

    @property
    def resetting(self) -> bool:
        """Whether the scene is being reset."""
        return self._phase == EpisodeState.PHASE_RESETTING

    @property
    def earliest_ns(self) -> int:
        """The earliest stamp that a target may have now."""
        return self._start_ns if self._phase == EpisodeState.PHASE_RUNNING else 0

    def offer(self, estimate: TargetEstimate) -> bool:
        """Publish a target, if one is due; whether it was published.

        Raises:
            UserError: Somebody else publishes targets, too.
        """
        if not self.due or estimate.stamp_ns < self.earliest_ns:
            return False
        running = self._phase == EpisodeState.PHASE_RUNNING
        if not running and self.sent is not None and 0 <= estimate.stamp_ns - self.sent.stamp_ns < _RENEW_NS:
            return False
        if others := self._others():
            raise UserError(
                f"{self._node.resolve_topic_name(_TOPIC)} is published by {', '.join(others)} too, and the arm would "
                "follow whoever spoke last: stop one of them"
            )
        self.sent, self._settled = estimate, running
        head = header(stamp_of(estimate.stamp_ns), self._base_frame)
        pose = pose_message(estimate.pose.position_m, estimate.pose.quaternion_xyzw, head)
        spread = PoseWithCovariance(pose=pose.pose, covariance=doubles(estimate.covariance.ravel()))
        self._with_spread.publish(PoseWithCovarianceStamped(header=head, pose=spread))
        self._poses.publish(pose)
        return True

    def _others(self) -> list[str]:
        own = self._node.get_fully_qualified_name()
        others = [name for name in self._publishers.names if name != own]
        twins = self._node.count_publishers(_TOPIC) - 1 - len(others)
        return others or ([f"another {own}"] if twins > 0 else [])

    def _on_episode(self, message: EpisodeState) -> None:
        key = message.phase, nanoseconds(message.start_stamp)
        if key == (self._phase, self._start_ns):
            return
        self._phase, self._start_ns = key
        self._settled = False
        if self._phase in (EpisodeState.PHASE_RESETTING, EpisodeState.PHASE_RUNNING):
            self._look_anew()
