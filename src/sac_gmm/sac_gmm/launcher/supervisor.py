"""Run the nodes of a launch file until they end, one that is required ends, or a signal asks to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.core.processes import interrupt_with_parent
from sac_gmm.launcher.launch_yaml import Node

POLL_S = 0.05
KILL_AFTER_S = 5.0  # from SIGTERM to SIGKILL, as `ros2 launch` has it
_output = threading.Lock()


def supervise(nodes: list[Node]) -> int:
    """Start all nodes and wait until the last one has ended; none is left behind.

    SIGINT and SIGTERM are passed on as SIGINT, which every node answers with a clean end. A node that has not ended
    after its `sigterm_timeout_s` gets SIGTERM, and SIGKILL five seconds later; a second Ctrl-C cuts both waits short.

    Returns:
        0 when the nodes ended by themselves without an error, or were asked to stop and did; 1 when a required node
        ended with an error, when another one did and no node is left, or when a node had to be killed.
    """
    with tempfile.TemporaryDirectory(prefix="sac-gmm-up-") as folder, _signals_counted() as signals:
        processes = [_Process(node, Path(folder)) for node in nodes]
        try:
            for process in processes:
                process.start()
            failed = _watch(processes, signals)
        finally:
            killed = _stop(processes, signals)
    return 1 if failed or killed else 0


def _watch(processes: list[_Process], signals: list[int]) -> bool:
    """Wait for a reason to stop, and respawn nodes. Returns whether the reason is a failure."""
    failed = False
    while not signals:
        for process in processes:
            code = process.just_ended()
            if code is None:
                continue
            failed |= code != 0 and process.node.respawn_delay_s is None
            if process.node.required:
                _say(f"{process.node.label} is required: stopping all the others")
                return code != 0
        for process in processes:
            process.start_again_if_due()
        if not any(process.alive or process.start_again_at is not None for process in processes):
            return failed
        time.sleep(POLL_S)
    _say("stopping")
    return False


def _stop(processes: list[_Process], signals: list[int]) -> bool:
    """End every process and what it started, the last one first. Returns whether one had to be killed."""
    asked = time.monotonic()
    hurry_from = max(len(signals), 1) + 1
    for process in reversed(processes):
        process.send(signal.SIGINT)
    told_twice: set[_Process] = set()
    killed: set[_Process] = set()
    while any(process.alive for process in processes):
        for process in processes:
            waited_s = float("inf") if len(signals) >= hurry_from else time.monotonic() - asked
            patience_s = process.node.sigterm_timeout_s
            if process.just_ended() is not None or not process.alive:
                continue
            if process not in told_twice and waited_s > patience_s:
                told_twice.add(process)
                _say(f"{process.node.label} has not ended after SIGINT: sending SIGTERM")
                process.send(signal.SIGTERM)
            elif process in told_twice - killed and waited_s > patience_s + KILL_AFTER_S:
                killed.add(process)
                _say(f"{process.node.label} does not end after SIGTERM either: killing it")
                process.send(signal.SIGKILL)
        time.sleep(POLL_S)
    return bool(killed)


@contextlib.contextmanager
def _signals_counted() -> Iterator[list[int]]:
    """Collect SIGINT and SIGTERM in a list instead of being interrupted by them."""
    signals: list[int] = []
    before = {
        number: signal.signal(number, lambda n, _: signals.append(n)) for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield signals
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


class _Process:
    """One node's process: its command, its output, its end."""

    def __init__(self, node: Node, folder: Path) -> None:
        self.node = node
        self.start_again_at: float | None = None
        self._command = [str(node.executable), *node.arguments]
        ros_arguments = list(node.ros_arguments)
        for number, parameters in enumerate(node.parameters):
            path = parameters
            if isinstance(path, dict):
                path = folder / f"{node.label}-{number}.yaml"
                path.write_text(yaml.safe_dump(parameters), encoding="utf-8")
            ros_arguments += ["--params-file", str(path)]
        if ros_arguments:
            self._command += ["--ros-args", *ros_arguments]
        self._popen: subprocess.Popen[str] | None = None
        self._reader: threading.Thread | None = None

    @property
    def alive(self) -> bool:
        """Whether it was started and `just_ended` has not reported its end yet."""
        return self._popen is not None

    def start(self) -> None:
        """Start it, for the first time or again."""
        try:
            self._popen = subprocess.Popen(
                self._command,
                env={**os.environ, "PYTHONUNBUFFERED": "1", **self.node.environment},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
                start_new_session=True,  # Ctrl-C reaches the node once, through us
                preexec_fn=interrupt_with_parent,
            )
        except OSError as error:
            raise UserError(f"cannot start {self.node.label} ({self.node.executable}): {error.strerror}") from error
        _say(f"{self.node.label}: started (pid {self._popen.pid})")
        self._reader = threading.Thread(target=self._pass_on_output, args=(self._popen,), daemon=True)
        self._reader.start()

    def just_ended(self) -> int | None:
        """The exit code, once, after the process has ended; plans the next start if the node respawns."""
        if self._popen is None or self._popen.poll() is None:
            return None
        code = self._popen.returncode
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._popen.pid, signal.SIGKILL)  # helper processes that it left behind
        if self._reader is not None:
            self._reader.join(timeout=1.0)
        self._popen = None
        how = f"killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        if self.node.respawn_delay_s is not None:
            self.start_again_at = time.monotonic() + self.node.respawn_delay_s
        _say(f"{self.node.label}: {how}")
        return code

    def start_again_if_due(self) -> None:
        """Start it when its respawn delay is over."""
        if self.start_again_at is not None and time.monotonic() >= self.start_again_at:
            self.start_again_at = None
            self.start()

    def send(self, number: signal.Signals) -> None:
        """Signal the node alone; it ends its own children."""
        if self._popen is not None:
            self._popen.send_signal(number)

    def _pass_on_output(self, popen: subprocess.Popen[str]) -> None:
        assert popen.stdout is not None
        for line in popen.stdout:
            _write(f"[{self.node.label}] {line.rstrip()}")


def _say(text: str) -> None:
    _write(f"[launch] {text}")


def _write(line: str) -> None:
    with _output, contextlib.suppress(OSError):  # the reader may be gone; the nodes go on
        print(line, flush=True)
