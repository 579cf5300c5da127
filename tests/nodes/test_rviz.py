"""RViz shows what our nodes publish: its files name display classes that exist, and topics with the right type and QoS.

RViz itself comes with ROS 2 from apt alone. What its displays take is written down here as its plugins say it.
"""

from __future__ import annotations

import itertools
import re
import struct
from pathlib import Path

import pytest
import robot_interfaces
import yaml
from rclpy.qos import (
    DurabilityPolicy,
    LivelinessPolicy,
    QoSCompatibility,
    QoSProfile,
    ReliabilityPolicy,
    qos_check_compatible,
)
from visualization_msgs.msg import MarkerArray

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "config" / "rviz"
FILES = sorted(FOLDER.glob("*.rviz"))

# From plugins_description.xml of rviz_default_plugins in ROS 2 Jazzy: the class of a display; and the message that its
# topic must have, or None.
DISPLAYS = {
    "Grid": None,
    "TF": None,  # /tf and /tf_static, by themselves
    "RobotModel": "std_msgs/msg/String",
    "MarkerArray": "visualization_msgs/msg/MarkerArray",
    "Image": "sensor_msgs/msg/Image",
    "Wrench": "geometry_msgs/msg/WrenchStamped",
}
OTHERS = {"Orbit", "Interact", "MoveCamera", "Select", "FocusCamera", "Measure"}
PANELS = {"rviz_common/Displays", "rviz_common/Views", "rviz_common/Time"}
# What robot_state_publisher, which rviz.launch.yaml starts beside them, promises.
ALIVE = LivelinessPolicy.AUTOMATIC
KEPT = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL, liveliness=ALIVE)
DESCRIPTION = ("std_msgs/msg/String", KEPT)
PUBLISHED_BESIDE = {"/robot_description": DESCRIPTION, "/replay/robot_description": DESCRIPTION}
OF_OTHER_TASKS = {"Depth camera": "lever", "Touch": "peg"}  # displays that are off for the door, and whose they are
ARGUMENTS = {
    "simulation": ("model:={model}", "adapt:=false"),
    "robot": ("model:={model}", "adapt:=false", "simulate:=true"),
    "replay": ("bag:=demos/door/door_00", "loop:=true"),
}


def displays_of(name):
    tree = yaml.safe_load((FOLDER / f"{name}.rviz").read_text())
    return tree["Visualization Manager"]["Displays"]


def topics_of(name):
    """Display name, message type, topic and the QoS asked for, of each display that has a topic."""
    for display in displays_of(name):
        kind = DISPLAYS[display["Class"].removeprefix("rviz_default_plugins/")]
        if kind is not None:
            topic = display.get("Description Topic") or display["Topic"]
            assert topic["History Policy"] == "Keep Last"
            qos = QoSProfile(
                depth=topic["Depth"],
                liveliness=ALIVE,
                durability=DurabilityPolicy[topic["Durability Policy"].upper().replace(" ", "_")],
                reliability=ReliabilityPolicy[topic["Reliability Policy"].upper().replace(" ", "_")],
            )
            yield display["Name"], kind, topic["Value"], qos


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_class_is_one_of_rviz(path):
    tree = yaml.safe_load(path.read_text())
    manager = tree["Visualization Manager"]
    assert {panel["Class"] for panel in tree["Panels"]} <= PANELS
    known = {f"rviz_default_plugins/{name}" for name in itertools.chain(DISPLAYS, OTHERS)}
    used = [*manager["Displays"], *manager["Tools"], manager["Views"]["Current"]]
    assert {entry["Class"] for entry in used} <= known
    names = [display["Name"] for display in manager["Displays"]]
    assert len(set(names)) == len(names) and {"Robot", "Skill", "Scene", "Motion"} <= set(names)


def test_there_is_a_file_for_each_view_of_the_launch_file():
    launch = yaml.safe_load((ROOT / "launch" / "rviz.launch.yaml").read_text())["launch"]
    choices = [choice["value"] for choice in launch[0]["arg"]["choice"]]
    assert [path.stem for path in FILES] == sorted(choices) == sorted(ARGUMENTS)


