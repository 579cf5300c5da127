"""Create .venv from the lock, build the ROS 2 packages, and leave `install/setup.bash` ready to be sourced.

Two kinds of machine give the same result:

* ROS 2 Jazzy is sourced: .venv uses the system's packages, and the lock is installed without its `ros-*` wheels;
* no ROS 2: the whole lock is installed, including real ROS 2 Jazzy from wheels, and two paths baked into the wheels'
  CMake files are replaced with those of this machine.

Each step leaves a stamp (a hash of all its inputs) and is skipped while that hash is unchanged, so that every verb of
the Makefile can call the set-up first. Standard library only; runs before anything is installed.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import time
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
LOCK = ROOT / "requirements.txt"
INSTALL_STAMP = VENV / "setup-stamp"
BUILD_STAMP = ROOT / "install" / "setup-stamp"
FREE_DISK_GB = 6.0  # with torch's CPU build the environment takes 3.3 GB, and pip unpacks its downloads beside it
FREE_DISK_GPU_GB = 14.0  # with torch's GPU libraries
TORCH_CPU_INDEX = "https://download.pytorch.org/whl/cpu"  # PyTorch's own; elsewhere pip finds the build for GPUs
REACH_TIMEOUT_S = 5.0
CMAKE_MINIMUM = (3, 20)
PYBULLET_WHEEL = (3, 11)  # the only Python that PyBullet has a wheel for
PYBULLET_TIME = "four minutes on two cores, ten on a busy machine"
PYBULLET_CFLAGS = "-g0 -Wno-incompatible-pointer-types"  # for NumPy 2's arrays, which GCC 14 would reject
IMPORT_ALL = """
import importlib, pkgutil, sac_gmm, sac_gmm_nodes
for package in (sac_gmm, sac_gmm_nodes):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
"""


class SetupError(Exception):
    """What is missing, and how to get it."""


def main() -> int:
    """Bring the workspace up to date and return the exit code."""
    try:
        with_ros = sourced_jazzy()
        lock_the_workspace()
        check_environment(with_ros)
        install_wanted = digest(LOCK.read_text(), str(with_ros), sys.version, str(ROOT))
        if read(INSTALL_STAMP) != install_wanted:
            install(with_ros)
            INSTALL_STAMP.write_text(install_wanted)
        build_wanted = digest(install_wanted, environment_script(with_ros), *colcon_command(), *build_inputs())
        if read(BUILD_STAMP) != build_wanted:
            build(with_ros)
            BUILD_STAMP.write_text(build_wanted)
            say("ready. In your shell:  source install/setup.bash")
    except SetupError as error:
        print(f"make setup: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        command = " ".join(map(str, error.cmd[:4]))
        print(f"make setup: `{command} …` failed ({error.returncode}); its last lines above say why", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nmake setup: stopped; the next `make setup` continues from here", file=sys.stderr)
        return 130
    return 0


def say(text: str) -> None:
    """Report the progress of the set-up."""
    print(f"[setup] {text}", flush=True)


# ---------------------------------------------------------------------------------------------- what must be there


def sourced_jazzy() -> bool:
    """Whether this shell has its own ROS 2 Jazzy (from apt, or built from source).

    Raises:
        SetupError: Another ROS distribution is sourced, or Jazzy is but its Python cannot import rclpy.
    """
    distro = os.environ.get("ROS_DISTRO")
    if not distro:
        return False
    if distro != "jazzy":
        raise SetupError(
            f"this shell has ROS '{distro}' sourced, and the packages here are for ROS 2 Jazzy.\n"
            "  Source /opt/ros/jazzy/setup.bash instead, or open a shell without ROS (Jazzy then comes from wheels)."
        )
    if subprocess.run(["python3", "-c", "import rclpy"], capture_output=True, check=False).returncode != 0:
        raise SetupError(
            "ROS_DISTRO is jazzy but `python3 -c 'import rclpy'` fails in this shell.\n"
            "  Run `source /opt/ros/jazzy/setup.bash`, or `unset ROS_DISTRO` to take Jazzy from wheels."
        )
    return True


def lock_the_workspace() -> None:
    """Wait until no other set-up is running on this checkout; the system releases the lock when this process ends."""
    folder = os.open(ROOT, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        say("another set-up is running here; waiting for it")
        fcntl.flock(folder, fcntl.LOCK_EX)


def check_environment(with_ros: bool) -> None:
    """Reject an environment that this machine or this mode cannot use.

    Raises:
        SetupError: .venv was made for the other kind of machine, or for another Python than the requested one.
    """
    config = read(VENV / "pyvenv.cfg")
    if not config:
        return
    sees_system = "include-system-site-packages = true" in config
    if sees_system != with_ros:
        made, hint = "without a sourced ROS 2, and this shell has one", "Open a shell without it"
        if sees_system:
            made, hint = "with a sourced ROS 2, and this shell has none", "Run `source /opt/ros/jazzy/setup.bash`"
        raise SetupError(f".venv was made {made}.\n  {hint}, or run `make clean ALL=1 setup` to start over.")
    version = "{}.{}".format(*sys.version_info)
    if f"version = {version}." not in config:
        raise SetupError(f".venv uses another Python than {version}.\n  Run `make clean ALL=1 setup` with that one.")


def check_tools() -> None:
    """Look for everything that the set-up cannot install itself, and list all missing items at once.

    Raises:
        SetupError: Something is missing; one line per item says how to get it.
    """
    missing = []
    if not shutil.which("g++") and not shutil.which("clang++"):
        missing.append("a C++ compiler:     sudo apt install build-essential")
    if not shutil.which("make"):
        missing.append("make:               sudo apt install build-essential")
    if not shutil.which("cmake"):
        missing.append("CMake:              sudo apt install cmake")
    elif cmake_version() < CMAKE_MINIMUM:
        wanted, found = (".".join(map(str, v)) for v in (CMAKE_MINIMUM, cmake_version()))
        missing.append(f"CMake {wanted} or newer (found {found}):  take it from your system's backports")
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        missing.append("Python's headers:   sudo apt install python3-dev")
    if not (VENV / "bin" / "python").exists():
        try_venv = [sys.executable, "-I", "-c", "import venv, ensurepip"]
        if subprocess.run(try_venv, capture_output=True, check=False).returncode != 0:
            missing.append("Python's venv:      sudo apt install python3-venv")
        free_gb = shutil.disk_usage(ROOT).free / 1e9
        if free_gb < FREE_DISK_GB:
            missing.append(f"disk space:         {FREE_DISK_GB:.0f} GB are needed in {ROOT}, {free_gb:.1f} GB are free")
    if missing:
        raise SetupError("this machine lacks\n  " + "\n  ".join(missing) + "\n  Then run `make setup` again.")


def cmake_version() -> tuple[int, ...]:
    """Version of the cmake on PATH."""
    text = subprocess.run(["cmake", "--version"], capture_output=True, text=True, errors="replace", check=True).stdout
    return tuple(int(part) for part in text.split()[2].split("-")[0].split(".")[:2])


# ----------------------------------------------------------------------------------------------------------- install


def install(with_ros: bool) -> None:
    """Create .venv and install the lock into it. If interrupted, the next call continues."""
    check_tools()
    start = time.monotonic()
    if moved(VENV):
        say(".venv was made for another folder; making it again")
        shutil.rmtree(VENV)
    if not (VENV / "bin" / "pip").exists():
        say(f"making .venv with Python {sys.version.split()[0]}")
        system = ["--system-site-packages"] if with_ros else []
        subprocess.run([sys.executable, "-m", "venv", *system, str(VENV)], check=True)
    (VENV / "COLCON_IGNORE").touch()  # the wheels contain package.xml files, which a plain `colcon build` must not see
    requirements = LOCK
    if with_ros:
        requirements = VENV / "requirements-without-ros.txt"
        requirements.write_text("".join(line for line in LOCK.open() if not line.startswith("ros-")))
    count = sum(1 for line in requirements.open() if "==" in line)
    source = "as sourced" if with_ros else "from wheels"
    say(f"installing {count} packages, ROS 2 Jazzy {source}; a few minutes the first time")
    install_pybullet()
    # Compiling everything installed takes longer than installing it; `build` compiles what is used.
    pip_install("--no-compile", "--requirement", str(requirements), *torch_index())
    if not with_ros:
        mend_baked_paths(VENV)
    prepare_hand_model()
    say(f"installed in {time.monotonic() - start:.0f} s")


def torch_index() -> list[str]:
    """Options for pip to find torch: the build without GPU libraries, unless GPU=1 asks for the other."""
    url = os.environ.get("TORCH_INDEX_URL", "")
    if url:
        return ["--extra-index-url", url]
    if os.environ.get("GPU") != "1":
        if reachable(f"{TORCH_CPU_INDEX}/torch/"):
            return ["--extra-index-url", TORCH_CPU_INDEX]
        say(
            f"{TORCH_CPU_INDEX} cannot be reached, so pip takes whichever torch it finds: it may be the one for GPUs, "
            "2.5 GB more to download. To name another index: make setup TORCH_INDEX_URL=URL"
        )
    free_gb = shutil.disk_usage(ROOT).free / 1e9
    if free_gb < FREE_DISK_GPU_GB:
        say(f"{free_gb:.1f} GB are free, and torch with its GPU libraries needs {FREE_DISK_GPU_GB:.0f}")
    return []


def reachable(url: str) -> bool:
    """Whether a web server answers under this address."""
    try:
        with urllib.request.urlopen(urllib.request.Request(url, method="HEAD"), timeout=REACH_TIMEOUT_S):
            return True
    except (OSError, ValueError):
        return False


def pip_install(*arguments: str, cflags: str = "") -> None:
    """Run `pip install` in .venv with the options in PIP_ARGS; compilations use `cflags` too."""
    environment = pip_environment()
    if cflags:
        environment["CFLAGS"] = f"{environment.get('CFLAGS', '')} {cflags}".strip()
    extra = os.environ.get("PIP_ARGS", "").split()
    command = [str(VENV / "bin" / "python"), "-m", "pip", "install", *arguments, *extra]
    # pip reports each of two hundred packages that are already installed; the count above is enough
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True, errors="replace") as pip:
        assert pip.stdout is not None
        for line in pip.stdout:
            if not line.startswith(("Requirement already satisfied", "Looking in")):
                print(f"  {line}", end="", flush=True)
    if pip.returncode:
        raise subprocess.CalledProcessError(pip.returncode, command)


def install_pybullet() -> None:
    """If PyBullet has no wheel, compile it with NumPy available.

    pip alone would compile it in isolation from all other packages. It would then lack NumPy support and return each
    camera picture as a tuple of numbers, slowly.
    """
    if sys.version_info[:2] == PYBULLET_WHEEL:
        return
    # A wheel in pip's cache from an earlier set-up may lack NumPy support: then compile it once more.
    for cache in ((), ("--no-cache-dir", "--force-reinstall")):
        if knows_numpy():
            return
        say(f"PyBullet has no wheel for Python {{}}.{{}} and is compiled: {PYBULLET_TIME}".format(*sys.version_info))
        pip_install(*pinned("numpy", "setuptools"))
        pip_install(*pinned("pybullet"), "--no-deps", "--no-build-isolation", *cache, cflags=PYBULLET_CFLAGS)


def knows_numpy() -> bool:
    """Whether the PyBullet in .venv returns pictures as arrays."""
    code = "import sys, pybullet; sys.exit(not pybullet.isNumpyEnabled())"
    command = [str(VENV / "bin" / "python"), "-c", code]
    return subprocess.run(command, env=pip_environment(), capture_output=True, check=False).returncode == 0


def pinned(*names: str) -> list[str]:
    """The lock's lines for these packages."""
    return [line for line in LOCK.read_text().splitlines() if line.split("==")[0] in names]


