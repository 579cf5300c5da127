"""Message packages of a robot's machine for tests: those installed, or stand-ins built once from tests/interfaces."""

from __future__ import annotations

import ctypes
import fcntl
import hashlib
import importlib.util
import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "tests" / "interfaces"
FOLDER = ROOT / "build" / "test_interfaces"
PACKAGES = ("lbr_fri_idl", "tf2_msgs")


def environment() -> dict[str, str]:
    """What a process needs in its environment to import the packages; empty where all are installed.

    Also makes them importable in this process, once.
    """
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        _build(missing)
    if not FOLDER.exists() or not _built_here():
        return {}
    return _enter()


_entered: dict[str, str] = {}


def _built_here() -> bool:
    return (FOLDER / "stamp").exists()


def _build(names: list[str]) -> None:
    """Run colcon unless what it made last time is of the same sources and the same Python."""
    files = sorted(path for name in names for path in (SOURCES / name).rglob("*") if path.is_file())
    wanted = hashlib.sha256("\0".join([sys.version, *(f"{p}\n{p.read_text()}" for p in files)]).encode()).hexdigest()
    FOLDER.mkdir(parents=True, exist_ok=True)
    stamp = FOLDER / "stamp"
    with open(FOLDER / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if stamp.exists() and stamp.read_text() == wanted:
            return
        stamp.unlink(missing_ok=True)
        command = [sys.executable, "-m", "colcon", "--log-base", str(FOLDER / "log"), "build", "--merge-install"]
        command += ["--build-base", str(FOLDER / "build"), "--install-base", str(FOLDER / "install")]
        command += ["--base-paths", *(str(SOURCES / name) for name in names), "--packages-select", *names]
        command += ["--cmake-args", "-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={sys.executable}"]
        # Otherwise colcon has make wait until the load of the machine falls.
        env = {**os.environ, "MAKEFLAGS": f"-j{len(os.sched_getaffinity(0))}"}
        done = subprocess.run(command, cwd=FOLDER, env=env, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
        stamp.write_text(wanted)


def _enter() -> dict[str, str]:
    """Put the built packages on this process's path and return the lists for others."""
    if not _entered:
        prefix = FOLDER / "install"
        version = f"python{sys.version_info[0]}.{sys.version_info[1]}"
        python = next(path for path in sorted((prefix / "lib").glob(f"{version}/*-packages")))
        for name, entry in (
            ("PYTHONPATH", python),
            ("LD_LIBRARY_PATH", prefix / "lib"),
            ("AMENT_PREFIX_PATH", prefix),
        ):
            before = os.environ.get(name, "")
            _entered[name] = f"{entry}:{before}" if before else str(entry)
        sys.path.append(str(python))
        # The loader reads LD_LIBRARY_PATH at the start of a process only; what is loaded already it finds by its name.
        libraries = list((prefix / "lib").glob("*.so"))
        while libraries:
            waiting = []
            for library in libraries:
                try:
                    ctypes.CDLL(str(library), ctypes.RTLD_GLOBAL)
                except OSError:
                    waiting.append(library)  # it needs one of the others first
            assert len(waiting) < len(libraries), f"cannot load {waiting}"
            libraries = waiting
    return dict(_entered)
