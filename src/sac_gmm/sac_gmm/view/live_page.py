"""The page: a small web server on this machine, with the scene and the panel."""

from __future__ import annotations

import contextlib
import io
import socket
import threading
import time

import numpy as np
import viser

from sac_gmm.core.errors import UserError
from sac_gmm.view.panel import Panel
from sac_gmm.view.scene import SkillScene
from sac_gmm.view.snapshot import Source

LOOPBACK = "127.0.0.1"
_ROBOT_VIEW_M = (1.9, -1.6, 1.15), (0.33, 0.0, 0.38)  # camera position, and the point it looks at
_FIELD_OF_VIEW_RAD = 0.7
_PANEL_PX = 384
_SKILL_VIEW_M = np.array([0.24, -0.44, 0.26])  # camera position relative to the target


class LivePage:
    """Serves a source to browsers.

    The browser loads everything from this server and nothing from anywhere else.

    Args:
        source: The source to show.
        host: Address to listen on. Everyone who can reach it can press the buttons.
        port: Port to listen on.

    Raises:
        UserError: The port is taken, or the address does not belong to this machine.
    """

    def __init__(self, source: Source, host: str = LOOPBACK, port: int = 8080) -> None:
        _check_free(host, port)
        self._source = source
        with contextlib.redirect_stdout(io.StringIO()):  # the caller prints the address
            self._server = viser.ViserServer(host, port, label="SAC-GMM", verbose=False)
        self._server.gui.configure_theme(show_logo=False, show_share_button=False)
        self._server.gui.main_panel.dock_right()
        self._server.gui.main_panel.set_width(_PANEL_PX)
        camera = self._server.initial_camera
        camera.position, camera.look_at, camera.up = *_ROBOT_VIEW_M, (0.0, 0.0, 1.0)
        camera.fov = _FIELD_OF_VIEW_RAD
        with self._server.atomic():
            self._scene = SkillScene(self._server.scene, source.urdf)
            self._panel = Panel(self._server.gui, source.title, source.controls, self._scene, self._look)

    @property
    def address(self) -> str:
        """The page's URL."""
        return f"http://{self._server.get_host()}:{self._server.get_port()}"

    def show(self) -> None:
        """Show the current snapshot."""
        snapshot = self._source.snapshot()
        with self._server.atomic():
            self._scene.show(snapshot)
            self._panel.show(snapshot)

    def run(self, stopping: threading.Event, rate_hz: float = 10.0) -> None:
        """Show the current snapshot at `rate_hz` until `stopping` is set."""
        due_s = time.monotonic()
        while not stopping.wait(max(due_s - time.monotonic(), 0.0)):
            self.show()
            due_s = max(due_s + 1.0 / rate_hz, time.monotonic())

    def _look(self, client: viser.ClientHandle, at: str) -> None:
        """Move the camera of one browser to the whole robot, or close to the skill."""
        position, look_at = map(np.array, _ROBOT_VIEW_M)
        target = self._source.snapshot().target_m
        if at == "skill" and target is not None:
            position, look_at = target + _SKILL_VIEW_M, target + np.array([0.0, 0.0, 0.03])
        with client.atomic():
            client.camera.position, client.camera.look_at = position, look_at

    def close(self) -> None:
        """Shut the page down."""
        with contextlib.redirect_stdout(io.StringIO()):
            self._server.stop()


def _check_free(host: str, port: int) -> None:
    """Refuse a port that is taken; the server would silently take the next one."""
    try:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except (OSError, OverflowError) as error:
        text = getattr(error, "strerror", None) or str(error)
        raise UserError(
            f"cannot listen on {host}, port {port} ({text}): another page may be open there; choose another --port"
        ) from error
