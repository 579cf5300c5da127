"""Check this machine, the shell, ROS, DDS discovery, cameras, model files and real-time limits; suggest remedies.

    sac-gmm doctor
    sac-gmm doctor --json /tmp/doctor.json

Exits with 1 only if something essential is broken. Problems that affect only a robot or a camera are warnings.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Literal

import tyro

from sac_gmm.core.command_line import help_text
from sac_gmm.core.errors import UserError
from sac_gmm.core.processes import stop_program
from sac_gmm.core.ros_shell import foreign_packages, objections, telling_line

PACKAGES = ("numpy", "scipy", "torch", "numba", "pybullet", "pin", "gymnasium", "rosbags", "tyro")
_GIB = 2**30
_MIN_CORES, _MIN_MEMORY_GIB, _MIN_DISK_GIB, _MIN_SHARED_GIB = 2, 4.0, 2.0, 0.06
_MIN_RECEIVE_BYTES = 2**21  # socket buffer: two pictures of 640 x 480
_SLOW_S = 0.05
_PROBE_S = 30.0
_MODULES = {"pin": "pinocchio"}  # packages imported under another name
_WHICH_ROS = (
    "import rclpy, rclpy.utilities as u; rclpy.init(); print(rclpy.__file__, u.get_rmw_implementation_identifier())"
)
_FAST_PICTURES = "import sys, pybullet; sys.exit(not pybullet.isNumpyEnabled())"
_REALTIME = "/etc/security/limits.conf"

Status = Literal["ok", "warn", "fail"]


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        subject: What was checked.
        status: `ok`; `warn` if only some uses need it; `fail` if everything needs it.
        found: The result.
        remedy: What to do; empty if all is well.
    """

    subject: str
    status: Status
    found: str
    remedy: str = ""


def main(args: list[str]) -> int:
    """Check the machine."""
    return tyro.cli(doctor, args=args, prog="sac-gmm doctor", description=help_text(__doc__))


def doctor(json: Path | None = None, camera: int | None = None) -> int:
    """Check the machine.

    Args:
        json: Also write the findings to this file.
        camera: Take a picture with this camera: N of /dev/videoN.

    Returns:
        0; 1 if something essential is broken.
    """
    from sac_gmm.core.files import write_json

    if camera is not None and camera < 0:  # OpenCV would end the process
        raise UserError(f"--camera {camera}: expected the number of a /dev/video, 0 or more")
    findings = []
    for finding in examine(camera):
        findings.append(finding)
        print(f"{finding.status:<5} {finding.subject:<16} {finding.found}", flush=True)
        if finding.remedy:
            print(f"{'':<22} -> {finding.remedy}", flush=True)
    broken = [finding.subject for finding in findings if finding.status == "fail"]
    warned = sum(finding.status == "warn" for finding in findings)
    print(f"broken: {', '.join(broken)}" if broken else f"ready to run; {warned} warning(s)")
    if json is not None:
        write_json(json, {"ok": not broken, "findings": [asdict(finding) for finding in findings]})
    return 1 if broken else 0


def examine(camera: int | None = None) -> Iterator[Finding]:
    """Run all checks in order; an unexpected exception in a check is a finding too."""
    checks: list[tuple[str, Callable[[], Iterator[Finding]]]] = [
        ("machine", machine),
        ("python", python),
        ("ros settings", shell),
        ("workspace", workspace),
        ("dds", discovery),
        ("camera", lambda: cameras(camera)),
        ("models", model_files),
        ("real time", real_time),
    ]
    for subject, check in checks:
        try:
            yield from check()
        except Exception as error:
            yield Finding(subject, "warn", f"could not be checked: {type(error).__name__}: {error}")


def machine() -> Iterator[Finding]:
    """CPU, memory, disk, shared memory."""
    cores = len(os.sched_getaffinity(0))
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB
    enough = cores >= _MIN_CORES and memory_gib >= _MIN_MEMORY_GIB
    yield Finding(
        "machine",
        "ok" if enough else "warn",
        f"{platform.system()} {platform.machine()}, {cores} cores, {memory_gib:.1f} GiB of memory",
        "" if enough else f"{_MIN_CORES} cores and {_MIN_MEMORY_GIB:g} GiB are needed for nodes and learner together",
    )
    for subject, folder, wanted_gib, remedy in (
        ("disk", Path.cwd(), _MIN_DISK_GIB, "free some space: runs and recordings grow"),
        (
            "shared memory",
            Path("/dev/shm"),
            _MIN_SHARED_GIB,
            "DDS hands pictures over in it: --shm-size=1g or ipc: host",
        ),
    ):
        free_gib = shutil.disk_usage(folder).free / _GIB
        enough = free_gib >= wanted_gib
        yield Finding(
            subject, "ok" if enough else "warn", f"{free_gib:.1f} GiB free in {folder}", "" if enough else remedy
        )


