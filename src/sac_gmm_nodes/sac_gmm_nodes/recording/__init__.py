"""Recording demonstrations and playing them back.

Nodes: `demo_recorder`, `demo_player`, `hand_demo_recorder`.
Helpers: `recording_buttons`, `hand_sight`, `hand_parameters`.
"""
