"""Starts the source of reward that a task offers: a marker, a lamp, a switch, or else the simulation itself.

    ros2 run sac_gmm_nodes task_reward --task lever

The node is then `aruco_reward`, `lamp_reward`, `switch_reward` or `simulation_reward`. The launch files of the
simulation use it; on a robot, start the source that the laboratory has.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

from rclpy.utilities import remove_ros_args

from sac_gmm.tasks import task_class
from sac_gmm_nodes.common.node import run_node
from sac_gmm_nodes.reward.aruco_reward import ArucoReward
from sac_gmm_nodes.reward.lamp_reward import LampReward
from sac_gmm_nodes.reward.reward_node import RewardNode
from sac_gmm_nodes.reward.simulation_reward import SimulationReward
from sac_gmm_nodes.reward.switch_reward import SwitchReward

SOURCES: dict[str | None, Callable[[], RewardNode]] = {
    "marker": ArucoReward,
    "lamp": LampReward,
    "switch": SwitchReward,
    None: SimulationReward,
}


def main() -> None:
    """Run the node."""
    parser = argparse.ArgumentParser(
        "task_reward", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", required=True, help="the task to judge")
    task = parser.parse_args(remove_ros_args()[1:]).task

    def task_reward() -> RewardNode:
        return SOURCES[task_class(task).reward_sensor]()

    run_node(task_reward)


if __name__ == "__main__":
    main()
