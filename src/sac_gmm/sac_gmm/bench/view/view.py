"""Measure the live page: its cost on top of a run, how soon it opens, and whether it copes with an hour-long run.

    sac-gmm bench view --json benchmarks/results/view/view.json

The run is the simulated robot and its controller in real time, with a skill of 100 Gaussians and one episode after
another. The cost of the page is the processor time of its own process, plus the additional time that the run's
processes use while it is watched. A headless Chromium views it; Chromium's own time does not count, since it may run
elsewhere. The hour is played as fast as possible, with an update of all 100 Gaussians twice a second.
"""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from sac_gmm.core.command_line import help_text
from sac_gmm.core.errors import UserError
from sac_gmm.core.processes import stop_program

RATE_HZ = 10.0
COMPONENTS = 100
_TICK_S = os.sysconf("SC_CLK_TCK")
_STOP_S = 20.0
_PORT = 18_470


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(json: Path | None = None, seconds: float = 20.0, openings: int = 5, hours: float = 1.0) -> int:
        """Measure the live page.

        Args:
            json: Write the numbers to this file.
            seconds: Length of each of the two measurements of the run, without and with the page.
            openings: Number of times the page is opened.
            hours: Length of the run that is played fast.
        """
        from sac_gmm.bench.timing import write_result

        cost = measure_cost(seconds, openings)
        hour = measure_long_run(hours)
        rows = {
            "the page's process (% of one core)": 100 * cost["page_cores"],
            "the page in all, on top of the run (% of one core)": 100 * cost["on_top_cores"],
            "from the command to the page being served (s)": cost["served_after_s"],
            "from the address to the whole page, median (s)": float(np.median(cost["opened_after_s"])),
            "the same, worst (s)": max(cost["opened_after_s"]),
            f"one picture of the scene after {hours:g} h (ms)": hour["show_ms_end"],
            f"memory that {hours:g} h added (MiB)": hour["grown_mib"],
            f"from the address to the whole page after {hours:g} h (s)": hour["opened_after_s"],
        }
        width = max(map(len, rows))
        for name, value in rows.items():
            print(f"{name:<{width}} {value:9.2f}")
        write_result(json, "view", args, {"rate_hz": RATE_HZ, "components": COMPONENTS, "live": cost, "long": hour})
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench view", description=help_text(__doc__))


def measure_cost(seconds: float, openings: int) -> dict[str, Any]:
    """The cost of the page for a run over ROS 2, and how soon it opens.

    Raises:
        UserError: Chromium or ROS 2 is missing, or the run does not start.
    """
    from sac_gmm.launcher.packages import find_package
    from sac_gmm.models import save_model
    from sac_gmm.view.browser import look, open_browser, wait_for_page

    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
    environment.setdefault("ROS_DOMAIN_ID", str(1 + os.getpid() % 50))
    nodes = find_package("sac_gmm_nodes") / "lib" / "sac_gmm_nodes"
    with tempfile.TemporaryDirectory() as folder, contextlib.ExitStack() as running, open_browser() as browser:
        model = Path(folder) / "skill.npz"
        save_model(model, _skill(0.0))

        def start(*command: str) -> subprocess.Popen[bytes]:
            log = running.enter_context((Path(folder) / f"{Path(command[-1]).name}.log").open("wb"))
            process = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
            running.callback(stop_program, process, _STOP_S)
            return process

        command = [sys.executable, "-m", "sac_gmm.cli.main"]
        arguments = [f"model:={model}", "adapt:=false", "lockstep:=false"]
        run = start(*command, "up", "sac_gmm_bringup", "simulation.launch.yaml", *arguments)
        start(str(nodes / "skill_client"), "base", "--episodes", "1000", "--first-seed", "0", "--timeout-s", "60")
        _wait_until_busy(run)
        without = _cores(_family(run.pid), seconds)
        begun_s = time.monotonic()
        page = start(str(nodes / "live_view"), "--ros-args", "-p", f"port:={_PORT}", "-p", f"rate_hz:={RATE_HZ}")
        address = f"http://127.0.0.1:{_PORT}"
        wait_for_page(address, lambda: page.poll() is None)
        served_after_s = time.monotonic() - begun_s
        opened = []
        for _ in range(openings):
            browser.goto("about:blank")
            begun_s = time.monotonic()
            look(browser, address)
            opened.append(round(time.monotonic() - begun_s, 3))
        time.sleep(2.0)  # until the first pictures and curves
        before = _processor_s([page.pid])
        with_page = _cores(_family(run.pid), seconds)
        own = (_processor_s([page.pid]) - before) / seconds
    return {
        "seconds": seconds,
        "run_cores": round(without, 4),
        "run_cores_watched": round(with_page, 4),
        "page_cores": round(own, 4),
        "on_top_cores": round(own + with_page - without, 4),
        "served_after_s": round(served_after_s, 3),
        "opened_after_s": opened,
    }


