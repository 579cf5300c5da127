"""Print the URDF of the simulated arm with a task's tool, for robot_state_publisher and RViz.

    sac-gmm urdf door
    sac-gmm urdf peg > /tmp/peg.urdf

Lengths are in metres, angles in radians. The jaws of a gripper are fixed: `joint_states` has only the arm's joints.
"""

from __future__ import annotations

import tyro

from sac_gmm.core.command_line import help_text


def main(args: list[str]) -> int:
    """Print a description."""
    return tyro.cli(urdf, args=args, prog="sac-gmm urdf", description=help_text(__doc__))


def urdf(task: tyro.conf.Positional[str] = "door") -> int:
    """Print the arm's description.

    Args:
        task: Task whose tool the arm carries: door, lever, peg.
    """
    from sac_gmm.tasks import make_task

    simulated = make_task(task)
    print(simulated.arm.description)
    simulated.close()
    return 0
