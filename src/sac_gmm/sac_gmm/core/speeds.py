"""How fast an arm moves at most where nothing else is said: for the actions of scenes and for the limits of control."""

MAX_SPEED_M_S = 0.25  # of the end-effector
MAX_TURN_RAD_S = 1.0  # of its orientation