def prepare_hand_model() -> None:
    """Put the hand-tracking model into .venv; if that fails, everything else works, and a message says what to do."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT / "src" / "sac_gmm")}
    environment.pop("PYTHONHOME", None)
    subprocess.run(
        [VENV / "bin" / "python", "-m", "sac_gmm.perception.hands.model_files"], env=environment, check=False
    )


def moved(venv: Path) -> bool:
    """Whether `venv` is in another folder than it was made for; its scripts would then run that folder's Python."""
    command = re.search(r"^command = .* -m venv (?:--\S+ )*(.+)$", read(venv / "pyvenv.cfg"), flags=re.MULTILINE)
    return command is not None and Path(command[1]) != venv


def pip_environment() -> dict[str, str]:
    """The caller's environment minus variables that would lead pip to another Python, or stop Python compiling."""
    without = ("PYTHONPATH", "PYTHONHOME", "PYTHONDONTWRITEBYTECODE", "PIP_ARGS")
    return {k: v for k, v in os.environ.items() if k not in without}


def mend_baked_paths(venv: Path) -> int:
    """Replace the include folders of the machine that built the ROS wheels with those of this machine.

    The wheels' CMake files name `/opt/python/cp3XY-cp3XY/include/python3.Y` and numpy's include folder under it, and
    CMake refuses a target whose include folders do not exist.

    Returns:
        Number of files changed.
    """
    site_packages = venv / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    python_include = sysconfig.get_path("include")
    changed = 0
    for folder in (venv / "share", venv / "lib" / "cmake"):
        for path in sorted(folder.rglob("*.cmake")):
            text = path.read_text()
            mended = re.sub(r"/opt/python/[^;\"]*/include/python3\.\d+", lambda _: python_include, text)
            mended = re.sub(
                r"/opt/python/[^;\"]*/site-packages/(numpy/_?core/include)", lambda m: str(site_packages / m[1]), mended
            )
            if mended != text:
                path.write_text(mended)
                changed += 1
    return changed


