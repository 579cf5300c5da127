"""The set-up: what it says when something is missing, what it mends, and that it does nothing twice."""

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@pytest.fixture
def workspace():
    """The set-up script as a module, fresh for each test."""
    spec = importlib.util.spec_from_file_location("setup_workspace", ROOT / "tools" / "setup_workspace.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_line_of_the_lock_is_an_exact_pin():
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert len(lines) > 100
    pin = re.compile(r'[a-z0-9-]+==[\w.]+( ; platform_machine == "x86_64")?')
    assert [line for line in lines if not pin.fullmatch(line)] == []
    gpu = [line for line in lines if line.startswith(("nvidia", "triton"))]
    assert gpu == [], "the lock is for machines without a GPU"


def test_the_lock_covers_the_direct_requirements():
    def names(path: Path) -> set[str]:
        lines = [line.split("#")[0].strip() for line in path.read_text().splitlines()]
        return {re.split(r"[\[<=>]", line)[0].lower() for line in lines if line}

    assert names(ROOT / "requirements.in") <= names(ROOT / "requirements.txt")


def test_the_environment_is_the_lock():
    """What the tests run with is what the lock says."""
    command = [sys.executable, ROOT / "tools" / "freeze.py"]
    listed = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    wanted = (ROOT / "requirements.txt").read_text().splitlines()
    if "include-system-site-packages = true" in (ROOT / ".venv" / "pyvenv.cfg").read_text():
        wanted = [line for line in wanted if not line.startswith("ros-")]  # ROS 2 is the machine's own
    assert set(wanted) <= set(listed)


def test_nothing_is_done_twice():
    """A second set-up finds nothing to do: it says nothing and starts neither pip nor a build."""
    result = subprocess.run([ROOT / "tools" / "setup"], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("", "")


def test_missing_tools_are_named_together(workspace, monkeypatch, tmp_path):
    monkeypatch.setattr(workspace, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(workspace, "FREE_DISK_GB", 1e9)
    monkeypatch.setattr(workspace.shutil, "which", lambda _: None)
    with pytest.raises(workspace.SetupError) as caught:
        workspace.check_tools()
    for text in ("a C++ compiler", "apt install build-essential", "CMake:", "disk space:", "GB are free"):
        assert text in str(caught.value)


def test_an_old_cmake_is_named(workspace, monkeypatch):
    monkeypatch.setattr(workspace, "CMAKE_MINIMUM", (99, 0))
    with pytest.raises(workspace.SetupError, match=r"CMake 99\.0 or newer \(found 3\."):
        workspace.check_tools()


def test_no_usable_python_is_said_in_words():
    environment = {**os.environ, "PYTHON": "/bin/false"}
    command = [ROOT / "tools" / "setup"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 1
    assert "no Python 3.11, 3.12 or 3.13 found (looked for: /bin/false)" in result.stderr
    assert "make setup PYTHON=" in result.stderr


def test_another_ros_is_refused(workspace, monkeypatch):
    monkeypatch.setenv("ROS_DISTRO", "humble")
    with pytest.raises(workspace.SetupError, match="this shell has ROS 'humble' sourced"):
        workspace.sourced_jazzy()


@pytest.mark.parametrize(("importable", "answer"), [(True, True), (False, None)])
def test_a_sourced_jazzy_is_used(workspace, monkeypatch, tmp_path, importable, answer):
    python = tmp_path / "python3"
    python.write_text(f"#!/bin/sh\nexit {0 if importable else 1}\n")
    python.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    monkeypatch.setenv("ROS_DISTRO", "jazzy")
    if answer is None:
        with pytest.raises(workspace.SetupError, match="import rclpy"):
            workspace.sourced_jazzy()
    else:
        assert workspace.sourced_jazzy() is answer


def test_an_environment_of_the_other_kind_is_refused(workspace, monkeypatch, tmp_path):
    monkeypatch.setattr(workspace, "VENV", tmp_path)
    version = ".".join(map(str, sys.version_info[:3]))
    config = tmp_path / "pyvenv.cfg"
    config.write_text(f"include-system-site-packages = false\nversion = {version}\n")
    workspace.check_environment(with_ros=False)
    with pytest.raises(workspace.SetupError, match="made without a sourced ROS 2"):
        workspace.check_environment(with_ros=True)
    config.write_text("include-system-site-packages = false\nversion = 3.10.1\n")
    with pytest.raises(workspace.SetupError, match="another Python"):
        workspace.check_environment(with_ros=False)


def test_an_environment_that_was_moved_is_noticed(workspace, tmp_path):
    (tmp_path / "pyvenv.cfg").write_text(f"command = /usr/bin/python3 -m venv --system-site-packages {tmp_path}\n")
    assert not workspace.moved(tmp_path)
    (tmp_path / "pyvenv.cfg").write_text("command = /usr/bin/python3 -m venv /elsewhere/my lab/.venv\n")
    assert workspace.moved(tmp_path)


def test_baked_paths_are_mended_once(workspace, tmp_path):
    path = tmp_path / "share" / "std_msgs" / "cmake" / "export.cmake"
    path.parent.mkdir(parents=True)
    baked = "/opt/python/cp311-cp311"
    path.write_text(
        f'"{baked}/include/python3.11;{baked}/lib/python3.11/site-packages/numpy/_core/include"\n"/opt/python/kept"\n'
    )
    assert workspace.mend_baked_paths(tmp_path) == 1
    first, second = path.read_text().splitlines()
    python_include, numpy_include = first.strip('"').split(";")
    assert Path(python_include, "Python.h").exists()
    assert numpy_include.startswith(str(tmp_path / "lib"))
    assert numpy_include.endswith("/site-packages/numpy/_core/include")
    assert second == '"/opt/python/kept"'
    assert workspace.mend_baked_paths(tmp_path) == 0


@pytest.mark.parametrize(
    ("asked", "there", "options"),
    [
        ({}, True, ["--extra-index-url", "https://download.pytorch.org/whl/cpu"]),
        ({}, False, []),
        ({"GPU": "1"}, True, []),
        ({"TORCH_INDEX_URL": "file:///mirror"}, False, ["--extra-index-url", "file:///mirror"]),
    ],
)
def test_torch_comes_without_its_gpu_libraries_unless_they_are_asked_for(
    workspace, monkeypatch, capsys, asked, there, options
):
    for name in ("GPU", "TORCH_INDEX_URL"):
        monkeypatch.setenv(name, asked.get(name, ""))
    monkeypatch.setattr(workspace, "reachable", lambda url: there)
    monkeypatch.setattr(workspace, "FREE_DISK_GPU_GB", 0.0)
    assert workspace.torch_index() == options
    assert ("cannot be reached" in capsys.readouterr().out) == (not asked and not there)


def test_an_address_where_nobody_answers_is_not_reachable(workspace):
    assert not workspace.reachable("http://127.0.0.1:9/")
    assert not workspace.reachable("no address")


@pytest.mark.parametrize("has_wheel", [True, False])
def test_where_pybullet_has_no_wheel_it_is_compiled_beside_numpy(workspace, monkeypatch, tmp_path, has_wheel):
    """This one never knows NumPy, like one that pip keeps from before: then it is compiled once more."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\necho "$CFLAGS" >> {tmp_path}/flags\n[ "$1" != -c ]\n')
    python.chmod(0o755)
    monkeypatch.setattr(workspace, "VENV", tmp_path)
    monkeypatch.setattr(workspace, "PYBULLET_WHEEL", sys.version_info[:2] if has_wheel else (2, 7))
    monkeypatch.setenv("PIP_ARGS", "--extra")
    monkeypatch.delenv("CFLAGS", raising=False)
    workspace.install_pybullet()
    if has_wheel:
        assert not (tmp_path / "calls").exists()
        return
    calls = [line for line in (tmp_path / "calls").read_text().splitlines() if line.startswith("-m pip install ")]
    lock = (ROOT / "requirements.txt").read_text().splitlines()
    numpy, pybullet, setuptools = sorted(line for line in lock if re.match("(numpy|pybullet|setuptools)==", line))
    beside, compiled = (
        f"-m pip install {numpy} {setuptools} --extra",
        f"-m pip install {pybullet} --no-deps --no-build-isolation",
    )
    assert calls == [beside, f"{compiled} --extra", beside, f"{compiled} --no-cache-dir --force-reinstall --extra"]
    assert (tmp_path / "flags").read_text().count(workspace.PYBULLET_CFLAGS) == 2


def test_a_hand_model_that_cannot_be_had_does_not_stop_the_set_up(workspace, monkeypatch, tmp_path):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f'#!/bin/sh\necho "$PYTHONPATH $@" > {tmp_path}/called\nexit 1\n')
    python.chmod(0o755)
    monkeypatch.setattr(workspace, "VENV", tmp_path)
    workspace.prepare_hand_model()
    called = (tmp_path / "called").read_text()
    assert called == f"{ROOT}/src/sac_gmm -m sac_gmm.perception.hands.model_files\n"


def test_no_baked_path_is_left():
    files = [path for folder in ("share", "lib/cmake") for path in (ROOT / ".venv" / folder).rglob("*.cmake")]
    assert [path for path in files if "/opt/python/" in path.read_text()] == []


def test_the_workspace_is_not_its_own_underlay(workspace, monkeypatch):
    """`make` may be called from a shell that has sourced install/setup.bash."""
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{ROOT}/install/sac_gmm:{ROOT}/.venv:/opt/ros/jazzy")
    monkeypatch.setenv("COLCON_PREFIX_PATH", f"{ROOT}/install")
    monkeypatch.setenv("PYTHONPATH", f"{ROOT}/build/sac_gmm:/opt/ros/jazzy/lib/python3.12/site-packages")
    environment = workspace.build_environment(with_ros=True)
    assert environment["AMENT_PREFIX_PATH"] == "/opt/ros/jazzy"
    assert environment["COLCON_PREFIX_PATH"] == f"{ROOT}/.venv"
    assert environment["PYTHONPATH"] == "/opt/ros/jazzy/lib/python3.12/site-packages"
    environment = workspace.build_environment(with_ros=False)
    assert environment["AMENT_PREFIX_PATH"] == f"{ROOT}/.venv"
    assert environment["PYTHONPATH"] == ""


@pytest.mark.parametrize(
    ("callers", "flags"),
    [
        ("-j3", "-j3"),
        ("w -j5 --jobserver-auth=3,4", "-j5"),  # of `make -j5 setup`: the jobs of another make cannot be shared
        ("--jobs=7 -k", "-j7"),
        (" -j 2 -l1.5", "-j2"),
        ("", None),
        ("w --no-print-directory", None),
        ("-l2", None),
    ],
)
def test_a_busy_machine_does_not_keep_make_waiting(workspace, monkeypatch, callers, flags):
    """colcon adds a limit of the load, unless MAKEFLAGS says how many jobs there are; make would wait for hours."""
    monkeypatch.setenv("MAKEFLAGS", callers)
    found = workspace.build_environment(False)["MAKEFLAGS"]
    assert found == (flags or f"-j{len(os.sched_getaffinity(0))}")


@pytest.mark.parametrize("with_cpp", [False, True])
def test_of_the_messages_only_what_is_used_is_compiled(workspace, tmp_path, with_cpp):
    """ROS 2 from wheels has no C++ program that could use more; where rclcpp is, everything is there for it."""
    if "include-system-site-packages = true" in (ROOT / ".venv" / "pyvenv.cfg").read_text():
        pytest.skip("this machine's own ROS 2 has rclcpp")
    environment = workspace.build_environment(with_ros=False)
    if with_cpp:
        packages = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
        packages.mkdir(parents=True)
        (packages / "rclcpp").touch()
        environment["AMENT_PREFIX_PATH"] = f"{tmp_path}:{environment['AMENT_PREFIX_PATH']}"
    source, build = ROOT / "src" / "sac_gmm_interfaces", tmp_path / "build"
    options = ["-DBUILD_TESTING=OFF", f"-DPython3_EXECUTABLE={ROOT}/.venv/bin/python"]
    subprocess.run(["cmake", "-S", source, "-B", build, *options], env=environment, check=True, capture_output=True)
    listed = subprocess.run(["make", "-C", build, "help"], capture_output=True, text=True, check=True).stdout
    kinds = set(re.findall(r"sac_gmm_interfaces__(\w+)", listed))
    used = {"py", "rosidl_generator_type_description", "rosidl_generator_c", "rosidl_generator_py"}
    used |= {"rosidl_typesupport_c", "rosidl_typesupport_fastrtps_c", "rosidl_typesupport_introspection_c"}
    assert used < kinds if with_cpp else used == kinds
    assert ("rosidl_typesupport_cpp" in kinds) == with_cpp


def test_sourcing_gives_a_bare_shell_everything():
    script = """
source install/setup.bash && once="$PATH|$LD_LIBRARY_PATH|$AMENT_PREFIX_PATH"
source install/setup.bash && [ "$once" = "$PATH|$LD_LIBRARY_PATH|$AMENT_PREFIX_PATH" ] || echo "sourcing twice adds"
command -v python sac-gmm
python -c 'import rclpy, sac_gmm, sac_gmm_nodes, sac_gmm_interfaces.msg as m; print(m.MixtureUpdate().new_version)'
"""
    bare = {"PATH": "/usr/bin:/bin", "HOME": os.environ.get("HOME", "/")}
    result = subprocess.run(["bash", "-c", script], cwd=ROOT, env=bare, capture_output=True, text=True, check=False)
    assert result.stderr == ""
    assert result.stdout.splitlines() == [f"{ROOT}/.venv/bin/python", f"{ROOT}/install/sac_gmm/bin/sac-gmm", "0"]


def test_the_command_works_without_sourcing():
    bare = {"PATH": "/usr/bin:/bin"}
    result = subprocess.run([ROOT / ".venv/bin/sac-gmm"], env=bare, capture_output=True, text=True, check=True)
    assert result.stdout.startswith("Usage: sac-gmm COMMAND")


def test_help_lists_every_verb():
    output = subprocess.run(["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True).stdout
    for verb in ("setup", "demo", "test", "lint", "bench", "clean", "help"):
        assert f"  make {verb} " in output
