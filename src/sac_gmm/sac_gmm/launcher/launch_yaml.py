"""Read the subset of ROS 2's YAML launch files that this project's own files use.

The rules are those of Jazzy's `launch_yaml` and `launch_ros`, so a file that is accepted here also runs under
`ros2 launch`. Anything outside the subset is refused by name: to start half of a file would be worse than nothing.

The subset: the actions `arg`, `let`, `set_env`, `node`, `include`, `group`, each with `if` or `unless`; the
substitutions `$(var)`, `$(env)`, `$(dirname)`, `$(find-pkg-share)`. All of it can be evaluated before anything is
started, so a file becomes a plain list of nodes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from sac_gmm.core.errors import UserError
from sac_gmm.launcher.launch_file import NOT_YAML, SUFFIXES, Action, Argument, argument_of, load, seconds_of, text_of
from sac_gmm.launcher.packages import find_package
from sac_gmm.launcher.substitutions import Scope

PARAMETER_TYPES: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda text: {"true": True, "1": True, "false": False, "0": False}[text.lower()],
}


@dataclasses.dataclass(frozen=True)
class Node:
    """One process to start.

    Attributes:
        label: Prefix of its output; unique within a launch.
        executable: The file to run.
        arguments: Command line before `--ros-args`.
        ros_arguments: Name, namespace and remappings, as ROS 2 takes them after `--ros-args`.
        parameters: In order of rising precedence: a YAML file, or the content of one.
        environment: Added to the caller's environment.
        respawn_delay_s: How long after it ends it is started again; None for never.
        required: Whether the whole launch ends with it (`on_exit: shutdown`).
        sigterm_timeout_s: Time after SIGINT until it gets SIGTERM.
    """

    label: str
    executable: Path
    arguments: tuple[str, ...] = ()
    ros_arguments: tuple[str, ...] = ()
    parameters: tuple[Path | dict[str, Any], ...] = ()
    environment: dict[str, str] = dataclasses.field(default_factory=dict)
    respawn_delay_s: float | None = None
    required: bool = False
    sigterm_timeout_s: float = 5.0


def read_launch_file(path: Path, given: dict[str, str]) -> list[Node]:
    """Turn a launch file into the nodes that it starts.

    Args:
        path: The file.
        given: Arguments of the command line, `{name: value}`.

    Raises:
        UserError: The file cannot be read, uses something outside the subset, names a package or executable that is not
            there, or an argument is unknown, missing or not among its choices.
    """
    known = {argument.name for argument in declared_arguments(path)}
    for name in given:
        if name not in known:
            takes = f"it takes {', '.join(sorted(known))}" if known else "it takes none"
            raise UserError(f"{path} has no argument '{name}': {takes} (see --show-args)")
    launch = _Launch(dict(given))
    launch.run_file(path)
    return launch.nodes


def declared_arguments(path: Path) -> list[Argument]:
    """All arguments of a launch file, including those of the files it includes unless it sets them itself."""
    found: dict[str, Argument] = {}
    _collect_arguments(path, load(path), found, _Launch({}), hidden=set(), seen=(path.resolve(),))
    return list(found.values())


def _collect_arguments(
    path: Path,
    actions: list[Action],
    found: dict[str, Argument],
    launch: _Launch,
    hidden: set[str],
    seen: tuple[Path, ...],
) -> None:
    launch.file = path
    for action in actions:
        if action.kind == "arg" and action["name"] not in hidden:
            argument = argument_of(action)
            found.setdefault(argument.name, argument)
            with contextlib.suppress(UserError):  # a default may depend on an argument that must be given
                if argument.default is not None:
                    launch.variables.setdefault(argument.name, launch.expand(argument.default))
        elif action.kind == "group":
            _collect_arguments(path, action["children"], found, launch, hidden, seen)
        elif action.kind == "include":
            try:
                included = Path(launch.expand(action["file"]))
            except UserError:
                continue  # which file it is depends on an argument that must be given
            # The arguments of a launch file in Python are known to `ros2 launch` only.
            if included.is_file() and included.resolve() not in seen and included.suffix in SUFFIXES:
                set_here = hidden | {part["name"] for part in action.get("arg", [])}
                _collect_arguments(included, load(included), found, launch, set_here, (*seen, included.resolve()))
                launch.file = path


class _Launch(Scope):
    """Carries out the actions of a launch file in order, as `ros2 launch` would, and collects the nodes."""

    def __init__(self, variables: dict[str, str]) -> None:
        super().__init__(variables)
        self.nodes: list[Node] = []
        self._including: list[Path] = []

    def run_file(self, path: Path) -> None:
        """Carry out a whole file; meanwhile `$(dirname)` is its folder."""
        if path.resolve() in self._including:
            raise UserError(f"{path} includes itself")
        outer = self.file
        self._including.append(path.resolve())
        self.file = path
        self._run(load(path))
        self.file = outer
        self._including.pop()

    def _run(self, actions: list[Action]) -> None:
        run_one = {
            "arg": self._run_arg,
            "let": self._run_let,
            "set_env": self._run_set_env,
            "node": self._run_node,
            "include": self._run_include,
            "group": self._run_group,
        }
        for action in actions:
            if self._wanted(action):
                run_one[action.kind](action)

    def _wanted(self, action: Action) -> bool:
        for key, wanted in (("if", True), ("unless", False)):
            if key in action:
                return self._truth(action, key) == wanted
        return True

    def _truth(self, action: Action, key: str) -> bool:
        text = self.expand(action[key], action.where).strip().lower()
        if text not in ("true", "1", "false", "0"):
            raise UserError(f"{action.where}: '{key}' became '{text}'; it must become true, false, 1 or 0")
        return text in ("true", "1")

    def _run_arg(self, action: Action) -> None:
        argument = argument_of(action)
        if argument.name not in self.variables:
            if argument.default is None:
                hint = f" ({argument.description})" if argument.description else ""
                raise UserError(f"{self.file} needs the argument '{argument.name}'{hint}: add {argument.name}:=VALUE")
            self.variables[argument.name] = self.expand(argument.default, action.where)
        value = self.variables[argument.name]
        if argument.choices and value not in argument.choices:
            choices = ", ".join(argument.choices)
            raise UserError(f"{self.file}: argument '{argument.name}' is '{value}'; it must be one of: {choices}")

    def _run_let(self, action: Action) -> None:
        self.variables[action["name"]] = self.expand(text_of(action, "value", action.where), action.where)

    def _run_set_env(self, action: Action) -> None:
        # As in `ros2 launch`, it holds for what is started after it, in this group.
        self.environment[action["name"]] = self.expand(text_of(action, "value", action.where), action.where)

    def _run_group(self, action: Action) -> None:
        if action.get("scoped", True) is not True:
            raise UserError(f"{action.where}: groups are always scoped here; leave 'scoped' out")
        outer = dict(self.variables), dict(self.environment)
        self._run(action["children"])
        self.variables, self.environment = outer

    def _run_include(self, action: Action) -> None:
        # As in `ros2 launch`, what an include sets stays set after it; a group around it keeps it inside.
        for part in action.get("arg", []):
            self.variables[part["name"]] = self.expand(text_of(part, "value", action.where), action.where)
        self.run_file(Path(self.expand(action["file"], action.where)))

    def _run_node(self, action: Action) -> None:
        where = action.where
        text = {key: self.expand(action[key], where) for key in ("pkg", "exec", "name", "namespace") if key in action}
        executable = find_package(text["pkg"]) / "lib" / text["pkg"] / text["exec"]
        if not os.access(executable, os.X_OK):
            raise UserError(f"{where}: package '{text['pkg']}' has no executable '{text['exec']}' ({executable})")
        if action.get("on_exit", "shutdown") != "shutdown":
            raise UserError(f"{where}: 'on_exit' can only be 'shutdown'")
        if action.get("output", "screen") not in ("screen", "both"):
            raise UserError(f"{where}: 'output' can only be 'screen' or 'both'")
        ros_arguments = []
        if "name" in text:
            ros_arguments += ["-r", f"__node:={text['name']}"]
        if "namespace" in text:
            ros_arguments += ["-r", f"__ns:=/{text['namespace'].strip('/')}"]
        for part in action.get("remap", []):
            ros_arguments += ["-r", f"{self.expand(part['from'], where)}:={self.expand(part['to'], where)}"]
        respawn = "respawn" in action and self._truth(action, "respawn")
        if respawn and "on_exit" in action:
            raise UserError(f"{where}: 'respawn' and 'on_exit: shutdown' exclude each other")
        self.nodes.append(
            Node(
                label=self._label(text.get("name", text["exec"])),
                executable=executable,
                arguments=self._arguments(action),
                ros_arguments=tuple(ros_arguments),
                parameters=self._parameters(action, text),
                environment=self.environment
                | {part["name"]: self.expand(text_of(part, "value", where), where) for part in action.get("env", [])},
                respawn_delay_s=seconds_of(action, "respawn_delay", 0.0) if respawn else None,
                required="on_exit" in action,
                sigterm_timeout_s=seconds_of(action, "sigterm_timeout", 5.0),
            )
        )

    def _arguments(self, action: Action) -> tuple[str, ...]:
        text = self.expand(action.get("args", ""), action.where, made=shlex.quote)
        try:
            return tuple(shlex.split(text))
        except ValueError as error:
            raise UserError(f"{action.where}: 'args' cannot be split into words ({error}): {text}") from error

    def _label(self, name: str) -> str:
        taken = {node.label for node in self.nodes}
        names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 2))]
        return next(label for label in names if label not in taken)

    def _parameters(self, action: Action, text: dict[str, str]) -> tuple[Path | dict[str, Any], ...]:
        # In ROS 2 a rule for a full node name wins over one for all nodes, whatever their order.
        namespaced = "name" in text and "namespace" in text
        rule = f"/{text['namespace'].strip('/')}/{text['name']}".replace("//", "/") if namespaced else "/**"
        parameters: list[Path | dict[str, Any]] = []
        for part in action.get("param", []):
            if "from" in part and len(part) == 1:
                path = Path(self.expand(part["from"], action.where))
                if not path.is_file():
                    raise UserError(f"{action.where}: there is no parameter file {path}")
                parameters.append(path)
            elif "name" in part and "value" in part and "from" not in part:
                name = self.expand(part["name"], action.where)
                value = self._value(part, f"{action.where}: parameter '{name}'")
                parameters.append({rule: {"ros__parameters": {name: value}}})
            else:
                raise UserError(f"{action.where}: a 'param' is either 'name' with 'value', or 'from' alone")
        return tuple(parameters)

    def _value(self, part: dict[str, Any], where: str) -> Any:
        """A parameter's value: as written when plain, read as YAML when a substitution made it, else of its `type`."""
        value = part["value"]
        if "type" in part:
            if part["type"] not in PARAMETER_TYPES:
                raise UserError(
                    f"{where}: type '{part['type']}' is not known; take one of: {', '.join(PARAMETER_TYPES)}"
                )
            plain = self.expand(value, where) if isinstance(value, str) else str(value)
            try:
                return PARAMETER_TYPES[part["type"]](plain)
            except (ValueError, KeyError):
                raise UserError(f"{where} became '{plain}', which is no {part['type']}") from None
        if isinstance(value, list):
            items = [self._scalar(item, where) for item in value]
            if len({type(item) for item in items}) > 1:
                raise UserError(f"{where} mixes types in its list: {items}")
            return items
        return self._scalar(value, where)

    def _scalar(self, value: Any, where: str) -> Any:
        if isinstance(value, str) and "$(" in value:
            expanded = self.expand(value, where)
            value = _plain_yaml(expanded, where) if expanded else expanded
            if isinstance(value, list) and value and all(isinstance(item, int | float | str) for item in value):
                return value
        if not isinstance(value, bool | int | float | str):
            raise UserError(f"{where}: {value!r} is neither text, number, true/false nor a list of these")
        return value


def _plain_yaml(text: str, where: str) -> Any:
    """The value of an expanded substitution, as `ros2 launch` reads it."""
    try:
        return yaml.safe_load(text)
    except NOT_YAML as error:
        raise UserError(
            f"{where} became '{text}', which cannot be read as YAML: give another value, or 'type: str' beside it in "
            "the file where it is a text"
        ) from error