# ------------------------------------------------------------------------------------------------------------- build


def build_inputs() -> list[str]:
    """Everything that the built packages depend on.

    Python sources, launch and configuration files are linked, not copied: for these only the names count.
    """
    patterns = ["package.xml", "setup.py", "setup.cfg", "CMakeLists.txt", "resource/*", "msg/*", "srv/*", "action/*"]
    made_from = [ROOT / "colcon.meta", *sorted(path for p in patterns for path in (ROOT / "src").glob(f"*/{p}"))]
    linked = sorted(path for folder in ("launch", "config") for path in (ROOT / folder).rglob("*") if path.is_file())
    return [*(f"{path}\n{path.read_text()}" for path in made_from), *map(str, linked)]


def colcon_command() -> list[str]:
    """The build command. Options common to all machines are in colcon.meta, where a plain colcon finds them."""
    python = VENV / "bin" / "python"
    build = [str(python), "-m", "colcon", "build", "--base-paths", "src", "--symlink-install"]
    return [*build, "--cmake-args", f"-DPython3_EXECUTABLE={python}"]


def build(with_ros: bool) -> None:
    """Run colcon, which creates `install/`."""
    check_tools()
    start = time.monotonic()
    BUILD_STAMP.unlink(missing_ok=True)
    if built_elsewhere(ROOT / "build"):
        say("build/ was made for another folder; building again")
        for folder in ("build", "install"):
            shutil.rmtree(ROOT / folder, ignore_errors=True)
    write_environment_scripts(with_ros)
    say("building the ROS 2 packages with colcon")
    subprocess.run(colcon_command(), cwd=ROOT, env=build_environment(with_ros), check=True)
    # Compile everything that is imported, including the kernels, and keep the result beside the source. Otherwise a
    # node's first start would wait for it, or every start if Python may not write compiled files, as in many
    # containers.
    compiled = f"source install/setup.bash && python -c '{IMPORT_ALL}'"
    subprocess.run(["bash", "-c", compiled], cwd=ROOT, env=build_environment(with_ros), check=True)
    say(f"built in {time.monotonic() - start:.0f} s")