def python() -> Iterator[Finding]:
    """The interpreter and the locked packages."""
    known = (3, 11) <= sys.version_info[:2] <= (3, 13)
    yield Finding(
        "python",
        "ok" if known else "fail",
        platform.python_version(),
        "" if known else "take 3.11, 3.12 or 3.13: `make clean ALL=1`, then `make setup PYTHON=/path/to/python3.12`",
    )
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            missing.append(name)
    yield Finding(
        "packages",
        "fail" if missing else "ok",
        f"missing: {', '.join(missing)}" if missing else ", ".join(found),
        "run `make setup`" if missing else "",
    )
    for objection in foreign_packages([_MODULES.get(name, name) for name in PACKAGES], os.environ):
        yield Finding("packages", "fail", objection.found, objection.remedy)
    command = [sys.executable, "-c", _FAST_PICTURES]
    if "pybullet" in missing:
        return
    done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=60, check=False)
    if "Error" in done.stderr:
        said = f"cannot be imported: {telling_line(done.stderr)}"
        yield Finding("pybullet", "fail", said, "see packages above; else `make clean ALL=1 setup`")
    elif done.returncode:
        said = "compiled without NumPy, its camera pictures are slow"
        yield Finding("pybullet", "warn", said, "run `make clean ALL=1 setup`")


def shell() -> Iterator[Finding]:
    """Variables of this shell that stop nodes, or keep them from finding each other."""
    found = objections(os.environ)
    for objection in found:
        yield Finding("ros settings", "fail" if objection.fatal else "warn", objection.found, objection.remedy)
    if not found:
        yield Finding("ros settings", "ok", "nothing in this shell keeps nodes from running")


def workspace() -> Iterator[Finding]:
    """ROS 2 and this project's packages."""
    from sac_gmm.launcher.packages import find_package

    done = subprocess.run(
        [sys.executable, "-c", _WHICH_ROS], capture_output=True, text=True, errors="replace", timeout=60, check=False
    )
    if done.returncode != 0:
        said = telling_line(done.stderr) or f"rclpy ended with {done.returncode} and said nothing"
        yield Finding("ros", "fail", said, _mend_first() or "run `source install/setup.bash` first")
        return
    place, middleware = done.stdout.split()[:2]
    origin = (
        f"from apt ({os.environ.get('ROS_DISTRO', 'which one, it does not say')})"
        if place.startswith("/opt/ros")
        else "Jazzy from wheels"
    )
    surroundings = {
        name: os.environ.get(name, default)
        for name, default in (("ROS_DOMAIN_ID", "0"), ("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET"))
    }
    settings = ", ".join(f"{name}={value}" for name, value in surroundings.items())
    yield Finding("ros", "ok", f"{origin}, {middleware}, {settings}")
    try:
        folders = {find_package(name) for name in ("sac_gmm_interfaces", "sac_gmm_nodes", "sac_gmm_bringup")}
        yield Finding("workspace", "ok", f"built in {min(folders).parent}")
    except UserError as error:
        yield Finding(
            "workspace", "fail", str(error).split(":")[0], "run `make setup`, then `source install/setup.bash`"
        )


def discovery() -> Iterator[Finding]:
    """Whether two processes find each other and exchange messages, in the domain of this shell."""
    from sac_gmm.launcher.packages import find_package

    try:
        program = find_package("sac_gmm_nodes") / "lib" / "sac_gmm_nodes" / "discovery_probe"
    except UserError:
        yield Finding("dds", "fail", "not checked without the workspace", "run `source install/setup.bash` first")
        return
    name = f"doctor_{os.getpid()}"  # a unique name
    command = [str(program), "--ros-args", "-r", f"__node:={name}"]
    quiet, said = subprocess.DEVNULL, ""
    answering = subprocess.Popen([*command, "-p", "role:=answer"], stdout=quiet, stderr=quiet, start_new_session=True)
    try:
        asking = subprocess.run(
            [*command, "-p", "role:=ask"],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=_PROBE_S,
            check=False,
        )
        said = telling_line(asking.stderr)
        measured = _measured(asking.stdout)
    except subprocess.TimeoutExpired:
        measured = {}
    finally:
        stop_program(answering, 5.0)
    yield judge_discovery(measured, said, _mend_first())
    receive = Path("/proc/sys/net/core/rmem_max")
    if receive.is_file():
        size = int(receive.read_text())
        enough = size >= _MIN_RECEIVE_BYTES
        yield Finding(
            "network buffers",
            "ok" if enough else "warn",
            f"net.core.rmem_max is {size} bytes",
            ""
            if enough
            else f"for pictures from another machine: `sudo sysctl net.core.rmem_max={_MIN_RECEIVE_BYTES}`",
        )


def _measured(output: str) -> dict:
    """The answer in the last line of the probe's output; an empty dict if there is none."""
    try:
        answer = json.loads(output.splitlines()[-1])
    except (IndexError, ValueError):
        return {}
    return answer if isinstance(answer, dict) else {}


def _mend_first() -> str:
    """How to fix the shell's settings before looking for anything else; empty if they are good."""
    found = [*objections(os.environ), *foreign_packages([_MODULES.get(name, name) for name in PACKAGES], os.environ)]
    return "; ".join(dict.fromkeys(objection.remedy for objection in found))


