"""Recording demonstrations and playing them back.

Nodes: `demo_recorder`, `demo_player`, `hand_demo_recorder`.
Helpers: `hand_sight`, `hand_parameters`.
"""