def docks_of(state):
    """Names of the docks in the state of a window, and width and height of what they leave in its middle, pixels.

    As QMainWindow::saveState of Qt 5 writes them: a dock is 0xfb and its name, the length in bytes first; after all
    docks come the middle's size, four numbers about corners, and the toolbars.
    """
    data = bytes.fromhex(state)
    magic, version, count = struct.unpack_from(">IIxI", data)
    assert (magic, version, data[8], count) == (0xFF, 0, 0xFD, 2), "two areas of docks"
    names, at = [], 13
    while (at := data.find(b"\xfb", at)) >= 0:
        [length] = struct.unpack_from(">I", data, at + 1)
        names.append(data[at + 5 : at + 5 + length].decode("utf-16-be"))
        at += 5 + length
    middle = data.rindex(struct.pack(">IIII", 4, 4, 1, 8))
    return names, struct.unpack_from(">II", data, middle - 8)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_the_window_gives_most_of_itself_to_the_view(path):
    """Without a state RViz puts all docks beside each other, those of displays that are off too."""
    tree = yaml.safe_load(path.read_text())
    window = tree["Window Geometry"]
    names, (width, height) = docks_of(window["QMainWindow State"])
    pictures = [d["Name"] for d in tree["Visualization Manager"]["Displays"] if d["Class"].endswith("/Image")]
    panels = [panel["Name"] for panel in tree["Panels"]]
    assert sorted(names) == sorted([*pictures, *panels]), "a dock that the state does not know opens anywhere"
    assert width > 0.7 * window["Width"] and height > 0.8 * window["Height"]


@pytest.mark.parametrize("name", ["simulation", "robot"])
def test_what_the_arm_works_at_is_shown(name):
    [topic] = [topic for display, _, topic, _ in topics_of(name) if display == "Objects"]
    assert topic == "/pybullet_bridge/objects"


@pytest.mark.slow
@pytest.mark.ros
@pytest.mark.parametrize("display", OF_OTHER_TASKS)
def test_the_sensors_of_other_tasks_are_published_with_a_qos_that_fits(graph, display):
    graph.start("pybullet_bridge", task=OF_OTHER_TASKS[display], lockstep=True)
    [(kind, topic, asked)] = [found[1:] for found in topics_of("simulation") if found[0] == display]
    graph.wait(lambda: graph.node.get_publishers_info_by_topic(topic), f"a publisher of {topic}")
    for info in graph.node.get_publishers_info_by_topic(topic):
        fits, why = qos_check_compatible(info.qos_profile, asked)
        assert info.topic_type == kind and fits == QoSCompatibility.OK, why


@pytest.mark.slow
@pytest.mark.parametrize("name", ARGUMENTS)
def test_every_topic_is_published_with_its_type_and_a_qos_that_fits(graph, model_file, name):
    graph.env |= robot_interfaces.environment()
    arguments = [text.format(model=model_file) for text in ARGUMENTS[name]]
    file = f"launch/{name}.launch.yaml"
    graph.run("launch", ["sac-gmm", "up", file, "monitor:=true", *arguments])

    def offers(topic):
        if topic in PUBLISHED_BESIDE:
            return [PUBLISHED_BESIDE[topic]]
        found = graph.node.get_publishers_info_by_topic(topic)
        return [(info.topic_type, info.qos_profile) for info in found]

    on = {display["Name"] for display in displays_of(name) if display["Enabled"]}
    for display, kind, topic, asked in topics_of(name):
        if display in OF_OTHER_TASKS:
            assert display not in on and not offers(topic), "nobody publishes what this task has not"
            continue
        graph.wait(lambda topic=topic: offers(topic), f"a publisher of {topic}")
        for published, offered in offers(topic):
            assert published == kind, f"{display}: {topic} is {published}"
            fits, why = qos_check_compatible(offered, asked)
            assert fits == QoSCompatibility.OK, f"{display}: {topic}: {why}"

    # What stands still is asked for as kept, and comes in the frame that the file is fixed to.
    prefix = "/replay" if name == "replay" else ""
    [(qos, topic)] = [(asked, topic) for display, _, topic, asked in topics_of(name) if display == "Scene"]
    assert topic == f"{prefix}/skill_monitor/scene" and qos.durability == DurabilityPolicy.TRANSIENT_LOCAL
    heard = graph.listen(topic, MarkerArray, qos)
    graph.wait(lambda: heard and heard[-1].markers, "the scene")
    fixed = yaml.safe_load((FOLDER / f"{name}.rviz").read_text())["Visualization Manager"]["Global Options"]
    assert {marker.header.frame_id for marker in heard[-1].markers if marker.action == 0} == {fixed["Fixed Frame"]}
    if name == "replay":
        ways = [marker for marker in heard[-1].markers if marker.ns == "demonstrations"]
        assert len(ways) == 1, "the recording that is played"


def test_the_page_lists_the_displays_and_which_are_on():
    page = (ROOT / "docs" / "rviz.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    first = next(number for number, row in enumerate(rows) if row[0] == "display")
    listed = {name: {} for name in rows[first][1:]}
    for row in rows[first + 2 :]:
        for display in re.findall(r"\*(.+?)\*", row[0]):
            for view, said in zip(listed, row[1:], strict=True):
                if said != "–":
                    listed[view][display] = said.startswith("on")
    for view, displays in listed.items():
        assert displays == {d["Name"]: d["Enabled"] for d in displays_of(view) if d["Name"] != "Grid"}