def judge_discovery(measured: dict, said: str = "", mend_first: str = "") -> Finding:
    """Interpret the answer of `discovery_probe`; an empty dict means that there was none.

    Args:
        measured: Its answer.
        said: The most informative line of its error output.
        mend_first: How to fix the shell's settings; empty if they are good.
    """
    found_s = measured.get("found_s")
    if found_s is None:
        found = "two processes on this machine do not find each other"
        return Finding(
            "dds",
            "fail",
            f"{found}: {said}" if said else found,
            mend_first
            or "a firewall or a VPN may stop multicast: try `export ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST`, another "
            "ROS_DOMAIN_ID, and look at `ip link show lo`",
        )
    small, large = measured["small"], measured["large"]
    text = f"found after {found_s:.1f} s; {small['came_back']} of {small['sent']} small messages came back"
    if small["median_s"] is not None:
        text += f" in {1e3 * small['median_s']:.1f} ms"
    text += f", {large['came_back']} of {large['sent']} pictures"
    if large["median_s"] is not None:
        text += f" in {1e3 * large['median_s']:.1f} ms"
    if small["came_back"] < small["sent"]:
        return Finding("dds", "fail", text, "messages are lost on this machine: look at its load and at ROS_DOMAIN_ID")
    if large["came_back"] < large["sent"]:
        return Finding("dds", "warn", text, "large messages are lost: give /dev/shm more room, and see network buffers")
    if small["median_s"] > _SLOW_S:
        return Finding("dds", "warn", text, "slow: the machine is busy, and a control loop would suffer")
    return Finding("dds", "ok", text)


def cameras(number: int | None) -> Iterator[Finding]:
    """The cameras that this user may open; takes a picture on request."""
    devices = sorted(Path("/dev").glob("video*"))
    closed = [str(device) for device in devices if not os.access(device, os.R_OK | os.W_OK)]
    if closed:
        remedy = "`sudo usermod -aG video $USER`, then log in again"
        yield Finding("camera", "warn", f"{', '.join(closed)} may not be opened by this user", remedy)
    elif devices:
        yield Finding("camera", "ok", f"{', '.join(map(str, devices))}; `--camera N` takes a picture")
    else:
        yield Finding(
            "camera", "warn", "there is none", "nothing in simulation; a robot needs the one that sees the marker"
        )
    if number is None:
        return
    import cv2

    capture = cv2.VideoCapture(number)
    try:
        worked, picture = capture.read()
    finally:
        capture.release()
    if worked:
        height, width = picture.shape[:2]
        yield Finding(
            "picture", "ok", f"camera {number}: {width} x {height} pixels, brightness {picture.mean():.0f} of 255"
        )
    else:
        yield Finding(
            "picture", "warn", f"camera {number} gives no picture", "close what else uses it; try another number"
        )


def model_files() -> Iterator[Finding]:
    """Files that are downloaded separately from the packages."""
    from sac_gmm.perception.hands.model_files import find_model

    try:
        yield Finding("hand model", "ok", str(find_model()))
    except UserError as error:
        what, _, remedy = str(error).rpartition(": ")
        yield Finding("hand model", "warn", what, f"{remedy}; only demonstrations by hand need it")


def real_time() -> Iterator[Finding]:
    """Real-time limits for the control loop on a robot."""
    kernel = Path("/sys/kernel/realtime")
    is_real_time = kernel.is_file() and kernel.read_text().strip() == "1"
    yield Finding(
        "kernel",
        "ok" if is_real_time else "warn",
        f"{platform.release()}, {'PREEMPT_RT' if is_real_time else 'without real time'}",
        "" if is_real_time else "for a robot: Real-time Ubuntu or a low-latency kernel; nothing in simulation",
    )
    priority, _ = resource.getrlimit(resource.RLIMIT_RTPRIO)
    allowed = priority == resource.RLIM_INFINITY or priority > 0 or os.geteuid() == 0
    yield Finding(
        "priority",
        "ok" if allowed else "warn",
        "root may take any real-time priority" if os.geteuid() == 0 else f"real-time priority up to {_limit(priority)}",
        "" if allowed else f"for a robot: `@realtime - rtprio 99` in {_REALTIME}, and this user in that group",
    )
    memory, _ = resource.getrlimit(resource.RLIMIT_MEMLOCK)
    unlimited = memory == resource.RLIM_INFINITY
    yield Finding(
        "locked memory",
        "ok" if unlimited else "warn",
        f"{_limit(memory)} bytes" if not unlimited else "unlimited",
        "" if unlimited else f"for a robot: `@realtime - memlock unlimited` in {_REALTIME}",
    )
    governor = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    with contextlib.suppress(OSError):
        chosen = governor.read_text().strip()
        fast = chosen == "performance"
        yield Finding(
            "processor clock",
            "ok" if fast else "warn",
            f"governor {chosen}",
            "" if fast else "for a robot: `sudo cpupower frequency-set -g performance`",
        )


def _limit(value: int) -> str:
    return "any" if value == resource.RLIM_INFINITY else str(value)
