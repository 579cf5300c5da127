"""Read the part of ROS 2's YAML launch files that this project's own files use.

The rules are those of Jazzy's `launch_yaml` and `launch_ros`, so that a file accepted here runs under `ros2 launch` as
well. Whatever lies outside the part is refused by name: starting half of what a file says would be worse than nothing.

What is read: the actions `arg`, `let`, `node`, `include`, `group`, each with `if` or `unless`; the substitutions
`$(var)`, `$(env)`, `$(dirname)`, `$(find-pkg-share)`. Every decision of such a file can be taken before any start,
so a file becomes a plain list of nodes.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import yaml

from sac_gmm.core.errors import UserError

# The attributes of each action beside `if` and `unless`; those in capitals must be there.
ACTIONS = {
    "arg": ("NAME", "default", "description", "choice"),
    "let": ("NAME", "VALUE"),
    "node": (
        *("PKG", "EXEC", "name", "namespace", "args", "param", "remap", "env", "output"),
        *("respawn", "respawn_delay", "on_exit", "sigterm_timeout"),
    ),
    "include": ("FILE", "arg"),
    "group": ("CHILDREN", "scoped"),
}
# Lists of small mappings inside an action, with their attributes.
PARTS = {
    ("arg", "choice"): ("VALUE",),
    ("node", "param"): ("name", "value", "type", "from"),
    ("node", "remap"): ("FROM", "TO"),
    ("node", "env"): ("NAME", "VALUE"),
    ("include", "arg"): ("NAME", "VALUE"),
}
_SUFFIXES = (".yaml", ".yml")
NOT_TEXT = {"value", "respawn_delay", "sigterm_timeout", "children", "scoped"}  # checked where they are used
_NOT_YAML = (yaml.YAMLError, ValueError, RecursionError)  # ValueError: no UTF-8, or a day that no month has
PARAMETER_TYPES: dict[str, Callable[[str], Any]] = {
    "str": str,
    "int": int,
    "float": float,
    "bool": lambda text: {"true": True, "1": True, "false": False, "0": False}[text.lower()],
}


@dataclasses.dataclass(frozen=True)
class Argument:
    """An argument that a launch file takes: `name:=value`. Without a default it must be given."""

    name: str
    default: str | None
    description: str
    choices: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Node:
    """One process to start.

    Attributes:
        label: What its output is marked with; no two nodes of a launch share one.
        executable: The file to run.
        arguments: Command line before `--ros-args`.
        ros_arguments: Name, namespace and remappings, as ROS 2 takes them after `--ros-args`.
        parameters: In order of rising precedence: a YAML file, or the content of one.
        environment: Added to the caller's environment.
        respawn_delay_s: Start again this long after any end; None is never.
        required: Whether its end is the end of the whole launch (`on_exit: shutdown`).
        sigterm_timeout_s: How long it may take to end after SIGINT before it gets SIGTERM.
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
        UserError: The file cannot be read, asks for something outside the part that is read here, names a package or
            executable that is not there, or an argument is unknown, missing or not among its choices.
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
    """All arguments that a launch file takes, those of the files it includes too unless it sets them itself."""
    found: dict[str, Argument] = {}
    _collect_arguments(path, _load(path), found, _Launch({}), hidden=set(), seen=(path.resolve(),))
    return list(found.values())


def _collect_arguments(
    path: Path,
    actions: list[_Action],
    found: dict[str, Argument],
    launch: _Launch,
    hidden: set[str],
    seen: tuple[Path, ...],
) -> None:
    launch.file = path
    for action in actions:
        if action.kind == "arg" and action["name"] not in hidden:
            argument = _argument(action)
            found.setdefault(argument.name, argument)
            with contextlib.suppress(UserError):  # a default may hang on an argument that must be given
                if argument.default is not None:
                    launch.variables.setdefault(argument.name, launch.expand(argument.default))
        elif action.kind == "group":
            _collect_arguments(path, action["children"], found, launch, hidden, seen)
        elif action.kind == "include":
            try:
                included = Path(launch.expand(action["file"]))
            except UserError:
                continue  # which file it is depends on an argument that must be given
            # The arguments of a launch file in Python only Python knows; `ros2 launch` lists them.
            if included.is_file() and included.resolve() not in seen and included.suffix in _SUFFIXES:
                set_here = hidden | {part["name"] for part in action.get("arg", [])}
                _collect_arguments(included, _load(included), found, launch, set_here, (*seen, included.resolve()))
                launch.file = path


