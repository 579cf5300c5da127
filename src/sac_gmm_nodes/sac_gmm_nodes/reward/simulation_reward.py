"""The reward of the simulator itself, for a task that has no sensor for it: only there does the truth pay.

    ros2 run sac_gmm_nodes simulation_reward --ros-args -p use_sim_time:=true

Every Reward says that its source is the simulation.
"""

from __future__ import annotations

from sac_gmm_nodes.common.node import run_node
from sac_gmm_nodes.reward.switch_reward import SwitchReward


class SimulationReward(SwitchReward):
    """Passes on what the simulator knows."""

    def __init__(self) -> None:
        super().__init__("simulation_reward", "simulation", "pybullet_bridge/success_switch")

    def describe(self, pressed: bool) -> str:
        """What a reading shows, in words."""
        return f"the simulator says that the task is {'done' if pressed else 'not done'}"


def main() -> None:
    """Run the node."""
    run_node(SimulationReward)


if __name__ == "__main__":
    main()
