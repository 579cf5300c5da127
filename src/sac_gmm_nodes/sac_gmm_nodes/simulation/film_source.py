"""Plays a film like a camera, to try recording without one and to record from films."""

from __future__ import annotations

import time
from pathlib import Path

from rclpy.executors import Executor

from sac_gmm.core.errors import UserError
from sac_gmm.perception import Camera
from sac_gmm.perception.camera_file import guess_camera, load_camera
from sac_gmm.perception.film_file import Film
from sac_gmm_nodes.common.conversions import header, stamp_of
from sac_gmm_nodes.common.node import BaseNode, run_node
from sac_gmm_nodes.common.pictures import camera_info_message, image_message
from sac_gmm_nodes.simulation.picture_sender import PictureSender

_SECOND_NS = 1_000_000_000
_ACQUAINTANCE_S = 1.0  # discovery is not mutual at once; what is sent before is lost
_LONGEST_S = 60.0  # for a recorder on a busy machine to say that it hears us


class FilmSource(BaseNode):
    """Publishes a film's pictures and their calibration, at the film's own pace."""

    def __init__(self) -> None:
        super().__init__("film_source")
        path = self.text("film", "", "the film to play")
        if not path:
            raise UserError("parameter film is empty: name the film to play")
        self._path = Path(path).expanduser()
        self._pace = self.real("pace", 1.0, 0.01, 100.0, "", "seconds of film per second")
        self._loop = self.flag("loop", False, "start over at the end instead of ending")
        self._frame_id = self.text("camera_frame", "camera_optical_frame", "frame of the pictures")
        self._wait = self.flag("wait_for_listener", True, "start when someone listens")
        self._stay = self.flag("stay", False, "after the film, stay until the node is stopped")
        reliable = self.flag("reliable_images", False, "send every picture, for a recorder that asks for every one")
        calibration = self.text("camera_file", "", "the camera's calibration; empty: guessed from focal_px")
        focal_px = self.real("focal_px", 0.0, 0.0, 1e5, "px", "focal length; 0: that of a typical phone")
        with Film(self._path) as film:  # rejects invalid films now
            self._camera = load_camera(calibration) if calibration else _guess(film, focal_px)
            if (self._camera.width, self._camera.height) != (film.width, film.height):
                raise UserError(f"{self._path}: {film.other_size(self._camera, calibration)}")
        self._sender = PictureSender(self, reliable)

    def spin(self, executor: Executor) -> None:
        """Play the film."""
        self._wait_for_listener(executor)
        frames = 0
        while not self.stopping.is_set():
            frames += self._play(executor)
            if not self._loop:
                break
        # What the recorder has not read yet ends with this node.
        self._sender.wait(lambda: executor.spin_once(timeout_sec=0.05), in_flight=0)
        self.get_logger().info(f"played {frames} pictures of {self._path}")
        if self._stay:
            super().spin(executor)

    def _wait_for_listener(self, executor: Executor) -> None:
        """Wait until somebody has listened for a moment: a listener that we know may not know us yet."""
        known_since_s = time.monotonic()
        while self._wait and not self.stopping.is_set():
            known_s = time.monotonic() - known_since_s
            if known_s > _ACQUAINTANCE_S and (self._sender.is_heard or known_s > _LONGEST_S):
                return
            executor.spin_once(timeout_sec=0.05)
            if not self._sender.has_listener:
                known_since_s = time.monotonic()

    def _play(self, executor: Executor) -> int:
        """Play once; return the number of pictures."""
        began_s, began_ns = time.monotonic(), self.get_clock().now().nanoseconds
        number = -1
        with Film(self._path) as film:
            for number, time_s, picture in film.frames():
                due_s = began_s + time_s / self._pace
                while (left_s := due_s - time.monotonic()) > 0.0 and not self.stopping.is_set():
                    executor.spin_once(timeout_sec=min(left_s, 0.05))
                if self.stopping.is_set():
                    return number
                # Stamps are the film's own times: played at another pace, the motion keeps its speed.
                top = header(stamp_of(began_ns + round(time_s * _SECOND_NS)), self._frame_id)
                camera = self._camera
                info = camera_info_message(camera.matrix, camera.width, camera.height, top, camera.distortion)
                self._sender.send(image_message(picture, top), info)
                self._sender.wait(lambda: executor.spin_once(timeout_sec=0.05))
        return number + 1


def _guess(film: Film, focal_px: float) -> Camera:
    return guess_camera(film.width, film.height, focal_px or None)


def main() -> None:
    """Entry point."""
    run_node(FilmSource)


if __name__ == "__main__":
    main()