def find_in_package(package: str, file_name: str) -> Path:
    """A launch file by package and name, as `ros2 launch PACKAGE FILE` finds it.

    Raises:
        UserError: The package is not there, or it has no such file or more than one.
    """
    share = find_package(package) / "share" / package
    found = sorted(share.rglob(file_name)) if file_name else []
    if len(found) != 1:
        number = "several files" if found else "no file"
        raise UserError(f"package '{package}' has {number} named '{file_name}' below {share}")
    return found[0]


def find_package(package: str) -> Path:
    """The prefix in which a package is installed, by the ament index.

    Raises:
        UserError: No prefix of AMENT_PREFIX_PATH has it.
    """
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if prefix and Path(prefix, "share", "ament_index", "resource_index", "packages", package).is_file():
            return Path(prefix)
    raise UserError(f"ROS package '{package}' is not found: run `make setup`, then `source install/setup.bash`")


class _Action(dict[str, Any]):
    """The attributes of one action, checked to be ones that are understood."""

    kind: str
    where: str


class _Launch:
    """Carries out the actions of a launch file in order, as `ros2 launch` would, down to the list of nodes."""

    def __init__(self, variables: dict[str, str]) -> None:
        self.variables = variables
        self.nodes: list[Node] = []
        self.file = Path()
        self._including: list[Path] = []

    def run_file(self, path: Path) -> None:
        """Carry out a whole file; `$(dirname)` is its folder meanwhile."""
        if path.resolve() in self._including:
            raise UserError(f"{path} includes itself")
        outer = self.file
        self._including.append(path.resolve())
        self.file = path
        self._run(_load(path))
        self.file = outer
        self._including.pop()

    def _run(self, actions: list[_Action]) -> None:
        run_one = {
            "arg": self._run_arg,
            "let": self._run_let,
            "node": self._run_node,
            "include": self._run_include,
            "group": self._run_group,
        }
        for action in actions:
            if self._wanted(action):
                run_one[action.kind](action)

    def _wanted(self, action: _Action) -> bool:
        for key, wanted in (("if", True), ("unless", False)):
            if key in action:
                return self._truth(action, key) == wanted
        return True

    def _truth(self, action: _Action, key: str) -> bool:
        text = self.expand(action[key], action.where).strip().lower()
        if text not in ("true", "1", "false", "0"):
            raise UserError(f"{action.where}: '{key}' became '{text}'; it must become true, false, 1 or 0")
        return text in ("true", "1")

    def _run_arg(self, action: _Action) -> None:
        argument = _argument(action)
        if argument.name not in self.variables:
            if argument.default is None:
                hint = f" ({argument.description})" if argument.description else ""
                raise UserError(f"{self.file} needs the argument '{argument.name}'{hint}: add {argument.name}:=VALUE")
            self.variables[argument.name] = self.expand(argument.default, action.where)
        value = self.variables[argument.name]
        if argument.choices and value not in argument.choices:
            choices = ", ".join(argument.choices)
            raise UserError(f"{self.file}: argument '{argument.name}' is '{value}'; it must be one of: {choices}")

    def _run_let(self, action: _Action) -> None:
        self.variables[action["name"]] = self.expand(_text(action, "value", action.where), action.where)

    def _run_group(self, action: _Action) -> None:
        if action.get("scoped", True) is not True:
            raise UserError(f"{action.where}: groups are always scoped here; leave 'scoped' out")
        outer = dict(self.variables)
        self._run(action["children"])
        self.variables = outer

    def _run_include(self, action: _Action) -> None:
        # As in `ros2 launch`, what an include sets stays set after it; a group around it keeps it inside.
        for part in action.get("arg", []):
            self.variables[part["name"]] = self.expand(_text(part, "value", action.where), action.where)
        self.run_file(Path(self.expand(action["file"], action.where)))

    def _run_node(self, action: _Action) -> None:
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
                environment={
                    part["name"]: self.expand(_text(part, "value", where), where) for part in action.get("env", [])
                },
                respawn_delay_s=_seconds(action, "respawn_delay", 0.0) if respawn else None,
                required="on_exit" in action,
                sigterm_timeout_s=_seconds(action, "sigterm_timeout", 5.0),
            )
        )

    def _arguments(self, action: _Action) -> tuple[str, ...]:
        text = self.expand(action.get("args", ""), action.where, made=shlex.quote)
        try:
            return tuple(shlex.split(text))
        except ValueError as error:
            raise UserError(f"{action.where}: 'args' cannot be split into words ({error}): {text}") from error

    def _label(self, name: str) -> str:
        taken = {node.label for node in self.nodes}
        names = [name, *(f"{name}-{number}" for number in range(2, len(taken) + 2))]
        return next(label for label in names if label not in taken)

    def _parameters(self, action: _Action, text: dict[str, str]) -> tuple[Path | dict[str, Any], ...]:
        # ROS 2 lets a rule for a full node name win over one for all nodes, whatever their order.
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

    def expand(self, text: str, where: str = "", made: Callable[[str], str] = str) -> str:
        """Replace every `$(…)` in `text` with `made` of its value; a backslash takes the next character as it is."""
        return self._expand_until(text, 0, "", where or str(self.file), made)[0]

    def _expand_until(
        self, text: str, at: int, stops: str, where: str, made: Callable[[str], str] = str
    ) -> tuple[str, int]:
        """Read from `at` up to one of `stops` that is neither escaped nor inside a substitution of its own."""
        out = ""
        while at < len(text) and text[at] not in stops:
            if text[at] == "\\" and at + 1 < len(text):
                out += text[at + 1]
                at += 2
            elif text.startswith("$(", at):
                value, at = self._substitute(text, at + 2, where)
                out += made(value)
            else:
                out += text[at]
                at += 1
        return out, at

    def _substitute(self, text: str, at: int, where: str) -> tuple[str, int]:
        words = []
        while at < len(text) and text[at] != ")":
            if text[at] == " ":
                at += 1
                continue
            quote = text[at] if text[at] in "'\"" else ""
            word, at = self._expand_until(text, at + len(quote), quote or " )", where)
            words.append(word)
            at += len(quote)
        if at >= len(text):
            raise UserError(f"{where}: '{text}' has a '$(' that is not closed")
        return self._substitution(words, where), at + 1

    def _substitution(self, words: list[str], where: str) -> str:
        match words:
            case ["var", name] if name in self.variables:
                return self.variables[name]
            case ["var", name]:
                raise UserError(f"{where}: $(var {name}) is not set; declare it with 'arg' or 'let' before")
            case ["env", name, *default] if len(default) <= 1 and (name in os.environ or default):
                return os.environ.get(name, *default)
            case ["env", name]:
                raise UserError(
                    f"{where}: the environment has no variable {name}; set it, or write $(env {name} DEFAULT)"
                )
            case ["dirname"]:
                return str(self.file.absolute().parent)
            case ["find-pkg-share", package]:
                return str(find_package(package) / "share" / package)
            case _:
                raise UserError(
                    f"{where}: `sac-gmm up` does not know $({' '.join(words)}); it knows $(var NAME), "
                    "$(env NAME [DEFAULT]), $(dirname), $(find-pkg-share PACKAGE). `ros2 launch` knows more"
                )


