"""Says where the target is: from a marker on it in the fixed camera's pictures, or from a file that the tip has taught.

    ros2 run sac_gmm_nodes marker_target --ros-args -p marker_id:=3 -p extrinsics_file:=camera.json
    ros2 run sac_gmm_nodes marker_target --ros-args -p source:=fixed -p target_file:=target.json
    ros2 service call /marker_target/teach std_srvs/srv/Trigger

Each picture that is taken while the arm stands gives one pose; their mean is published as `target_pose`, once for each
episode and stamped within it, unless they scatter too much. A single square marker that faces the camera may be seen in
two poses: give a board (`board_file`), or say where the marker faces (`mounting_normal`). `teach` makes the place where
the tip stands the target, and stores it in `target_file`. Why there is no target is in the log and on /diagnostics.
"""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from geometry_msgs.msg import PoseStamped
from sensor_msgs.msg import CameraInfo, JointState
from std_msgs.msg import Header
from std_srvs.srv import Trigger

from sac_gmm.control.at_rest import AtRest
from sac_gmm.core.errors import UserError
from sac_gmm.perception.extrinsics import RigidTransform, load_extrinsics, save_extrinsics
from sac_gmm.perception.marker_target import TargetAverage, TargetEstimate, TargetSettings, target_of
from sac_gmm_nodes.common.conversions import frame_objection, header, nanoseconds, point_array
from sac_gmm_nodes.common.marker_search import MarkerSearch, why_unseen
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.pictures import AnyImage, image_transport, picture_array, subscribe_to_pictures
from sac_gmm_nodes.common.qos import RELIABLE, SENSOR, stream
from sac_gmm_nodes.robot.target_topic import TargetTopic

_LOOK_S = 0.2  # between two looks at whether a fixed target is due, and at the camera's silence
_START_UP_S = 5.0  # no picture is not yet an error while the camera's driver may be starting
_TEACH = "`ros2 service call /marker_target/teach std_srvs/srv/Trigger`"


