"""The pose of a hand from a camera's messages: handles calibration, encodings and depth, and reports their problems."""

from __future__ import annotations

import contextlib
from collections import deque
from typing import TYPE_CHECKING

from sensor_msgs.msg import CameraInfo, Image

from sac_gmm.core.errors import UserError
from sac_gmm.perception import Camera, dictionary_names
from sac_gmm.perception.hands import HandPose, depth_image
from sac_gmm.perception.hands.marker import MarkerHandTracker
from sac_gmm.perception.hands.unseen import Unseen
from sac_gmm_nodes.common.node import BaseNode
from sac_gmm_nodes.common.pictures import AnyImage, Calibration, picture_array

if TYPE_CHECKING:
    from sac_gmm.perception.hands.tracker import HandTracker

_SECOND_NS = 1_000_000_000


class HandSight:
    """The tracker that the node's parameters describe.

    Attributes:
        unseen: What the pictures show since the hand was seen last.

    Raises:
        UserError: A parameter is out of range, or the hand model is missing.
    """

    def __init__(self, node: BaseNode) -> None:
        self._backend = node.text("backend", "mediapipe", "what to look for", ("mediapipe", "marker"))
        self._side = node.text("side", "any", "the hand to follow; any: the nearest", ("any", "left", "right"))
        self._palm_width_m = node.real(
            "palm_width_m", 0.0, 0.0, 0.12, "m", "width between the knuckles of index and little finger; 0: unknown"
        )
        self._model = node.text("model", "", "a hand_landmarker.task file; empty: the one prepared at set-up")
        self._min_confidence = node.real("min_confidence", 0.5, 0.0, 1.0, "", "smallest confidence of the hand model")
        self._dictionary = node.text("dictionary", "DICT_4X4_50", "dictionary of the marker", dictionary_names())
        self._marker_id = node.whole("marker_id", 0, 0, 1000, "the marker on the hand or tool")
        self._size_m = node.real("marker_size_m", 0.06, 0.005, 1.0, "m", "side of the marker's black square")
        self._calibration = Calibration("no calibration has arrived on camera/camera_info: start the camera's driver")
        self._camera: Camera | None = None
        looks_for_marker = self._backend == "marker"
        self.unseen = Unseen(
            "any" if looks_for_marker else self._side,  # type: ignore[arg-type]  # one of the choices
            f"marker {self._marker_id} of {self._dictionary}" if looks_for_marker else "",
        )
        probe = Camera.create(64, 64, [64.0, 0.0, 32.0, 0.0, 64.0, 32.0, 0.0, 0.0, 1.0])
        self._hand: HandTracker | None = None
        if self._backend == "marker":  # reject a marker that does not exist now, not later
            MarkerHandTracker(self._dictionary, self._marker_id, self._size_m, probe)
        else:
            self._hand = self._make_hand_tracker(probe)  # the same for a missing model
        self._marker: MarkerHandTracker | None = None

    @property
    def calibrated(self) -> bool:
        """Whether a calibration has arrived, valid or not."""
        return self._calibration.has_come

    @property
    def takes_depth(self) -> bool:
        """Whether a depth image corrects the distance; a marker's size does that by itself."""
        return self._backend != "marker"

    @property
    def repeated(self) -> str:
        """Whether the marker was in the last picture more than once; empty if not."""
        return "" if self._marker is None else self._marker.repeated

    def palm(self) -> dict[str, float | int]:
        """For the diagnostics: the hand's scale by the palm's width, how it scatters, what contradicts it."""
        scale = None if self._hand is None else self._hand.palm_scale
        return {} if scale is None else {f"palm_{name}": value for name, value in scale.as_dict().items()}

    def setup(self) -> dict[str, object]:
        """The settings that all episodes of a folder must share."""
        size = None if self._camera is None else [self._camera.width, self._camera.height]
        if self._backend == "marker":
            return {
                "tracker": "marker",
                "dictionary": self._dictionary,
                "marker_id": self._marker_id,
                "marker_size_m": self._size_m,
                "image_size": size,
            }
        return {
            "tracker": "mediapipe 0.10.31",
            "model": self._model or "prepared",
            "side": self._side,
            "palm_width_m": self._palm_width_m,
            "min_confidence": self._min_confidence,
            "image_size": size,
        }

    def calibrate(self, message: CameraInfo) -> None:
        """Set the camera's calibration; an invalid one is reported with the next picture."""
        if not self._calibration.take(message):
            return
        self._camera = None
        with contextlib.suppress(UserError):
            self._see_with(self._calibration.camera())

    def _see_with(self, camera: Camera) -> None:
        self._camera = camera
        if self._backend == "marker":
            self._marker = MarkerHandTracker(self._dictionary, self._marker_id, self._size_m, camera)
        else:
            self.close()
            self._hand = self._make_hand_tracker(camera)

    def look(self, message: AnyImage, depth: Image | None) -> HandPose | None:
        """The pose of the hand in a picture, None if there is none.

        Raises:
            UserError: The picture cannot be used: no calibration, or of another size; an unknown encoding; fewer bytes
                than the size requires.
        """
        picture = picture_array(message)
        size = (picture.shape[1], picture.shape[0])
        if self._camera is None or size != (self._camera.width, self._camera.height):
            self._see_with(self._calibration.camera(size))
        time_s = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        if self._marker is not None:
            pose = self._marker.track(picture, time_s)
            self.unseen.take(picture, placed=pose is not None, near_miss=self._marker.near_miss)
            return pose
        depth_m = None
        if depth is not None:
            depth_m = depth_image(depth.data, depth.height, depth.width, depth.step, depth.encoding)
        assert self._hand is not None
        pose = self._hand.track(picture, time_s, depth_m)
        self.unseen.take(picture, placed=pose is not None, sides=self._hand.sides)
        return pose

    def close(self) -> None:
        """Release the models."""
        if self._hand is not None:
            self._hand.close()
            self._hand = None

    def _make_hand_tracker(self, camera: Camera) -> HandTracker:
        from sac_gmm.perception.hands.tracker import HandTracker

        return HandTracker(
            camera,
            side=self._side,  # type: ignore[arg-type]  # one of the choices
            palm_width_m=self._palm_width_m or None,
            model=self._model or None,
            min_confidence=self._min_confidence,
        )


