"""Poses of a tip for the tests of the way to a start."""

import numpy as np
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sac_gmm.control.reset_way import TipPose

PLACES = st.tuples(st.floats(0.3, 0.7), st.floats(-0.4, 0.4), st.floats(0.1, 0.7)).map(np.array)
TURNS = st.tuples(*[st.floats(-1.0, 1.0)] * 3).map(lambda v: Rotation.from_rotvec(v).as_quat())
POSES = st.builds(TipPose, PLACES, TURNS)


def pose(x=0.5, y=0.0, z=0.3, rotvec=(0.0, 0.0, 0.0)):
    return TipPose(np.array([x, y, z]), Rotation.from_rotvec(rotvec).as_quat())


def moved(now, twist, dt_s):
    """Where a tip comes that goes exactly where it is told."""
    turn = Rotation.from_rotvec(dt_s * twist[3:]) * Rotation.from_quat(now.xyzw)
    return TipPose(now.position_m + dt_s * twist[:3], turn.as_quat())
