"""Write docs/reference: every node with its topics, services and parameters, every message with its fields.

    python tools/reference.py            # or `make reference`
    python tools/reference.py --check    # exits with 1 if the pages differ from the code

The nodes are created for real, each in a fork of one process that has the packages loaded, and asked what they publish,
subscribe to, serve and accept; they are not run. Whatever depends on a parameter is found by creating the node again
with that parameter. The messages are read from src/sac_gmm_interfaces.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import multiprocessing
import os
import re
import subprocess
import sys
import tempfile
import textwrap
from dataclasses import dataclass
from importlib.metadata import entry_points
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "docs" / "reference"
INTERFACES = ROOT / "src" / "sac_gmm_interfaces"
_NAMESPACE = "/reference"  # absolute names are not below it
_MADE_BY = "*Written by `make reference` from the code; a test compares the two.*"

_OPENING = """Names are relative to the node's namespace unless they begin with `/`; `~` is the node's own name. QoS:
how it is offered or asked for, how many messages are kept, and whether they are kept for who comes late. Every node has
`use_sim_time`, and beside what is listed here the services of parameters. What is in the messages of
`sac_gmm_interfaces` stands in [messages.md](messages.md)."""


@dataclass(frozen=True)
class Kind:
    """How a node is created.

    Attributes:
        given: Parameters that it cannot start without.
        variants: Further sets of parameters, one for each mode with additional topics or parameters.
        arguments: Command-line arguments.
    """

    given: tuple[str, ...] = ()
    variants: tuple[tuple[str, ...], ...] = ()
    arguments: tuple[str, ...] = ()


_LBR = ("urdf_file:={urdf}", "tip_frame:=tcp", "autostart:=true")
NODES = {
    "gmm_controller": Kind(
        ("model_file:={model}",), (("deadman:=true",), ("robot:=joints", *_LBR), ("robot:=lbr", *_LBR))
    ),
    "guard": Kind((), (("deadman:=true",), ("robot:=joints", *_LBR), ("robot:=lbr", *_LBR))),
    "sac_adapter": Kind(("model_file:={model}", "run_dir:={folder}/run"), (("config_folder:={root}/config/methods",),)),
    "skill_runner": Kind(
        ("model_file:={model}", "method:=residual_gmm", "run_dir:={folder}/runner"),
        (("config_folder:={root}/config/methods", "task:=door", "run_dir:={folder}/door"),),
    ),
    "aruco_reward": Kind((), (("publish_tf:=true",),)),
    "lamp_reward": Kind(),
    "switch_reward": Kind(),
    "button_reward": Kind(),
    "threshold_reward": Kind(),
    "simulation_reward": Kind(),
    "marker_target": Kind(("extrinsics_file:={root}/config/hand_camera.json",), (("source:=fixed",),)),
    "home_reset": Kind(("demonstrations:={root}/demos/door",)),
    "teach_home": Kind(("file:={folder}/home.json",)),
    "task_reward": Kind(arguments=("--task", "door")),
    "episode_manager": Kind(),
    "lifecycle_manager": Kind(("nodes:=[gmm_controller]",)),
    "pybullet_bridge": Kind((), (("driver:=only",), ("task:=lever",), ("task:=peg",))),
    "skill_monitor": Kind(),
    "live_view": Kind(("port:=18481",)),
    "demo_recorder": Kind((), (("follow_episodes:=true",),)),
    "demo_player": Kind(("bag:={root}/demos/door/door_00",), (("mode:=motion",),)),
    "hand_demo_recorder": Kind(("backend:=marker",), (("use_depth:=true",), ("follow_episodes:=true",))),
    "hand_camera": Kind(("extrinsics_file:={root}/config/hand_camera.json",)),
    "film_source": Kind(("film:={film}",), (("reliable_images:=true",),)),
    "teleoperator": Kind((), (("wait_for_hand:=true",),)),
    "joy_teleop": Kind((), (("reset_scene:=true",),)),
    "calibrate_speed": Kind((), (("robot:=lbr",),)),
    "skill_client": Kind(arguments=("base", "--episodes", "1", "--first-seed", "0")),
    "recording_load": Kind(),
    "discovery_probe": Kind((), (("role:=ask",),)),
}


def module_of(executable: str) -> str:
    """The module behind an executable of `sac_gmm_nodes`, according to the entry points."""
    (found,) = entry_points(group="console_scripts", name=executable)
    return found.module


def main() -> int:
    """Write the pages, or compare them; return 1 if they differ."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare only")
    parser.add_argument("--describe", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.describe:
        print(json.dumps(describe_all(json.loads(options.describe))))
        return 0
    stale = []
    for path, text in ((FOLDER / "messages.md", messages_page()), (FOLDER / "nodes.md", nodes_page())):
        if not path.exists() or path.read_text() != text:
            stale.append(path.relative_to(ROOT))
            if not options.check:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)
    print(f"{'stale' if options.check else 'written'}: {', '.join(map(str, stale))}" if stale else "up to date")
    return 1 if options.check and stale else 0


