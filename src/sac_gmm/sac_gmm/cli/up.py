"""Start the nodes of a YAML launch file without `ros2 launch`.

    sac-gmm up launch/simulation.launch.yaml model:=models/door/sac_gmm/skill.npz
    sac-gmm up sac_gmm_bringup simulation.launch.yaml model:=models/door/sac_gmm/skill.npz seed:=1
    sac-gmm up launch/simulation.launch.yaml --show-args

A small stop-gap by design: it supports only the part of the launch language that this project's files use, and names
anything else in an error. With ROS 2 installed, use `ros2 launch sac_gmm_bringup simulation.launch.yaml` with the same
arguments.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from sac_gmm.core.errors import UserError


def main(args: list[str]) -> int:
    """Start a launch file and wait until its nodes have ended.

    Returns:
        0 after a clean end or Ctrl-C, 1 if a required node died or a node had to be killed.
    """
    parser = argparse.ArgumentParser("sac-gmm up", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("file", metavar="FILE | PACKAGE FILE", help="a launch file, or a package and the name of one")
    parser.add_argument("rest", metavar="name:=value", nargs="*", help="arguments of the launch file")
    parser.add_argument("-s", "--show-args", action="store_true", help="list its arguments, and start nothing")
    options = parser.parse_intermixed_args(args)

    from sac_gmm.launcher.launch_yaml import declared_arguments, read_launch_file
    from sac_gmm.launcher.packages import find_in_package
    from sac_gmm.launcher.supervisor import supervise

    path, rest = Path(options.file), options.rest
    if not path.is_file() and rest and ":=" not in rest[0]:
        path, rest = find_in_package(options.file, rest[0]), rest[1:]
    if options.show_args:
        for argument in declared_arguments(path):
            default = "must be given" if argument.default is None else f"default: {argument.default!r}"
            choices = f"; one of: {', '.join(argument.choices)}" if argument.choices else ""
            print(f"{argument.name}  ({default}{choices})\n    {argument.description or 'no description'}")
        return 0
    nodes = read_launch_file(path, dict(_name_and_value(text) for text in rest))
    if not nodes:
        raise UserError(f"{path} starts no node with these arguments")
    print(f"[launch] {path}: {len(nodes)} node(s), started by `sac-gmm up`, a stand-in for `ros2 launch`", flush=True)
    return supervise(nodes)


def _name_and_value(text: str) -> tuple[str, str]:
    name, separator, value = text.partition(":=")
    if not name or not separator:
        raise UserError(f"'{text}' is not an argument of a launch file; write name:=value")
    return name, value
