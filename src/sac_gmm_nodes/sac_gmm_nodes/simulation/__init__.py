"""Stand-ins for a robot, a camera and a person.

Nodes: `pybullet_bridge`, `teleoperator`, `hand_camera`, `film_source`.
Helpers: `plain_topics`, `sensor_topics`, `scene_markers`, `simulated_lbr`, `sole_robot`, `picture_sender`.
"""