def measure_long_run(hours: float) -> dict[str, Any]:
    """Show a long run as fast as possible, and open the page at its end."""
    from sac_gmm.view.browser import look, open_browser
    from sac_gmm.view.collector import Collector
    from sac_gmm.view.live_page import LivePage
    from sac_gmm.view.playback import Playback
    from sac_gmm.view.robot import iiwa_urdf
    from sac_gmm.view.snapshot import EpisodeRow, Snapshot, Status

    collector = Collector(base=_skill(0.0), target_m=np.array([0.55, 0.0, 0.3]))
    rng = np.random.default_rng(0)

    class Run:
        """Joints, tip, a picture and a tick per show; two updates per second; an episode every ten seconds."""

        title, urdf, controls = "a long run", iiwa_urdf(), Playback("the run")

        def snapshot(self) -> Snapshot:
            return collector.snapshot()

        def close(self) -> None:
            """Nothing to end."""

    page = LivePage(Run(), port=_PORT)
    shows = round(3600 * hours * RATE_HZ)
    took_ms = np.empty(shows)
    marks_mib = []
    for i in range(shows):
        at_s = i / RATE_HZ
        phase = 2 * np.pi * at_s / 10.0
        collector.change(
            time_s=at_s,
            joints_rad=0.3 * np.sin(phase + np.arange(7)),
            status=Status("active", episode=f"episode {int(at_s / 10)}", speed_m_s=0.1, speed_scale=1.0, version=i),
        )
        collector.tip(np.array([0.55 + 0.1 * np.cos(phase), 0.1 * np.sin(phase), 0.3 + 0.05 * np.cos(3 * phase)]))
        collector.tick(at_s, 2e-4, 1e-3 * rng.random())
        collector.picture("wrist", "wrist camera", rng.integers(0, 255, (64, 64, 3), np.uint8))
        if i % 5 == 0:
            collector.change(current=_skill(0.01 * np.sin(phase)))
        if i % 100 == 99:
            collector.end_episode(bool(rng.random() < 0.5))
            collector.add_episodes(EpisodeRow(i // 100, "train", i // 100, bool(rng.random() < 0.5), 10.0))
            collector.begin_episode()
        begun_s = time.perf_counter()
        page.show()
        took_ms[i] = 1e3 * (time.perf_counter() - begun_s)
        if i in (shows // 10, shows - 1):
            marks_mib.append(_memory_mib())
    stopping = threading.Event()
    showing = threading.Thread(target=page.run, args=(stopping, RATE_HZ))
    showing.start()
    try:
        with open_browser() as browser:
            begun_s = time.monotonic()
            look(browser, page.address)
            opened_after_s = time.monotonic() - begun_s
    finally:
        stopping.set()
        showing.join()
        page.close()
    tenth = max(shows // 10, 1)
    return {
        "hours": hours,
        "shows": shows,
        "episodes": shows // 100,
        "show_ms_begin": round(float(took_ms[:tenth].mean()), 3),
        "show_ms_end": round(float(took_ms[-tenth:].mean()), 3),
        "grown_mib": round(marks_mib[-1] - marks_mib[0], 1),
        "memory_mib": round(marks_mib[-1], 1),
        "opened_after_s": round(opened_after_s, 3),
    }


def _skill(shift_m: float) -> Any:
    """A skill of many Gaussians along a path down to the target."""
    from sac_gmm.models import GaussianMixture, SkillModel

    way = np.linspace(0.0, 1.0, COMPONENTS)
    means = np.zeros((COMPONENTS, 6))
    means[:, 0] = shift_m + 0.05 * np.sin(2 * np.pi * way) * (1 - way)
    means[:, 2] = 0.15 * (1 - way)
    means[:, 5] = -0.05 * (1 - way)
    covariance = np.diag([2e-4] * 3 + [1e-4] * 3)
    covariance[[0, 1, 2], [3, 4, 5]] = covariance[[3, 4, 5], [0, 1, 2]] = -1e-4
    mixture = GaussianMixture(np.full(COMPONENTS, 1 / COMPONENTS), means, np.tile(covariance, (COMPONENTS, 1, 1)))
    return SkillModel("gmm", mixture, np.array([shift_m, 0.0, 0.0]))


# Processes -------------------------------------------------------------------------------------------------------


def _wait_until_busy(run: subprocess.Popen[bytes], timeout_s: float = 90.0) -> None:
    """Wait until all of the run's processes exist and have been working for a while."""
    end_s = time.monotonic() + timeout_s
    while len(_family(run.pid)) < 6:
        if time.monotonic() > end_s or run.poll() is not None:
            raise UserError("the simulation did not start; is install/setup.bash sourced?")
        time.sleep(0.1)
    time.sleep(15.0)  # imports, lifecycle, the first episode


def _family(pid: int) -> list[int]:
    """A process and all its descendants."""
    children: dict[int, list[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError, ValueError):
            children.setdefault(int(_stat(status)[1]), []).append(int(status.parent.name))
    found, new = [pid], [pid]
    while new:
        new = [child for parent in new for child in children.get(parent, [])]
        found += new
    return found


def _cores(pids: list[int], seconds: float) -> float:
    """The number of cores that some processes use, over a while."""
    before = _processor_s(pids)
    time.sleep(seconds)
    return (_processor_s(pids) - before) / seconds


def _processor_s(pids: list[int]) -> float:
    used = 0
    for pid in pids:
        with contextlib.suppress(OSError):
            fields = _stat(Path(f"/proc/{pid}/stat"))
            used += int(fields[11]) + int(fields[12])  # of the process itself, in user and in system mode
    return used / _TICK_S


def _stat(path: Path) -> list[str]:
    """The fields after the process's name, which may contain spaces."""
    return path.read_text().rsplit(")", 1)[1].split()


def _memory_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
