"""Asks the nodes of a running graph for episodes, through the program `skill_client`: the library imports no ROS."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from sac_gmm.core.errors import UserError
from sac_gmm.core.processes import interrupt_with_parent, stop_program
from sac_gmm.launcher.packages import find_package

_STOP_S = 60.0  # time for the client to end: it cancels the episodes first
_LOOK_S = 0.5  # between two checks of the nodes while no episode ends


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