# ------------------------------------------------------------------------------------------------------------ messages


def messages_page() -> str:
    """The page about messages, services and actions."""
    parts = ["# Messages, services, actions", "", _MADE_BY, "", "Package `sac_gmm_interfaces`.", ""]
    for folder, title in (("msg", "Messages"), ("srv", "Services"), ("action", "Actions")):
        parts += [f"## {title}", ""]
        for path in sorted((INTERFACES / folder).glob(f"*.{folder}")):
            parts += _interface(path, folder)
    return "\n".join(parts)


def _interface(path: Path, folder: str) -> list[str]:
    titles = {"msg": [""], "srv": ["Request", "Response"], "action": ["Goal", "Result", "Feedback"]}[folder]
    sections = re.split(r"^---\s*$", path.read_text(), flags=re.MULTILINE)
    parts = [f"### {path.stem}", ""]
    about, sections[0] = _opening_comment(sections[0])
    parts += [about, ""] if about else []
    for title, section in zip(titles, sections, strict=True):
        constants, fields = _fields(section)
        parts += [f"**{title}**", ""] if title else []
        if fields:
            parts += ["| field | type | |", "|---|---|---|"]
            parts += [f"| `{name}` | `{kind}` | {_cell(text)} |" for kind, name, text in fields] + [""]
        elif title:
            parts += ["Nothing.", ""]
        if constants:
            parts += ["| constant | value | |", "|---|---|---|"]
            parts += [f"| `{name}` | {value} | {_cell(text)} |" for name, value, text in constants] + [""]
    return parts


def _opening_comment(text: str) -> tuple[str, str]:
    lines = text.splitlines()
    count = next((i for i, line in enumerate(lines) if not line.startswith("#")), len(lines))
    return " ".join(line.lstrip("# ") for line in lines[:count]), "\n".join(lines[count:])


def _fields(section: str) -> tuple[list[tuple[str, str, str]], list[tuple[str, str, str]]]:
    """Constants (name, value, comment) and fields (type, name, comment), in order."""
    constants, fields = [], []
    for line in section.splitlines():
        code, _, comment = line.partition("#")
        if constant := re.match(r"\s*\w+\s+([A-Z0-9_]+)\s*=\s*(\S+)", code):
            constants.append((constant[1], constant[2], comment.strip()))
        elif field := re.match(r"\s*(\S+)\s+(\w+)(?:\s+\S+)?\s*$", code):  # a default value may follow
            fields.append((field[1], field[2], comment.strip()))
    return constants, fields


# --------------------------------------------------------------------------------------------------------------- nodes


def nodes_page() -> str:
    """The page about nodes; creates each of them."""
    parts = ["# Nodes", "", _MADE_BY, ""]
    parts += [_OPENING, ""]
    with tempfile.TemporaryDirectory() as folder:
        places = _places(Path(folder))
        makings = [(name, variant) for name, kind in NODES.items() for variant in ((), *kind.variants)]
        described = dict(zip(makings, _ask([_making(*making, places) for making in makings], places), strict=True))
    for name, kind in NODES.items():
        parts += _node(name, kind, described)
    return "\n".join(parts)


def _places(folder: Path) -> dict[str, str]:
    """Files that some nodes cannot start without."""
    import cv2
    import numpy as np

    from sac_gmm.models import GaussianMixture, SkillModel, save_model
    from sac_gmm.tasks.arms.description import describe_iiwa

    mixture = GaussianMixture(np.full(2, 0.5), np.zeros((2, 6)), np.tile(np.eye(6), (2, 1, 1)))
    save_model(folder / "model.npz", SkillModel("gmm", mixture, np.zeros(3)))
    (folder / "arm.urdf").write_text(describe_iiwa())
    film = cv2.VideoWriter(str(folder / "film.avi"), cv2.VideoWriter.fourcc(*"MJPG"), 10.0, (64, 64))
    for shade in range(5):
        film.write(np.full((64, 64, 3), 40 * shade, np.uint8))
    film.release()
    files = {"model": "model.npz", "urdf": "arm.urdf", "film": "film.avi"}
    return {"root": str(ROOT), "folder": str(folder)} | {key: str(folder / name) for key, name in files.items()}


