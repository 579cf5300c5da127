"""Simulates a camera that sees a person's hand with a marker: the fingertip follows the simulated robot's.

It replaces the camera driver for `hand_demo_recorder` in the launch file hand_demonstrations.
"""

from __future__ import annotations

from pathlib import Path

from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CameraInfo, Image

from sac_gmm.perception.extrinsics import load_extrinsics
from sac_gmm.perception.hands.simulated import SimulatedHand
from sac_gmm_nodes.common.conversions import header, nanoseconds, point_array
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.pictures import camera_info_message, grey_message
from sac_gmm_nodes.common.qos import stream
from sac_gmm_nodes.simulation.picture_sender import PictureSender


class HandCamera(BaseNode):
    """Turns the fingertip's pose into pictures of a hand with a marker."""

    def __init__(self) -> None:
        super().__init__("hand_camera")
        file = self.text("extrinsics_file", "", "the camera's pose in the base frame")
        _, self._frame_id, pose = load_extrinsics(Path(file).expanduser())
        seed = self.whole("seed", 0, 0, 2**31 - 1, "seed of the hand's rotation, the background and the noise")
        self._hand = SimulatedHand(seed, pose)
        reliable = self.flag("reliable_state", False, "take every state, as lock-step needs")
        self._last_ns = -1
        self._last: tuple[Image, CameraInfo] | None = None
        self._sender = PictureSender(self, reliable=True)
        self.create_subscription(PoseStamped, "state/pose", self._on_pose, stream(reliable))

    def _on_pose(self, message: PoseStamped) -> None:
        stamp_ns = nanoseconds(message.header.stamp)
        if self._last is not None and stamp_ns == self._last_ns:
            self._sender.send(*self._last)  # a simulation at rest repeats its state for late listeners
            return
        dt_s = 1.0 if stamp_ns < self._last_ns else (stamp_ns - self._last_ns) * 1e-9
        self._last_ns = stamp_ns
        marker = self._hand.marker_pose(point_array(message.pose.position), dt_s)
        top = header(message.header.stamp, self._frame_id)
        camera = self._hand.camera
        info = camera_info_message(camera.matrix, camera.width, camera.height, top)
        self._last = grey_message(self._hand.picture(marker), top), info
        self._sender.send(*self._last)


def main() -> None:
    """Entry point."""
    run_node(HandCamera)


if __name__ == "__main__":
    main()
