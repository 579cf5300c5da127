"""Starts a graph and asks its nodes for episodes, through programs of their own: the library imports no ROS."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import re
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sac_gmm.core.errors import UserError
from sac_gmm.core.processes import interrupt_with_parent, stop_program
from sac_gmm.launcher.packages import find_package

_STOP_S = 60.0  # time to end: the client cancels its episodes first; the adapter may be learning, and saves itself
_LAST_LINES = 5  # output shown from a node that failed
_LOOK_S = 0.5  # between two checks of the nodes while no episode ends


@contextlib.contextmanager
def started(
    file: str, arguments: Mapping[str, object], log: Path, keep_open: tuple[int, ...] = ()
) -> Iterator[Callable[[], None]]:
    """Start a launch file of ours. Its nodes end with the `with` statement, and when this program is killed.

    Nobody beyond this machine hears them: a robot on the laboratory's network must never receive their messages. This
    program is put into their domain.

    Args:
        file: Name of the launch file.
        arguments: Its arguments.
        log: File to which the nodes' output is appended.
        keep_open: File descriptors that are closed only when the nodes have ended.

    Yields:
        A function that raises a UserError if the nodes have ended.
    """
    os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"
    os.environ.pop("ROS_STATIC_PEERS", None)
    os.environ.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 50))
    command = [sys.executable, "-m", "sac_gmm.cli.main", "up", "sac_gmm_bringup", file]
    command += [f"{name}:={value}" for name, value in arguments.items()]
    with log.open("a", encoding="utf-8") as out:
        before = log.stat().st_size  # size of earlier output
        nodes = subprocess.Popen(
            command,
            stdout=out,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            pass_fds=keep_open,
            preexec_fn=interrupt_with_parent,
        )

    def check() -> None:
        if nodes.poll() is not None:
            said = log.read_bytes()[before:].decode(errors="replace")
            raise UserError(f"the nodes have ended; in {log}:\n{why_ended(said)}")

    try:
        yield check
    finally:
        stop_program(nodes, _STOP_S)


def why_ended(said: str) -> str:
    """The last lines of the node that failed first, and how it ended; of all nodes if none failed."""
    lines = said.splitlines()
    failed = re.search(r"^\[launch\] (\S+): (ended with exit code [1-9]|killed by).*$", said, re.MULTILINE)
    if failed is not None:
        own = (f"[{failed[1]}] ", f"[launch] {failed[1]}: ")
        lines = [line for line in said[: failed.end()].splitlines() if line.startswith(own)]
    return "\n".join(lines[-_LAST_LINES:])


def events(
    mode: str,
    episodes: int,
    first_seed: int,
    films: Path | None = None,
    check: Callable[[], None] = lambda: None,
) -> Iterator[dict[str, Any]]:
    """Run episodes and yield what the client says: `episode`, `missing`, `done`, each under the key `event`.

    Args:
        mode: `base`, `train` or `evaluate`.
        episodes: How many.
        first_seed: Episode i has the seed `first_seed` + i.
        films: Folder for a strip of pictures of each.
        check: Called now and then while waiting; it may raise.

    Raises:
        UserError: The episodes cannot be run, or ended early.
    """
    command = [_client(), mode, "--episodes", str(episodes), "--first-seed", str(first_seed)]
    if films is not None:
        command += ["--films", str(films)]
    else:
        command += ["--timeout-s", "inf"]
    client = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
        errors="replace",
        start_new_session=True,
        preexec_fn=interrupt_with_parent,
    )
    said: list[str] = []
    reader = threading.Thread(target=lambda: said.extend(client.stderr or ()), daemon=True)
    reader.start()
    try:
        for line in _lines(client, check):
            yield json.loads(line)
        if client.wait() != 0:
            reader.join()
            check()
            raise UserError(_last_words(said))
    finally:
        stop_program(client, _STOP_S)


def stop_episodes() -> int:
    """Stop the episodes that are running; return how many requests that ended.

    Raises:
        UserError: There is no episode manager.
    """
    done = subprocess.run([_client(), "stop"], capture_output=True, text=True, errors="replace", check=False)
    if done.returncode != 0:
        raise UserError(_last_words(done.stderr.splitlines()))
    return int(json.loads(done.stdout.splitlines()[-1])["requests"])


def _client() -> str:
    return str(find_package("sac_gmm_nodes") / "lib" / "sac_gmm_nodes" / "skill_client")


def _last_words(lines: list[str]) -> str:
    own = [line.strip().removeprefix("skill_client: ") for line in lines if line.startswith("skill_client: ")]
    other = [line.strip() for line in lines if line.strip()]
    return (own or other or ["the episodes ended early: see the terminal of the nodes"])[-1]


def _lines(client: subprocess.Popen[str], check: Callable[[], None]) -> Iterator[str]:
    """Yield the output of a process line by line; while waiting, call `check`."""
    said: queue.Queue[str | None] = queue.Queue()

    def listen() -> None:
        assert client.stdout is not None
        for line in client.stdout:
            said.put(line)
        said.put(None)

    threading.Thread(target=listen, daemon=True).start()
    while True:
        try:
            line = said.get(timeout=_LOOK_S)
        except queue.Empty:
            check()
            continue
        if line is None:
            return
        yield line