def _node(name: str, kind: Kind, described: dict[tuple[str, tuple[str, ...]], dict[str, Any]]) -> list[str]:
    plain = described[name, ()]
    given = {text.split(":=")[0] for text in kind.given}
    always = {(entry["what"], entry["name"]) for entry in plain["entries"]}
    entries = {(entry["what"], entry["name"]): entry for entry in plain["entries"]}
    conditions: dict[tuple[str, str], list[str]] = {}
    for variant in kind.variants:
        label = variant[0].split(":={")[0].replace(":=", ": ")
        for entry in described[name, variant]["entries"]:
            key = entry["what"], entry["name"]
            if key not in always:
                entries.setdefault(key, entry)
                conditions.setdefault(key, []).append(f"`{label}`")
    for key, entry in entries.items():
        entry["condition"] = ", ".join(conditions.get(key, []))
        entry["given"] = entry["name"] in given

    def chosen(what: str) -> list[dict[str, Any]]:
        return sorted((entry for key, entry in entries.items() if key[0] == what), key=lambda entry: entry["name"])

    parts = [f"## {name}", "", plain["about"], ""]
    if plain["has_life_cycle"]:
        parts += ["It has a life cycle: `ros2 lifecycle` and the services of `lifecycle_msgs`.", ""]
    for what, title in (("publishes", "Publishes"), ("hears", "Hears"), ("serves", "Serves"), ("calls", "Calls")):
        with_qos = what in ("publishes", "hears")
        if found := chosen(what):
            parts += [f"| {title} | type |{' QoS |' if with_qos else ''}", f"|---|---|{'---|' if with_qos else ''}"]
            parts += [_entity_row(entry) + (f" {entry['qos']} |" if with_qos else "") for entry in found] + [""]
    if found := chosen("takes"):
        parts += ["| parameter | default | range and unit | |", "|---|---|---|---|"]
        parts += [_parameter_row(entry) for entry in found] + [""]
    return parts


def _entity_row(entry: dict[str, Any]) -> str:
    condition = f" ({entry['condition']})" if entry["condition"] else ""
    return f"| `{entry['name']}`{condition} | `{entry['type']}` |"


def _parameter_row(entry: dict[str, Any]) -> str:
    text, _, reach = entry["description"].partition(" [")
    notes = [entry["condition"]] if entry["condition"] else []
    notes += ["may be set while it runs"] if not entry["read_only"] and "while it runs" not in text else []
    default = "must be given" if entry["given"] and not entry["default"] else _value(entry["default"])
    note = f" ({'; '.join(notes)})" if notes else ""
    return f"| `{entry['name']}` | {default} | {_cell(reach.removesuffix(']'))} | {_cell(text)}{note} |"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, list):
        return f"[{', '.join(_value(entry) for entry in value if entry != '')}]"
    return "empty" if value in ("", None) else f"`{value}`" if isinstance(value, str) else str(value)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _making(name: str, variant: tuple[str, ...], places: dict[str, str]) -> list[str]:
    """A node and the parameters to create it with."""
    changed = {text.split(":=")[0] for text in variant}
    given = [text for text in NODES[name].given if text.split(":=")[0] not in changed]
    return [name, *(text.format(**places) for text in (*given, *variant))]


