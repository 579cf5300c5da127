"""ament_python build description."""

from setuptools import find_packages, setup

PACKAGE = "sac_gmm_nodes"

setup(
    name=PACKAGE,
    version="0.1.0",
    packages=find_packages(include=[PACKAGE, PACKAGE + ".*"]),
    data_files=[
        ("share/ament_index/resource_index/packages", ["resource/" + PACKAGE]),
        ("share/" + PACKAGE, ["package.xml"]),
    ],
    package_data={PACKAGE: ["py.typed", "**/*.urdf", "**/*.xml", "**/*.html", "**/*.obj", "**/*.png"]},
    install_requires=["setuptools"],
    zip_safe=False,
    maintainer="SAC-GMM for ROS 2 developers",
    maintainer_email="maintainers@sac-gmm.example",
    description="Thin ROS 2 nodes over the sac_gmm library.",
    license="Apache-2.0",
    entry_points={
        "console_scripts": [
            "lifecycle_manager = sac_gmm_nodes.watching.lifecycle_manager:main",
            "calibrate_speed = sac_gmm_nodes.control.calibrate_speed:main",
            "joy_teleop = sac_gmm_nodes.control.joy_teleop:main",
            "gmm_controller = sac_gmm_nodes.control.gmm_controller:main",
            "guard = sac_gmm_nodes.control.guard:main",
            "sac_adapter = sac_gmm_nodes.learning.sac_adapter:main",
            "skill_runner = sac_gmm_nodes.learning.skill_runner:main",
            "aruco_reward = sac_gmm_nodes.reward.aruco_reward:main",
            "lamp_reward = sac_gmm_nodes.reward.lamp_reward:main",
            "switch_reward = sac_gmm_nodes.reward.switch_reward:main",
            "button_reward = sac_gmm_nodes.reward.button_reward:main",
            "threshold_reward = sac_gmm_nodes.reward.threshold_reward:main",
            "simulation_reward = sac_gmm_nodes.reward.simulation_reward:main",
            "marker_target = sac_gmm_nodes.robot.marker_target:main",
            "home_reset = sac_gmm_nodes.robot.home_reset:main",
            "teach_home = sac_gmm_nodes.robot.teach_home:main",
            "task_reward = sac_gmm_nodes.reward.task_reward:main",
            "episode_manager = sac_gmm_nodes.learning.episode_manager:main",
            "pybullet_bridge = sac_gmm_nodes.simulation.pybullet_bridge:main",
            "demo_recorder = sac_gmm_nodes.recording.demo_recorder:main",
            "demo_player = sac_gmm_nodes.recording.demo_player:main",
            "recording_load = sac_gmm_nodes.bench.recording_load:main",
            "hand_demo_recorder = sac_gmm_nodes.recording.hand_demo_recorder:main",
            "hand_camera = sac_gmm_nodes.simulation.hand_camera:main",
            "film_source = sac_gmm_nodes.simulation.film_source:main",
            "discovery_probe = sac_gmm_nodes.bench.discovery_probe:main",
            "skill_monitor = sac_gmm_nodes.watching.skill_monitor:main",
            "skill_client = sac_gmm_nodes.learning.skill_client:main",
            "live_view = sac_gmm_nodes.watching.live_view:main",
            "teleoperator = sac_gmm_nodes.simulation.teleoperator:main",
        ],
    },
)
