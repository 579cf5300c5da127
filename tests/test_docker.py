"""The image is not built here; what it would be built from agrees with the packages, the code and the lock."""

import ast
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from importlib.metadata import packages_distributions
from pathlib import Path

import yaml

ROOT = Path(__file__).parent.parent
DOCKERFILE = (ROOT / "docker" / "Dockerfile").read_text()
PACKAGES = {path.parent.name: ET.parse(path).getroot() for path in sorted((ROOT / "src").glob("*/package.xml"))}
# Taken where it is there (sac_gmm_nodes.common.optional_messages): it comes with the robot's driver.
OPTIONAL = {"lbr_fri_idl"}
# The message of a package that has no Python of its own, or a module of another name than its package.
ROS_NAMES = re.compile(r"rcl\w+|\w+_msgs|\w+_interfaces|std_srvs|tf2_\w+|sac_gmm\w*")


def compose(name):
    return yaml.safe_load((ROOT / "docker" / name).read_text())["services"]["sac-gmm"]


def depends(package):
    tags = ("depend", "exec_depend", "build_depend", "buildtool_depend")
    return {entry.text for tag in tags for entry in PACKAGES[package].iter(tag)}


def imported(package):
    """Top-level names of all that a package's code imports."""
    names = set()
    for path in (ROOT / "src" / package / package).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names |= {alias.name.split(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.module:
                names.add(node.module.split(".")[0])
    return names - set(sys.stdlib_module_names) - {package}


def asked_by_name():
    """Distributions that requirements.in names, and those that the lock pins, both normalised."""

    def names(file, pattern):
        return {re.sub(r"[-_.]+", "-", name).lower() for name in re.findall(pattern, file.read_text(), re.MULTILINE)}

    return names(ROOT / "requirements.in", r"^([\w.-]+)"), names(ROOT / "requirements.txt", r"^([\w.-]+)(?:\[.*\])?==")


def test_what_make_setup_looks_for_is_installed():
    wanted = set(re.findall(r"sudo apt install ([\w.-]+)", (ROOT / "tools" / "setup_workspace.py").read_text()))
    installed = set(re.search(r"apt-get install --yes --no-install-recommends ([^\\\n]+)", DOCKERFILE)[1].split())
    assert {"build-essential", "cmake", "python3-dev", "python3-venv"} <= wanted <= installed


def test_rosdep_sees_every_package_and_what_is_copied_exists():
    copied = re.findall(r"^COPY (?:--\S+ )*(\S+) ", DOCKERFILE, re.MULTILINE)
    assert {f"src/{name}/package.xml" for name in PACKAGES} == {path for path in copied if path.endswith(".xml")}
    assert [path for path in copied if not (ROOT / path).exists()] == []
    assert "rosdep install --from-paths src --ignore-src" in DOCKERFILE
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".venv", "build", "install", "runs"} <= set(ignored), "built in the image, not brought along"


def test_packages_name_the_ros_packages_that_their_code_imports():
    for package in ("sac_gmm", "sac_gmm_nodes"):
        ros = {name for name in imported(package) if ROS_NAMES.fullmatch(name)}
        ros |= set(
            re.findall(r'_message\("(\w+)"', "".join(p.read_text() for p in (ROOT / "src").rglob("robot_m*.py")))
        )
        missing = ros - depends(package) - OPTIONAL if package == "sac_gmm_nodes" else set()
        assert missing == set(), f"{package}/package.xml lacks {missing}"


def test_the_launch_files_start_what_bringup_depends_on():
    started = set()
    for path in (ROOT / "launch").glob("*.yaml"):
        started |= set(re.findall(r"^\s*pkg: (\w+)$", path.read_text(), re.MULTILINE))
    assert {"sac_gmm_nodes", "rviz2", "robot_state_publisher"} <= started <= depends("sac_gmm_bringup")


def test_the_lock_has_what_the_code_imports_and_ubuntu_s_names_are_for_things_it_imports():
    asked, locked = asked_by_name()
    assert asked <= locked | {name for name in asked if name.startswith("ros-")}
    distributions = {"pinocchio": ["pin"], **packages_distributions()}  # its wheel puts it behind a path of its own
    third_party = {name for package in ("sac_gmm", "sac_gmm_nodes") for name in imported(package)}
    third_party -= {name for name in third_party if ROS_NAMES.fullmatch(name)}
    for name in third_party:
        found = {re.sub(r"[-_.]+", "-", entry).lower() for entry in distributions.get(name, [name])}
        assert found & asked, f"the code imports {name}; requirements.in does not name it"
    modules = {"python3-opencv": "cv2", "python3-pil": "PIL", "python3-yaml": "yaml"}
    for package in ("sac_gmm", "sac_gmm_nodes"):
        keys = {key for key in depends(package) if key.startswith("python3-")} - {"python3-venv"}
        unused = {key for key in keys if modules.get(key, key.removeprefix("python3-")) not in imported(package)}
        assert unused == set(), f"{package}/package.xml names {unused}, which its code does not import"


def test_nobody_is_root_or_privileged():
    before, after = DOCKERFILE.split("\nUSER ubuntu\n")
    assert DOCKERFILE.split("\nFROM ")[1].startswith("ros:jazzy\n") and "USER" not in before + after
    assert "make setup" in after and "apt-get" not in after
    for name in ("compose.yaml", "compose.robot.yaml"):
        service = compose(name)
        assert not {"privileged", "cap_add", "devices", "user", "security_opt"} & set(service)


def test_compose_files_give_dds_the_network_and_a_robot_its_limits():
    assert compose("compose.yaml")["network_mode"] == compose("compose.yaml")["ipc"] == "host"
    assert compose("compose.yaml")["build"]["dockerfile"] == "docker/Dockerfile"
    robot = compose("compose.robot.yaml")
    assert robot["ulimits"] == {"rtprio": 99, "memlock": -1}
    assert robot["volumes"][0].endswith(":/opt/driver:ro")
    assert "/opt/driver/install/setup.bash" in (ROOT / "docker" / "entrypoint").read_text()


def test_the_entrypoint_sources_the_workspace_and_hands_its_command_on(tmp_path):
    home = tmp_path / "home"
    (home / "install").mkdir(parents=True)
    (home / "install" / "setup.bash").write_text("export SOURCED=yes\n")
    script = tmp_path / "entrypoint"
    script.write_text((ROOT / "docker" / "entrypoint").read_text().replace("/home/ubuntu/sac-gmm", str(home)))
    done = subprocess.run(
        ["bash", str(script), "bash", "-c", 'echo "$SOURCED $1"', "_", "two words"], capture_output=True, text=True
    )
    assert done.stdout == "yes two words\n"