def _ask(makings: list[list[str]], places: dict[str, str]) -> list[dict[str, Any]]:
    """Collect the descriptions of nodes."""
    sys.path.insert(0, str(ROOT / "tests" / "nodes"))
    import robot_interfaces  # the message packages on a robot's machine

    done = subprocess.run(
        [sys.executable, __file__, "--describe", json.dumps(makings)],
        env={**os.environ, **robot_interfaces.environment(), "ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"},
        cwd=places["folder"],
        capture_output=True,
        text=True,
        errors="replace",
        timeout=240,
        check=False,
    )
    if done.returncode != 0:
        raise SystemExit(f"a node cannot be made:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def describe_all(makings: list[list[str]]) -> list[dict[str, Any]]:
    """Describe nodes, each created in a fork of this process."""
    for name in NODES:
        importlib.import_module(module_of(name))  # once for all of them: it takes most of the time
    described = []
    for making in makings:
        print(f"[reference] {' '.join(making)}", file=sys.stderr, flush=True)
        receiver, sender = multiprocessing.Pipe(duplex=False)
        fork = multiprocessing.get_context("fork").Process(target=_describe_to, args=(sender, making))
        fork.start()
        sender.close()  # so that the fork's end is an end of file
        try:
            described.append(receiver.recv())
        except EOFError:
            sys.exit(1)  # it has printed the reason
        fork.join()
    return described


def _describe_to(sender: Connection, making: list[str]) -> None:
    sender.send(describe(*making))


def describe(name: str, *parameters: str) -> dict[str, Any]:
    """Create a node in this process and describe what it publishes, subscribes to, serves, calls and accepts."""
    import rclpy
    from rclpy.lifecycle.node import LifecycleNodeMixin

    from sac_gmm_nodes.common.node import BaseNode

    module = importlib.import_module(module_of(name))
    factories: list[Any] = []
    module.run_node = factories.append  # type: ignore[attr-defined] - its main says how the node is made
    sys.argv = [name, *NODES[name].arguments]
    module.main()
    arguments = ["--ros-args", "-r", f"__ns:={_NAMESPACE}"]
    for text in parameters:
        arguments += ["-p", text]
    rclpy.init(args=arguments)
    defaults: dict[str, Any] = {}
    given = BaseNode._given

    def note_default(self: BaseNode, name: str, default: Any) -> Any:
        defaults[name] = default
        return given(self, name, default)

    BaseNode._given = note_default  # type: ignore[method-assign] - a descriptor does not say what the default is
    node = factories[0]()
    try:
        return {
            "about": _about(module.__doc__ or ""),
            "has_life_cycle": isinstance(node, LifecycleNodeMixin),
            "entries": [*filter(None, _entities(node)), *_parameters(node, defaults)],
        }
    finally:
        node.stopping.set()
        with contextlib.redirect_stdout(sys.stderr):
            node.close()
        node.destroy_node()
        rclpy.try_shutdown()


def _about(doc: str) -> str:
    """A docstring as Markdown: its indented examples become code blocks."""
    paragraphs = [part.strip("\n") for part in re.split(r"\n\s*\n", doc)]
    blocks = [f"```console\n{textwrap.dedent(part)}\n```" if part.startswith("    ") else part for part in paragraphs]
    return "\n\n".join(blocks)


def _entities(node: Any) -> Any:
    import rclpy.action

    own = node.get_fully_qualified_name()
    for publisher in node.publishers:
        yield _entity("publishes", publisher.topic_name, publisher.msg_type, own, publisher.qos_profile)
    for subscription in node.subscriptions:
        yield _entity("hears", subscription.topic_name, subscription.msg_type, own, subscription.qos_profile)
    for service in node.services:
        yield _entity("serves", service.srv_name, service.srv_type, own)
    for client in node.clients:
        yield _entity("calls", client.srv_name, client.srv_type, own)
    me = node.get_name(), node.get_namespace()
    for what, actions in (
        ("serves", rclpy.action.get_action_server_names_and_types_by_node),
        ("calls", rclpy.action.get_action_client_names_and_types_by_node),
    ):
        for name, [kind] in actions(node, *me):
            yield {"what": what, "name": name.removeprefix(f"{_NAMESPACE}/"), "type": kind, "qos": ""}


def _entity(what: str, name: str, kind: type, own: str, qos: Any = None) -> dict[str, str] | None:
    package, folder = kind.__module__.split(".")[:2]
    of_every_node = package in ("rcl_interfaces", "type_description_interfaces", "lifecycle_msgs")
    name = name.removeprefix(f"{_NAMESPACE}/")  # services keep the name that they were given
    own = own.removeprefix(f"{_NAMESPACE}/")
    name = f"~{name.removeprefix(own)}" if name.startswith(f"{own}/") else name
    if (of_every_node and name.startswith("~/")) or name in ("/rosout", "/parameter_events"):
        return None
    return {"what": what, "name": name, "type": f"{package}/{folder}/{kind.__name__}", "qos": _qos(qos) if qos else ""}


def _qos(qos: Any) -> str:
    reliability = {"RELIABLE": "reliable", "BEST_EFFORT": "best effort"}[qos.reliability.name]
    kept = ", kept" if qos.durability.name == "TRANSIENT_LOCAL" else ""
    return f"{reliability}, last {qos.depth}{kept}"


def _parameters(node: Any, defaults: dict[str, Any]) -> list[dict[str, Any]]:
    found = []
    for name, default in defaults.items():
        descriptor = node.describe_parameter(name)
        plain = isinstance(default, (str, int, float))
        about = {"description": descriptor.description, "read_only": bool(descriptor.read_only)}
        found.append({"what": "takes", "name": name, "default": default if plain else list(default), **about})
    return found


if __name__ == "__main__":
    sys.exit(main())
