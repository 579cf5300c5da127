"""`pip install .` without ROS: its dependencies are those that are imported, and the installed command works."""

import ast
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from pathlib import Path

import pytest
from tests.newcomer.walk import share_kernels

ROOT = Path(__file__).parent.parent
LIBRARY = ROOT / "src" / "sac_gmm" / "sac_gmm"
SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
# Import name -> distribution, where they differ.
DISTRIBUTIONS = {
    "PIL": "pillow",
    "backports": "backports-zstd",
    "cv2": "opencv-python-headless",
    "pinocchio": "pin",
    "pybullet_data": "pybullet",
    "sklearn": "scikit-learn",
    "stable_baselines3": "stable-baselines3",
    "yaml": "pyyaml",
}
ELSEWHERE = {"playwright", "sac_gmm_nodes"}  # of `make browser`, and of the workspace


def names(requirements):
    return {requirement.split(">")[0].split("=")[0].split("<")[0].strip().lower() for requirement in requirements}


def imported(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module.split(".")[0]


def test_the_declared_dependencies_are_those_in_use():
    used = {name for path in LIBRARY.rglob("*.py") for name in imported(path)}
    used -= sys.stdlib_module_names | {"sac_gmm"} | ELSEWHERE
    extras = PROJECT["optional-dependencies"]
    declared = names(PROJECT["dependencies"]).union(*(names(extras[extra]) for extra in extras if extra != "dev"))
    assert {DISTRIBUTIONS.get(name, name) for name in used} - declared == set()
    # Used through another library: rosbags reads mcap files, torch writes for tensorboard.
    assert declared - {DISTRIBUTIONS.get(name, name) for name in used} == {"mcap", "tensorboard"}


def test_the_two_descriptions_of_the_package_agree():
    setup = (ROOT / "src" / "sac_gmm" / "setup.py").read_text()
    (scripts,) = (f'"{name} = {target}"' for name, target in PROJECT["scripts"].items())
    assert scripts in setup
    for pattern in tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"][
        "sac_gmm"
    ]:
        assert f'"{pattern}"' in setup


@pytest.mark.slow
def test_an_installed_copy_fits_trains_and_evaluates(tmp_path):
    source, venv, work = tmp_path / "source", tmp_path / "venv", tmp_path / "work"
    unwanted = shutil.ignore_patterns("__pycache__", "*.egg-info")
    shutil.copytree(LIBRARY.parent, source / "src" / "sac_gmm", ignore=unwanted)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source / name)
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", venv], check=True)
    python = venv / "bin" / "python"
    # Its dependencies are those of this environment: no test downloads two gigabytes.
    packages = venv / "lib" / f"python{sys.version_info.major}.{sys.version_info.minor}" / "site-packages"
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-build-isolation", "--no-index", source], check=True, timeout=600)
    share_kernels(LIBRARY, packages / "sac_gmm")
    work.mkdir()
    for name in ("config", "demos"):
        (work / name).symlink_to(ROOT / name)

    def run(*command):
        environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}  # nothing sourced
        done = subprocess.run(command, cwd=work, env=environment, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    assert run(python, "-c", "import sac_gmm; print(sac_gmm.__file__)").startswith(str(venv))
    command = venv / "bin" / "sac-gmm"
    run(command, "fit", "demos/door", "-k", "8", "-o", "door.npz")
    # A run that is as short as can be.
    short = ("base_episodes=1", "critic_head_start=1", "updates_per_decision=1", "image=null", "camera=null")
    run(command, "train", "door", "--episodes", "1", "--set", *short, "--out", "run")
    run(command, "evaluate", "run", "--episodes", "2", "--json", "result.json")
    assert (work / "door.npz").exists() and (work / "result.json").exists()