def environment_script(with_ros: bool) -> str:
    """The shell lines that put .venv below the ROS 2 packages; sourcing them twice has no further effect."""
    lines = [
        "# Sourced by install/setup.bash: the Python environment below the ROS 2 packages. Made by `make setup`.",
        "_sac_gmm_first() {  # put $2 first in the list named $1, once",
        '  eval "_sac_gmm_list=\\"\\${$1:-}\\""',
        '  case ":$_sac_gmm_list:" in',
        '    *":$2:"*) ;;',
        '    *) export "$1=$2${_sac_gmm_list:+:$_sac_gmm_list}" ;;',
        "  esac",
        "}",
        f'_sac_gmm_first PATH "{VENV}/bin"',
    ]
    if not with_ros:
        lines += [f'_sac_gmm_first LD_LIBRARY_PATH "{folder}"' for folder in reversed(wheel_libraries())]
        lines += [f'_sac_gmm_first {name} "{VENV}"' for name in ("AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH")]
        lines += ["export _ROS_WHEELS_BOOTSTRAP_COMPLETE=1  # the wheels' start-up hook need not start Python twice"]
    lines += ["unset -f _sac_gmm_first", "unset _sac_gmm_list", ""]
    return "\n".join(lines)


def wheel_libraries() -> list[Path]:
    """Folders that hold the shared libraries of the ROS wheels."""
    return [VENV / "lib", *sorted((VENV / "lib").glob("python3*/site-packages/ros_*.libs"))]


