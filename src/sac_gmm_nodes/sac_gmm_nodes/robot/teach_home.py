"""Stores where the arm stands as the pose that episodes begin from, and ends: `sac-gmm robot teach-home`.

    ros2 run sac_gmm_nodes teach_home --ros-args -p file:=home.json

Something must tell the tip's pose (`state/pose`): gmm_controller, guard or the simulation. Lead the arm there by hand,
let it stand, and start this. Joint positions are stored too where `joint_states` are published.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from geometry_msgs.msg import PoseStamped
from rclpy.executors import Executor
from sensor_msgs.msg import JointState

from sac_gmm.control.at_rest import AtRest
from sac_gmm.control.home import Home, save_home
from sac_gmm.core.errors import UserError
from sac_gmm.core.files import check_output, refuse_existing
from sac_gmm_nodes.common.conversions import point_array
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.qos import SENSOR
from sac_gmm_nodes.robot.arm_mover import joint_topics

_SPIN_S = 0.05
_JOINTS_S = 1.0  # joints may come this much later than the pose, or else there are none
_REST_M, _REST_RAD = 0.001, 0.003  # what moves by less stands


class TeachHome(BaseNode):
    """Listens until the arm has stood for a while."""

    def __init__(self) -> None:
        super().__init__("teach_home")
        self._file = Path(self.text("file", "", "where the pose is stored, a name ending in .json")).expanduser()
        self._overwrite = self.flag("overwrite", False, "replace the file if it exists")
        robot_name = self.text("robot_name", "lbr", "namespace of the arm's driver; empty for none")
        settle_s = self.real("settle_s", 0.5, 0.0, 10.0, "s", "the arm stands once it has not moved for so long")
        self._timeout_s = self.real("timeout_s", 30.0, 0.5, 3600.0, "s", "how long to wait for that")
        self._tip: PoseStamped | None = None
        self._joints: dict[str, float] = {}  # by name, rad
        self._tip_rest, self._joint_rest = AtRest(_REST_M, settle_s), AtRest(_REST_RAD, settle_s)
        self._tip_s = float("inf")  # when its first pose came
        self.create_subscription(PoseStamped, "state/pose", self._on_pose, SENSOR)
        for topic in joint_topics(robot_name):
            self.create_subscription(JointState, topic, self._on_joints, SENSOR)

    def spin(self, executor: Executor) -> None:
        """Wait until the arm stands; store where.

        Raises:
            UserError: It does not stand, nothing tells where it is, or the file cannot be written.
        """
        check_output(self._file, ".json")
        if not self._overwrite:
            refuse_existing(self._file)
        end_s = time.monotonic() + self._timeout_s
        while not self.stopping.is_set():
            executor.spin_once(timeout_sec=_SPIN_S)
            if self._stands(time.monotonic()):
                self._store()
                return
            if time.monotonic() > end_s:
                raise UserError(self._why_not())

    def _stands(self, now_s: float) -> bool:
        if not self._tip_rest.holds_at(now_s) or not self._tip_rest.known_at(now_s, _JOINTS_S):
            return False
        if not self._joints:
            return now_s - self._tip_s > _JOINTS_S
        return self._joint_rest.holds_at(now_s)

    def _why_not(self) -> str:
        if self._tip is None:
            topic = self.resolve_topic_name("state/pose")
            return (
                f"nothing came on {topic} for {self._timeout_s:g} s: start what tells where the tip is, gmm_controller "
                "or guard with the arm's driver, in the same ROS_DOMAIN_ID"
            )
        return f"the arm did not stand for {self._timeout_s:g} s: let it stand, and teach again"

    def _store(self) -> None:
        tip = self._tip
        assert tip is not None
        turn = tip.pose.orientation
        home = Home(
            tip.header.frame_id,
            point_array(tip.pose.position),
            np.array((turn.x, turn.y, turn.z, turn.w)),
            tuple(self._joints),
            np.array(list(self._joints.values())),
        )
        save_home(self._file, home, overwrite=self._overwrite)
        x, y, z = home.position_m.tolist()
        known = f"{len(home.joint_names)} joints" if home.joint_names else "no joints: none are published"
        print(f"wrote {self._file}: the tip at {x:.4f}, {y:.4f}, {z:.4f} m in {home.base_frame}, {known}", flush=True)

    def _on_pose(self, message: PoseStamped) -> None:
        now_s = time.monotonic()
        self._tip, self._tip_s = message, min(self._tip_s, now_s)
        self._tip_rest.take(point_array(message.pose.position), now_s)

    def _on_joints(self, message: JointState) -> None:
        self._joints |= dict(zip(message.name, message.position, strict=False))
        self._joint_rest.take(np.array(list(self._joints.values())), time.monotonic())


def main() -> None:
    """Run the program."""
    run_node(TeachHome)


if __name__ == "__main__":
    main()
