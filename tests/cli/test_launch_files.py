"""What the robot's launch file promises, and all of them under the real `ros2 launch` where that is installed."""

import os
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
import yaml

from sac_gmm.control import SafetyLimits
from sac_gmm.control.joint_limits import JointSettings
from sac_gmm.control.lbr_state import LbrSettings
from sac_gmm.launcher.launch_yaml import declared_arguments, read_launch_file
from sac_gmm.tasks.scenes.door import MARKER_DICTIONARY, MARKER_ID, MARKER_SIZE_M

ROOT = Path(__file__).parents[2]
FILES = sorted((ROOT / "launch").glob("*.launch.yaml"))


def parameters_of(node):
    """Of one node, by name, as its parameter files and the launch file give them."""
    found = {}
    for source in node.parameters:
        tree = yaml.safe_load(source.read_text()) if isinstance(source, Path) else source
        for rule, content in tree.items():
            if rule in ("/**", f"/**/{node.label}", f"/{node.label}"):
                found |= content["ros__parameters"]
    return found


def test_a_robot_begins_slowly_and_only_with_somebodys_word():
    path = ROOT / "launch" / "robot.launch.yaml"
    nodes = {node.label: node for node in read_launch_file(path, {"model": "m.npz", "start_driver": "false"})}
    controller = parameters_of(nodes["gmm_controller"])
    assert controller["robot"] == "lbr" and controller["check_driver"] is True
    assert controller["speed_scale"] == 0.1 and controller["deadman"] is True
    assert controller["max_speed_m_s"] <= 0.05
    assert controller["realtime_priority"] > 0  # without one its ticks are late now and then
    assert parameters_of(nodes["lifecycle_manager"])["reactivate"] is False
    assert "pybullet_bridge" not in nodes
    rehearsal = {node.label for node in read_launch_file(path, {"model": "m.npz", "simulate": "true"})}
    assert "pybullet_bridge" in rehearsal, "without a driver, whatever start_driver says"


def test_the_robot_s_marker_and_task_are_said_by_its_files():
    path = ROOT / "launch" / "robot.launch.yaml"
    given = {"model": "m.npz", "simulate": "true", "task": "lever"}
    nodes = {node.label: node for node in read_launch_file(path, given)}
    reward = parameters_of(nodes["aruco_reward"])
    told = (reward["dictionary"], reward["marker_id"], reward["marker_size_m"])
    assert told == (MARKER_DICTIONARY, MARKER_ID, MARKER_SIZE_M), "the rehearsal's door shows the same marker"
    assert {parameters_of(nodes[name])["task"] for name in ("sac_adapter", "pybullet_bridge")} == {"lever"}


def test_target_and_reward_are_chosen_by_an_argument():
    path = ROOT / "launch" / "robot.launch.yaml"
    sources = {"aruco_reward", "lamp_reward", "switch_reward", "button_reward", "threshold_reward"}
    for given, started in (
        ({}, {"aruco_reward"}),
        ({"target": "marker", "reward": "button"}, {"marker_target", "button_reward"}),
        ({"target": "fixed", "reward": "threshold"}, {"marker_target", "threshold_reward"}),
        ({"target": "mine", "reward": "mine"}, set()),
    ):
        nodes = {node.label: node for node in read_launch_file(path, {"model": "m.npz", "simulate": "true"} | given)}
        assert nodes.keys() & (sources | {"marker_target"}) == started
        if "marker_target" in started:
            assert parameters_of(nodes["marker_target"])["source"] == given["target"]
            markers = [parameters_of(nodes["marker_target"])["marker_id"], MARKER_ID]
            assert markers[0] != markers[1], "the marker on the target is another one than the reward's"


