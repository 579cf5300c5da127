"""Prepare a robot for its episodes, on a graph of nodes that is running already.

    sac-gmm robot teach-home home.json

Start the nodes first, with `ros2 launch sac_gmm_bringup robot.launch.yaml …`. Each verb is a module of its own:
`robot_VERB`.
"""

from __future__ import annotations

from collections.abc import Callable

from sac_gmm.cli.robot_teach_home import teach_home
from sac_gmm.core.command_line import help_text, show_examples


def main(args: list[str]) -> int:
    """Run a subcommand and return its exit code."""
    from tyro.extras import subcommand_cli_from_dict

    commands: dict[str, Callable[..., int]] = {"teach-home": teach_home}
    show_examples("sac-gmm robot", commands, __doc__)
    return subcommand_cli_from_dict(commands, args=args, prog="sac-gmm robot", description=help_text(__doc__))
