"""The reward of a marker: looks for an ArUco marker, or a board of markers, in the fixed camera's pictures.

    ros2 run sac_gmm_nodes aruco_reward --ros-args -p marker_id:=7

The marker's pose is published with its covariance and, on request, as a frame for TF, as long as it is clear which of a
square's two possible poses is the right one; if it is not, the reward's text says so.
"""

from __future__ import annotations

import cv2
import numpy as np
from geometry_msgs.msg import (
    Point,
    Pose,
    PoseWithCovariance,
    PoseWithCovarianceStamped,
    Quaternion,
    Transform,
    TransformStamped,
    Vector3,
)
from scipy.spatial.transform import Rotation
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from sac_gmm.core.errors import UserError
from sac_gmm.perception import ArucoDetector, BoardDetector, Marker, MarkerGate, MarkerPose
from sac_gmm_nodes.common import optional_messages as robot_messages
from sac_gmm_nodes.common.marker_search import MarkerSearch, why_unseen
from sac_gmm_nodes.common.node import run_node
from sac_gmm_nodes.common.pictures import AnyImage, picture_array
from sac_gmm_nodes.common.qos import RELIABLE, SENSOR
from sac_gmm_nodes.reward.image_reward import Colour, ImageReward


class ArucoReward(ImageReward):
    """Turns images and a calibration into Rewards."""

    def __init__(self) -> None:
        super().__init__("aruco_reward", "marker")
        self._search = MarkerSearch(self, 7, "the marker that shows when the task is done")
        self._gate = MarkerGate(
            self.real("max_tilt_rad", 1.45, 0.1, 1.57, "rad", "a marker tilted further from the camera does not count"),
            self.real(
                "tilt_hysteresis_rad",
                0.05,
                0.0,
                0.5,
                "rad",
                "added to max_tilt_rad once the task counts as done",
            ),
        )
        self._max_ambiguity = self.real(
            "max_ambiguity",
            0.8,
            0.0,
            1.0,
            "",
            "no pose is published where the ratio of the two poses' errors exceeds this",
        )
        self._marker_frame = self.text("marker_frame", "marker", "the marker's or the board's frame, for TF")
        self._publish_tf = self.flag("publish_tf", False, "publish the marker's frame on /tf")
        if self._publish_tf and robot_messages.TFMessage is None:
            raise UserError("parameter publish_tf is true, but tf2_msgs is not installed: install it")
        self._previous: MarkerPose | None = None

        self._poses = self.create_publisher(PoseWithCovarianceStamped, "~/marker_pose", SENSOR)
        self._tf = None
        if self._publish_tf:
            self._tf = self.create_publisher(robot_messages.TFMessage, "/tf", RELIABLE)
        self.create_subscription(CameraInfo, "fixed_camera/camera_info", self._search.calibrate, self.sensor_qos)

    def new_episode(self) -> None:
        """The marker may have moved."""
        self._previous = None

    def on_image(self, message: AnyImage) -> None:
        """Look for the marker, and answer the picture."""
        self.take(message.header)
        try:
            picture = picture_array(message)
            marker = self._look(picture)
        except UserError as error:
            self.send_invalid(message.header.frame_id, str(error))
            return
        counts = self._gate.counts(marker, self.success)
        answer = self.judge(counts, message.header, _describe(marker, counts, self._search.detector))
        answer.seen = marker is not None
        answer.marker_id = self._search.marker_id if marker is None else marker.marker_id
        if marker is not None and marker.pose is not None:
            answer.marker_pose = _pose_message(marker.pose)
            self._previous = marker.pose
            if marker.pose.other is None or marker.pose.ambiguity <= self._max_ambiguity:
                self._publish_pose(marker.pose, answer.header)
        self.send(answer)
        self.show(picture, answer, lambda drawn, colour: _outline(drawn, marker, colour))

    def _publish_pose(self, pose: MarkerPose, header_: Header) -> None:
        """Publish where the marker is, and how certain that is."""
        message = _pose_message(pose)
        covariance = PoseWithCovariance(pose=message, covariance=pose.covariance.ravel())
        self._poses.publish(PoseWithCovarianceStamped(header=header_, pose=covariance))
        if self._tf is not None:
            place = message.position
            transform = Transform(translation=Vector3(x=place.x, y=place.y, z=place.z), rotation=message.orientation)
            frame = TransformStamped(header=header_, child_frame_id=self._marker_frame, transform=transform)
            self._tf.publish(robot_messages.TFMessage(transforms=[frame]))

    def _look(self, picture: np.ndarray) -> Marker | None:
        """Find the marker, or report why this picture cannot be judged."""
        detector = self._search.detector_for(picture)
        self.check_age()
        return detector.detect(picture, self._previous)


def _describe(marker: Marker | None, counts: bool, detector: ArucoDetector | BoardDetector | None) -> str:
    if marker is None:
        return why_unseen(detector)
    if marker.pose is None:
        return "marker seen, but no pose explains its corners: it does not count"
    tilt = f"{np.degrees(marker.pose.tilt_rad):.0f} degrees"
    if marker.pose.ambiguous and marker.pose.other is not None:
        tilt += f" or {np.degrees(marker.pose.other.tilt_rad):.0f} to another side"
    text = f"marker seen, turned {tilt}" if counts else f"marker seen, but turned {tilt} away: it does not count"
    return f"{text}; {detector.repeated}" if detector is not None and detector.repeated else text


def _pose_message(pose: MarkerPose) -> Pose:
    x, y, z = pose.position_m.tolist()
    qx, qy, qz, qw = Rotation.from_matrix(pose.rotation).as_quat().tolist()
    return Pose(position=Point(x=x, y=y, z=z), orientation=Quaternion(x=qx, y=qy, z=qz, w=qw))


def _outline(drawn: np.ndarray, marker: Marker | None, colour: Colour) -> None:
    """Draw the marker's outline."""
    for sighting in marker.sightings if marker is not None else ():
        cv2.polylines(drawn, [np.rint(sighting.corners_px).astype(np.int32)], True, colour, 2)
        corner = sighting.corners_px[0]
        cv2.circle(drawn, (round(float(corner[0])), round(float(corner[1]))), 4, colour, -1)


def main() -> None:
    """Entry point."""
    run_node(ArucoReward)


if __name__ == "__main__":
    main()