def test_no_file_says_a_pace_of_its_own():
    """It is the method's: its settings of the task say it, the adapter announces it, and nothing can contradict."""
    for name in ("simulation", "robot"):
        path = ROOT / "launch" / f"{name}.launch.yaml"
        declared = {argument.name for argument in declared_arguments(path)}
        assert not declared & {"decision_interval", "blend_s", "training_noise_std_m"}
        given = {"model": "m.npz", "task": "lever"} | ({"start_driver": "false"} if name == "robot" else {})
        nodes = {node.label: node for node in read_launch_file(path, given)}
        assert not parameters_of(nodes["gmm_controller"]).keys() & {"decision_interval", "blend_s"}
        assert parameters_of(nodes["episode_manager"]).get("training_noise_std_m", -1.0) == -1.0
        assert parameters_of(nodes["sac_adapter"])["task"] == "lever"


def test_a_method_of_any_kind_runs_behind_the_guard():
    """What moves the arm and what decides are exchanged for others, and all who wait for them are told."""
    path = ROOT / "launch" / "simulation.launch.yaml"
    for guard, (mover, decider), others in (
        ("true", ("guard", "skill_runner"), {"gmm_controller", "sac_adapter"}),
        ("false", ("gmm_controller", "sac_adapter"), {"guard", "skill_runner"}),
    ):
        given = {"model": "m.npz", "guard": guard, "method": "residual_gmm"}
        nodes = {node.label: node for node in read_launch_file(path, given)}
        assert {mover, decider} <= nodes.keys() and not others & nodes.keys()
        assert parameters_of(nodes["lifecycle_manager"])["nodes"] == [mover]
        assert parameters_of(nodes[decider])["method"] == "residual_gmm"
        assert parameters_of(nodes[decider])["learner"] == "sync"
        manager = parameters_of(nodes["episode_manager"])
        assert (manager["expect_runner"], manager["expect_adapter"]) == (guard == "true", guard == "false")


@pytest.mark.parametrize(
    ("name", "given", "stays"),
    [
        ("simulation", {}, True),
        ("simulation", {"local": "false"}, False),
        ("teleoperate", {}, True),
        ("hand_demonstrations", {}, True),
        ("robot", {"simulate": "true"}, True),
        ("robot", {"simulate": "true", "local": "false"}, False),
        ("robot", {"start_driver": "false"}, False),
        ("calibrate_speed", {"simulate": "true"}, True),
        ("calibrate_speed", {"start_driver": "false"}, False),
    ],
)
def test_what_is_simulated_stays_on_this_machine_unless_asked_otherwise(name, given, stays):
    """On a laboratory's network it would reach the real arm, whose topics a rehearsal has."""
    given |= {"model": "m.npz"} if name in ("simulation", "robot") else {}
    wanted = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST", "ROS_STATIC_PEERS": ""} if stays else {}
    for node in read_launch_file(ROOT / "launch" / f"{name}.launch.yaml", given):
        assert node.environment == wanted, node.label


@pytest.mark.parametrize(("joystick", "topic"), [("gamepad", "joy:=joy"), ("spacemouse", "joy:=spacenav/joy")])
def test_a_joystick_moves_the_arm_through_the_guard_while_it_is_held(joystick, topic):
    path = ROOT / "launch" / "teleoperate.launch.yaml"
    nodes = {node.label: node for node in read_launch_file(path, {"joystick": joystick})}
    assert nodes.keys() == {"pybullet_bridge", "demo_recorder", "joy_teleop", "guard"}
    assert parameters_of(nodes["guard"])["deadman"] is True and topic in nodes["joy_teleop"].ros_arguments
    assert parameters_of(nodes["joy_teleop"])["joystick"] == joystick
    for name, parameter in (("pybullet_bridge", "lockstep"), ("demo_recorder", "follow_episodes")):
        assert parameters_of(nodes[name])[parameter] is False


def test_the_driver_is_told_to_take_twists_in_base_axes():
    tree = yaml.safe_load((ROOT / "config" / "lbr_controllers.yaml").read_text())
    twist = tree["/**/twist_controller"]["ros__parameters"]
    assert twist["twist_in_tip_frame"] is False and twist["inv_jac_ctrl"]["twist_in_tip_frame"] is False
    robot = yaml.safe_load((ROOT / "config" / "robot_arm.yaml").read_text())["/**"]["ros__parameters"]
    assert tree["/**/controller_manager"]["ros__parameters"]["update_rate"] == robot["rate_hz"]
    assert robot["max_speed_m_s"] <= twist["inv_jac_ctrl"]["max_linear_velocity"]
    launch = (ROOT / "launch" / "robot.launch.yaml").read_text()
    assert 'value: "config/lbr_controllers.yaml"' in launch