def write_environment_scripts(with_ros: bool) -> None:
    """Give .venv the scripts that colcon's install/setup.bash sources first, and a `sac-gmm` that works unsourced."""
    for shell in ("sh", "bash", "zsh"):
        (VENV / f"local_setup.{shell}").write_text(environment_script(with_ros))
    command = VENV / "bin" / "sac-gmm"
    command.write_text(
        "#!/usr/bin/env bash\n"
        "# Runs sac-gmm with the environment of this workspace, sourced or not. Made by `make setup`.\n"
        f'source "{ROOT}/install/setup.bash"\n'
        f'exec "{ROOT}/install/sac_gmm/bin/sac-gmm" "$@"\n'
    )
    command.chmod(0o755)


def built_elsewhere(folder: Path) -> bool:
    """Whether CMake's caches below `folder` belong to another source folder; CMake rejects such caches."""
    caches = [cache.read_text(errors="replace") for cache in folder.glob("*/CMakeCache.txt")]
    return any(f"CMAKE_HOME_DIRECTORY:INTERNAL={ROOT}/" not in cache for cache in caches)


def build_environment(with_ros: bool) -> dict[str, str]:
    """The environment for colcon: what lies below this workspace, and nothing of the workspace itself.

    A shell that has sourced `install/setup.bash` may run `make` too; the workspace must not become its own underlay.
    """
    names = ("PATH", "PYTHONPATH", "AMENT_PREFIX_PATH", "CMAKE_PREFIX_PATH", "COLCON_PREFIX_PATH", "LD_LIBRARY_PATH")
    lists = {
        name: [entry for entry in os.environ.get(name, "").split(":") if entry and not entry.startswith(f"{ROOT}/")]
        for name in names
    }
    environment = pip_environment() | {"MAKEFLAGS": make_flags(os.environ.get("MAKEFLAGS", ""))}
    if not with_ros:  # only the wheels may be found, whatever else the shell has
        lists["PYTHONPATH"] = lists["COLCON_PREFIX_PATH"] = []
        lists["AMENT_PREFIX_PATH"] = lists["CMAKE_PREFIX_PATH"] = [str(VENV)]
        lists["LD_LIBRARY_PATH"] = [*map(str, wheel_libraries()), *lists["LD_LIBRARY_PATH"]]
        environment["_ROS_WHEELS_BOOTSTRAP_COMPLETE"] = "1"
    # colcon makes install/setup.bash source the local_setup.bash of every prefix named here
    lists["COLCON_PREFIX_PATH"] = [str(VENV), *lists["COLCON_PREFIX_PATH"]]
    lists["PATH"] = [str(VENV / "bin"), *lists["PATH"]]
    return environment | {name: ":".join(entries) for name, entries in lists.items()}


def make_flags(callers: str) -> str:
    """How many jobs make runs at a time: as many as the caller says, else one for each core.

    Left to itself, colcon also passes `-l`, with which make waits for other programs to finish and, on a machine that
    is never idle, compiles next to nothing. Of `make setup` itself no more than the number is passed on: a make that
    it starts in this way cannot share its jobs.
    """
    asked = re.search(r"(?:^|\s)(?:-j|--jobs=)\s*(\d+)", callers)
    return f"-j{asked[1]}" if asked else f"-j{len(os.sched_getaffinity(0))}"


# ------------------------------------------------------------------------------------------------------------- small


def digest(*parts: str) -> str:
    """Hash of all parts, in order."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def read(path: Path) -> str:
    """The text of a file; empty if it is missing."""
    return path.read_text() if path.exists() else ""


if __name__ == "__main__":
    sys.exit(main())