class DepthPairing:
    """Holds pictures until their depth has arrived, or clearly will not; keeps their order.

    Registered depth is computed, so it may arrive some pictures later.

    Args:
        wanted: Whether depth is used at all.
        max_delay_ns: Stamps further apart do not belong together.
        max_waiting: Pictures that may wait, a quarter of a second's worth; after that the first goes without depth.
    """

    def __init__(self, wanted: bool, max_delay_ns: int = _SECOND_NS // 50, max_waiting: int = 8) -> None:
        self._wanted = wanted
        self._max_delay_ns = max_delay_ns
        self._max_waiting = max_waiting
        self._pictures: deque[AnyImage] = deque()
        self._depths: deque[Image] = deque(maxlen=max_waiting)

    def picture(self, message: AnyImage) -> list[tuple[AnyImage, Image | None]]:
        """The pictures that can be processed now that this one has arrived, with their depth."""
        if not self._wanted:
            return [(message, None)]
        self._pictures.append(message)
        return self._match()

    def depth(self, message: Image) -> list[tuple[AnyImage, Image | None]]:
        """The same for a depth image."""
        if not self._wanted:
            return []
        self._depths.append(message)
        return self._match()

    def flush(self) -> list[tuple[AnyImage, Image | None]]:
        """All waiting pictures, including those without depth."""
        return self._match(patient=False)

    def _match(self, patient: bool = True) -> list[tuple[AnyImage, Image | None]]:
        ready: list[tuple[AnyImage, Image | None]] = []
        while self._pictures:
            depth = self._next_depth()
            if patient and depth is None and len(self._pictures) <= self._max_waiting and not self._is_passed():
                break
            ready.append((self._pictures.popleft(), depth))
        return ready

    def _next_depth(self) -> Image | None:
        """The depth for the picture that has waited longest; it is removed together with all older depth."""
        first = self._pictures[0]
        for i, depth in enumerate(self._depths):
            nearest = min(self._pictures, key=lambda picture: _apart_ns(picture, depth))
            if nearest is first and _apart_ns(first, depth) <= self._max_delay_ns:
                for _ in range(i + 1):
                    self._depths.popleft()
                return depth
        return None

    def _is_passed(self) -> bool:
        """Whether later depth has already arrived, which means that the first picture's was lost."""
        return bool(self._depths) and _ns(self._depths[-1]) > _ns(self._pictures[0]) + self._max_delay_ns


def _apart_ns(one: AnyImage, other: AnyImage) -> int:
    return abs(_ns(one) - _ns(other))


def _ns(message: AnyImage) -> int:
    return int(message.header.stamp.sec) * _SECOND_NS + int(message.header.stamp.nanosec)