def test_the_first_motion_keeps_to_the_limits_of_all_others():
    """The measurement of the speed is the first motion on a robot: box, tip and deadman are those of the controller."""
    nodes = {}
    for name, given in (("robot", {"model": "m.npz"}), ("calibrate_speed", {})):
        path = ROOT / "launch" / f"{name}.launch.yaml"
        nodes |= {node.label: node for node in read_launch_file(path, given | {"start_driver": "false"})}
    controller, calibration = (parameters_of(nodes[name]) for name in ("gmm_controller", "calibrate_speed"))
    kinds = (SafetyLimits, JointSettings, LbrSettings)
    shared = {field.name for kind in kinds for field in fields(kind)} | {"tip_frame", "tip_offset_m", "twist_gain"}
    shared |= {"robot", "rate_hz", "base_frame", "pose_source", "check_driver", "deadman", "deadman_timeout_s"}
    as_by_default = {"start_ramp_s": SafetyLimits().start_ramp_s, "zero_commands": SafetyLimits().zero_commands}
    assert {name: (as_by_default | calibration).get(name) for name in shared} == {
        name: controller.get(name) for name in shared
    }
    assert controller["workspace_max_m"] == [0.8, 0.45, 0.8] and calibration["deadman"] is True
    # ROS 2 reads `/**` where it comes first: what it says decides over the files before, and launch arguments over it.
    for node in (nodes["gmm_controller"], nodes["calibrate_speed"]):
        files = [source.name for source in node.parameters if isinstance(source, Path)]
        assert files.index("robot_arm.yaml") == len(files) - 1


def nodes_in(actions):
    """All nodes of a launch file as it is written, those in groups too."""
    for action in actions:
        [(kind, attributes)] = action.items()
        if kind == "node":
            yield attributes
        elif kind == "group":
            yield from nodes_in(attributes)


def test_the_arm_is_seen_while_the_clock_stands():
    """Without it, robot_state_publisher passes a state on only when its stamp is newer than that of the last one."""
    nodes = [node for path in FILES for node in nodes_in(yaml.safe_load(path.read_text())["launch"])]
    publishers = [node for node in nodes if node["exec"] == "robot_state_publisher"]
    assert publishers
    for node in publishers:
        assert {"name": "ignore_timestamp", "value": True} in node["param"]


@pytest.mark.parametrize(
    ("name", "given", "source"),
    [
        ("simulation", {"lockstep": "true"}, "robot_state_publisher"),
        ("simulation", {"lockstep": "false"}, "robot_state_publisher"),
        ("robot", {"simulate": "true"}, "pybullet_bridge"),
    ],
)
def test_frames_have_one_source(name, given, source):
    """With `driver: only` the bridge publishes TF, as the robot's driver does; robot_state_publisher must not, then."""
    nodes = read_launch_file(ROOT / "launch" / f"{name}.launch.yaml", {"model": "m.npz", "monitor": "true"} | given)
    [bridge] = [parameters_of(node) for node in nodes if node.label == "pybullet_bridge"]
    assert (bridge.get("driver") == "only") == (source == "pybullet_bridge")
    actions = yaml.safe_load((ROOT / "launch" / "rviz.launch.yaml").read_text())["launch"]
    values = {action["let"]["name"]: action["let"]["value"] for action in actions if "let" in action}
    assert values[f"joints_alone_in_{name}"] == ("false" if source == "pybullet_bridge" else "$(var rviz)")


@pytest.fixture
def rviz(tmp_path, monkeypatch):
    """A package in the place of RViz, which comes from apt alone."""
    index = tmp_path / "share" / "ament_index" / "resource_index" / "packages"
    for path in (index / "rviz2", tmp_path / "lib" / "rviz2" / "rviz2"):
        path.parent.mkdir(parents=True)
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.setenv("AMENT_PREFIX_PATH", f"{tmp_path}:{os.environ.get('AMENT_PREFIX_PATH', '')}")