class MarkerTarget(BaseNode):
    """Turns pictures, or a taught place, into targets."""

    def __init__(self) -> None:
        super().__init__("marker_target")
        source = self.text(
            "source", "marker", "marker: seen by the fixed camera; fixed: from target_file", ("marker", "fixed")
        )
        self._base_frame = self.text("base_frame", "lbr_link_0", "frame of the target, of state/pose and of the camera")
        self._settings = self.settings(TargetSettings)
        self._search = MarkerSearch(self, 3, "the marker on the target")
        extrinsics_file = self.text("extrinsics_file", "", "the camera's pose, from `sac-gmm hands calibrate`")
        target_file = self.text("target_file", "", "source fixed: where the target is; `teach` writes it")
        self._silence_s = self.real(
            "silence_timeout_s", 1.0, 0.05, 60.0, "s", "without a picture for so long it says so"
        )
        self._max_age_s = self.real("max_image_age_s", 1.0, 0.02, 60.0, "s", "an image older than this is not used")
        self._max_state_age_s = self.real(
            "max_state_age_s", 1.0, 0.02, 60.0, "s", "a state must not be older than this when a picture is taken"
        )
        settle_s = self.real("settle_s", 0.3, 0.0, 10.0, "s", "the arm stands once it has not moved for so long")
        rest_m = self.real("rest_tolerance_m", 0.001, 1e-5, 0.1, "m", "a tip that moves by less stands")
        rest_rad = self.real("rest_tolerance_rad", 0.003, 1e-5, 0.2, "rad", "joints that move by less stand")
        transport = image_transport(self)
        reliable = self.flag("reliable_state", False, "take every image and state, not only the latest")

        self._rest = {"state/pose": AtRest(rest_m, settle_s), "joint_states": AtRest(rest_rad, settle_s)}
        self._average = TargetAverage(self._settings)
        self._file = Path(target_file).expanduser() if target_file else None
        self._fixed: RigidTransform | None = None
        self._tip: PoseStamped | None = None
        self._why = ""  # why there is no target; empty if there is
        self._quiet = False  # whether that is as it should be
        self._complaint = ""
        self._last_picture_s = time.monotonic() + _START_UP_S

        self._topic = TargetTopic(self, self._base_frame, self._average.clear)
        self._diagnostics = self.create_publisher(DiagnosticArray, "/diagnostics", RELIABLE)
        self.create_subscription(PoseStamped, "state/pose", self._on_pose, stream(reliable))
        self.create_subscription(JointState, "joint_states", self._on_joints, SENSOR)
        if source == "fixed":
            self._load_target()
            self.create_service(Trigger, "~/teach", self._on_teach)
            self.create_timer(_LOOK_S, self._offer_fixed, clock=self.steady_clock)
        else:
            self._camera, self._camera_frame = self._load_camera(extrinsics_file)
            self._pictures = subscribe_to_pictures(
                self, "fixed_camera/image", transport, self._on_image, stream(reliable)
            )
            self.create_subscription(CameraInfo, "fixed_camera/camera_info", self._search.calibrate, stream(reliable))
            self.create_timer(_LOOK_S, self._on_silence, clock=self.steady_clock)
        self.create_timer(1.0, self._report, clock=self.steady_clock)

    # From a marker ---------------------------------------------------------------------------------------------

    def _load_camera(self, file: str) -> tuple[RigidTransform, str]:
        """Pose of the camera in the base frame, and the name of its frame."""
        if not file:
            raise UserError(
                "parameter extrinsics_file is empty: give the fixed camera's pose, from `sac-gmm hands calibrate`"
            )
        parent, child, pose = load_extrinsics(Path(file).expanduser())
        if parent != self._base_frame:
            raise UserError(
                f"extrinsics_file {file} gives the camera's pose in '{parent}', not in '{self._base_frame}': calibrate "
                "a camera that stands fixed in the base frame, or set base_frame"
            )
        return pose, child

    def _on_image(self, message: AnyImage) -> None:
        self._last_picture_s = time.monotonic()
        stamp_ns = nanoseconds(message.header.stamp)
        if not self._topic.due or stamp_ns < self._topic.earliest_ns:
            return
        try:
            if (estimate := self._look(message, stamp_ns)) is not None:
                self._topic.offer(estimate)
                self._is_well()
        except UserError as error:
            self._complain(str(error))

    def _look(self, message: AnyImage, stamp_ns: int) -> TargetEstimate | None:
        """The target by the newest pictures; None while the arm moves, or there are not enough pictures yet.

        Raises:
            UserError: It is not known well enough, or not at all.
        """
        self.refuse_stale(stamp_ns, self._max_age_s, "image")
        if not self._stands(stamp_ns):
            self._average.clear()
            self._wait("the arm moves: the target is looked at while it stands")
            return None
        picture = picture_array(message)
        self._mind_the_frame(message.header.frame_id)
        detector = self._search.detector_for(picture)
        marker = detector.detect(picture)
        if marker is None:
            raise UserError(why_unseen(detector))
        if detector.repeated:
            raise UserError(detector.repeated)
        if marker.pose is None:
            raise UserError("marker seen, but no pose explains its corners: is marker_size_m, or the board, right?")
        self._average.take(stamp_ns, target_of(marker.pose, self._camera, self._settings))
        estimate = self._average.estimate()
        if estimate is None:
            self._wait("looking at the target")
        return estimate

    def _mind_the_frame(self, frame_id: str) -> None:
        if self._camera_frame not in ("", frame_id):
            self.get_logger().warning(
                f"the pictures are of '{frame_id}', but extrinsics_file is for '{self._camera_frame}': does it belong "
                "to this camera?"
            )
            self._camera_frame = ""  # reported once

    def _on_silence(self) -> None:
        if time.monotonic() - self._last_picture_s > self._silence_s:
            topic = self.resolve_topic_name(self._pictures)
            self._complain(f"no image on {topic} for {self._silence_s:g} s: check the camera and its driver")

    # From a file -----------------------------------------------------------------------------------------------

    def _load_target(self) -> None:
        if self._file is None or not self._file.exists():
            self._why = f"no target has been taught: lead the tip to it, and call {_TEACH}"
            self.get_logger().warning(self._why)
            return
        parent, _, self._fixed = load_extrinsics(self._file, "a target", _TEACH)
        if parent != self._base_frame:
            raise UserError(
                f"target_file {self._file} gives the target in '{parent}', not in '{self._base_frame}': teach it "
                "again, or set base_frame"
            )

    def _offer_fixed(self) -> None:
        now_ns = self.get_clock().now().nanoseconds
        if self._fixed is None or now_ns == 0:  # simulated time that has not started
            return
        stamp_ns = max(now_ns, self._topic.earliest_ns)
        try:
            self._topic.offer(TargetEstimate(self._fixed, 0.0, 0.0, np.zeros((6, 6)), stamp_ns, 0))
            self._is_well()
        except UserError as error:
            self._complain(str(error))

    def _on_teach(self, _request: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
        try:
            response.message = self._teach()
            response.success = True
            self.get_logger().info(response.message)
        except UserError as error:
            response.message = str(error)
            self.get_logger().error(response.message)
        return response

    def _teach(self) -> str:
        """Make the place of the tip the target."""
        tip = self._tip
        if tip is None:
            raise UserError("nothing has come on state/pose: start what tells where the tip is")
        if objection := frame_objection(tip.header.frame_id, self._base_frame, "state/pose"):
            raise UserError(objection)
        rest = self._rest["state/pose"]
        now_s = self.get_clock().now().nanoseconds * 1e-9
        if not rest.known_at(now_s, self._max_state_age_s):
            raise UserError("the last state/pose is old: is what tells where the tip is still running?")
        if not rest.holds_at(now_s):
            raise UserError("the arm moves: let it stand, then teach again")
        turn = tip.pose.orientation
        pose = RigidTransform.of(point_array(tip.pose.position), (turn.x, turn.y, turn.z, turn.w))
        stored = "not stored, as target_file is empty"
        if self._file is not None:
            save_extrinsics(self._file, self._base_frame, "target", pose)
            stored = f"stored in {self._file}"
        self._fixed = pose
        x, y, z = pose.position_m.tolist()
        return f"the target is at {x:.4f}, {y:.4f}, {z:.4f} m in {self._base_frame}, {stored}"

    # The arm ---------------------------------------------------------------------------------------------------

    def _on_pose(self, message: PoseStamped) -> None:
        self._tip = message
        self._take_state("state/pose", point_array(message.pose.position), message.header)

    def _on_joints(self, message: JointState) -> None:
        self._take_state("joint_states", np.array(message.position), message.header)

    def _take_state(self, topic: str, place: np.ndarray, head: Header) -> None:
        self._rest[topic].take(place, nanoseconds(head.stamp) * 1e-9)

    def _stands(self, stamp_ns: int) -> bool:
        """Whether the arm stood when a picture was taken.

        Raises:
            UserError: Nobody says.
        """
        at_s = stamp_ns * 1e-9
        known = [rest for rest in self._rest.values() if rest.known_at(at_s, self._max_state_age_s)]
        if not known:
            raise UserError(
                "nothing on state/pose and joint_states, so nobody knows whether the arm stands: start the driver, and "
                "use one clock for states and pictures"
            )
        return all(rest.holds_at(at_s) for rest in known)

    # Reports ---------------------------------------------------------------------------------------------------

    def _is_well(self) -> None:
        if self._complaint:
            self.get_logger().info("the target is known again")
        self._why = self._complaint = ""

    def _wait(self, why: str) -> None:
        """Say on /diagnostics why there is no target yet, where that is as it should be."""
        self._why, self._quiet = why, True

    def _complain(self, why: str) -> None:
        """Say why there is no target: at once on /diagnostics, in the log once."""
        self._why, self._quiet = why, False
        kind = "".join(letter for letter in why.split(":")[0] if not letter.isdigit())  # numbers in it may change
        if kind != self._complaint:
            self._complaint = kind
            self.get_logger().warning(f"no target: {why}")

    def _message(self) -> str:
        if self._topic.resetting:
            return "the scene is being reset"
        return self._why or ("the target is known" if self._topic.sent is not None else "looking for the target")

    def _report(self) -> None:
        sent, bad = self._topic.sent, bool(self._why) and not (self._quiet or self._topic.resetting)
        values: dict[str, str] = {}
        if sent is not None:
            values = {
                "position_m": ", ".join(f"{value:.4f}" for value in sent.pose.position_m),
                "spread_mm": f"{1e3 * sent.spread_m:.2f}",
                "spread_deg": f"{np.degrees(sent.spread_rad):.2f}",
                "pictures": str(sent.pictures),
                "age_s": f"{self.get_clock().now().nanoseconds * 1e-9 - sent.stamp_ns * 1e-9:.1f}",
            }
        entry = DiagnosticStatus(
            level=DiagnosticStatus.ERROR if bad else DiagnosticStatus.OK,
            name=f"{self.name_below_root}: target",
            hardware_id=self._base_frame,
            message=self._message(),
            values=[KeyValue(key=key, value=value) for key, value in values.items()],
        )
        self._diagnostics.publish(DiagnosticArray(header=header(self.get_clock().now().to_msg()), status=[entry]))


def main() -> None:
    """Run the node."""
    run_node(MarkerTarget)


if __name__ == "__main__":
    main()