def _argument(action: _Action) -> Argument:
    choices = tuple(_text(part, "value", action.where) for part in action.get("choice", []))
    return Argument(action["name"], action.get("default"), action.get("description", ""), choices)


def _load(path: Path) -> list[_Action]:
    """Read and check one file, without the files it includes."""
    if path.suffix not in _SUFFIXES:
        raise UserError(f"{path}: `sac-gmm up` reads launch files in YAML only; this one needs `ros2 launch`")
    try:
        tree = yaml.safe_load(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read launch file {path}: {error.strerror}") from error
    except _NOT_YAML as error:
        raise UserError(f"{path} is not valid YAML: {' '.join(str(error).split())}") from error
    if not isinstance(tree, dict) or list(tree) != ["launch"]:
        raise UserError(f"{path} is not a YAML launch file: it must have 'launch:' at its top and nothing beside it")
    try:
        return list(_checked(tree["launch"], path))
    except RecursionError:
        raise UserError(f"{path}: an alias (*NAME) stands inside what it refers to: write its actions out") from None


def _checked(entries: Any, path: Path) -> Iterator[_Action]:
    if not isinstance(entries, list):
        raise UserError(f"{path}: 'launch' and 'group' need a list of actions")
    for entry in entries:
        if not isinstance(entry, dict) or len(entry) != 1:
            raise UserError(f"{path}: every action is one 'kind: {{attributes}}', found {str(entry)[:60]!r}")
        [(kind, attributes)] = entry.items()
        if kind not in ACTIONS:
            raise UserError(
                f"{path}: `sac-gmm up` does not know the action '{kind}'; it knows {', '.join(ACTIONS)}. "
                "`ros2 launch` knows more"
            )
        if kind == "group" and isinstance(attributes, list):
            attributes = {"children": attributes}
        called = attributes.get("name", attributes.get("exec", "")) if isinstance(attributes, dict) else ""
        where = f"{path}: {kind} '{called}'" if called else f"{path}: {kind}"
        lists = [key for owner, key in PARTS if owner == kind]
        _check_attributes(attributes, (*ACTIONS[kind], "if", "unless"), lists, where)
        if "if" in attributes and "unless" in attributes:
            raise UserError(f"{where}: 'if' and 'unless' exclude each other")
        for key in lists:
            if not isinstance(attributes.get(key, []), list):
                raise UserError(f"{where}: '{key}' must be a list")
            for part in attributes.get(key, []):
                _check_attributes(part, PARTS[kind, key], [], f"{where}: {key}")
        action = _Action(attributes)
        action.kind, action.where = kind, where
        if kind == "group":
            action["children"] = list(_checked(attributes["children"], path))
        yield action


def _check_attributes(attributes: Any, allowed: tuple[str, ...], lists: list[str], where: str) -> None:
    if not isinstance(attributes, dict):
        raise UserError(f"{where} must be a mapping of attributes")
    names = [name.lower() for name in allowed]
    for key in attributes:
        if key not in names:
            raise UserError(f"{where}: `sac-gmm up` does not know the attribute '{key}'; it knows {', '.join(names)}")
        if key not in NOT_TEXT and key not in lists:
            _text(attributes, key, where)
    for name in allowed:
        if name.isupper() and name.lower() not in attributes:
            raise UserError(f"{where}: the attribute '{name.lower()}' is missing")


def _plain_yaml(text: str, where: str) -> Any:
    """What a substitution became, as `ros2 launch` reads it."""
    try:
        return yaml.safe_load(text)
    except _NOT_YAML as error:
        raise UserError(
            f"{where} became '{text}', which cannot be read as YAML: give another value, or 'type: str' beside it in "
            "the file where it is a text"
        ) from error


def _text(attributes: dict[str, Any], key: str, where: str) -> str:
    """An attribute that must be text; `ros2 launch` refuses a bare number or true there as well."""
    value = attributes[key]
    if not isinstance(value, str):
        raise UserError(f"{where}: '{key}' must be text; put it in quotes: {key}: \"{str(value).lower()}\"")
    return value


def _seconds(action: _Action, key: str, default: float) -> float:
    value = action.get(key, default)
    if not isinstance(value, float) or value < 0.0:
        raise UserError(f"{action.where}: '{key}' must be a number of seconds with a decimal point, found {value!r}")
    return value