@pytest.mark.parametrize("simulate", ["true", "false"])
@pytest.mark.parametrize(
    ("name", "given"),
    [("robot", {"model": "m.npz", "rviz": "true", "start_driver": "false"}), ("rviz", {"view": "robot"})],
)
def test_rviz_goes_by_the_clock_of_what_it_shows(rviz, name, given, simulate):
    """A rehearsal has the simulation's: with another RViz finds no transform for any stamp."""
    nodes = read_launch_file(ROOT / "launch" / f"{name}.launch.yaml", given | {"simulate": simulate})
    [shown] = [parameters_of(node) for node in nodes if node.label == "rviz"]
    assert shown["use_sim_time"] is (simulate == "true")
    for node in nodes:
        if node.label == "gmm_controller":
            assert parameters_of(node)["use_sim_time"] == shown["use_sim_time"]


@pytest.mark.parametrize("name", ["teleoperate", "hand_demonstrations"])
@pytest.mark.parametrize("task", ["door", "peg"])
def test_nothing_is_recorded_into_the_demonstrations_that_come_with_the_project(name, task):
    nodes = read_launch_file(ROOT / "launch" / f"{name}.launch.yaml", {"task": task})
    [operator] = [parameters_of(node) for node in nodes if node.label == "teleoperator"]
    folder = Path(operator["folder"])
    assert folder.parts[0] == "runs" and task in folder.name


def test_the_configuration_holds_in_every_namespace():
    """A bare name means the root alone: a second robot would go by the defaults, without any error."""
    files = [path for path in (ROOT / "config").glob("**/*.yaml") if "ros__parameters" in path.read_text()]
    rules = [rule for path in files for rule in yaml.safe_load(path.read_text())]
    assert len(files) > 5 and [rule for rule in rules if not rule.startswith("/**")] == []


def arguments_shown_by_ros2_launch(path):
    """Name -> default, where the first declaration of a name counts and what an include sets is not looked at."""
    found = {}
    for action in yaml.safe_load(path.read_text())["launch"]:
        [(kind, attributes)] = action.items()
        if kind == "arg":
            found.setdefault(attributes["name"], attributes.get("default"))
        elif kind == "include" and "$(find-pkg-share sac_gmm_bringup)" in attributes["file"]:
            for name, default in arguments_shown_by_ros2_launch(path.parent / Path(attributes["file"]).name).items():
                found.setdefault(name, default)
    return found


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_defaults_that_are_shown_are_those_that_hold(path):
    shown = arguments_shown_by_ros2_launch(path)
    assert shown == {argument.name: argument.default for argument in declared_arguments(path)}
    for action in yaml.safe_load(path.read_text())["launch"]:
        if "include" in action:
            for given in action["include"].get("arg", []):
                name = given["name"]
                assert given["value"] in (f"$(var {name})", shown[name]), f"{name} has no say"


def test_a_film_that_cannot_be_played_ends_the_launch_and_the_recorder_may_save_after_one_that_can():
    nodes = read_launch_file(ROOT / "launch" / "record_film.launch.yaml", {"film": "hand.mp4"})
    required = {node.label: node.required for node in nodes}
    assert required == {"hand_demo_recorder": True, "film_source": True}
    assert parameters_of(nodes[1])["stay"] is True, "its end would end the recorder in the middle of saving"


@pytest.mark.ros
@pytest.mark.skipif(shutil.which("ros2") is None, reason="ros2 launch is not installed")
@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_ros2_launch_shows_the_same_arguments(path):
    done = subprocess.run(
        ["ros2", "launch", str(path), "--show-args"], capture_output=True, text=True, timeout=300, env=os.environ
    )
    assert done.returncode == 0, done.stderr
    for argument in declared_arguments(path):
        assert f"'{argument.name}':\n        {argument.description}" in done.stdout
    assert "no description" not in done.stdout.lower()
