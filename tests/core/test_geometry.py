"""Quaternions by SciPy's conventions."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from scipy.spatial.transform import Rotation

from sac_gmm.core.geometry import conjugate, from_matrix, multiply

seeds = st.integers(0, 10**6)


@given(seeds)
def test_a_rotation_matrix_and_its_quaternion_are_the_same_turn(seed):
    turns = Rotation.random(5, rng=np.random.default_rng(seed))
    q = from_matrix(turns.as_matrix())
    assert np.allclose(q, turns.as_quat(canonical=True), atol=1e-9)
    about_x = from_matrix(np.diag([1.0, -1.0, -1.0]))
    assert np.allclose(np.abs(about_x), [1.0, 0.0, 0.0, 0.0])


@given(seeds)
def test_products_and_inverses_are_those_of_rotations(seed):
    rng = np.random.default_rng(seed)
    p, q = Rotation.random(5, rng=rng), Rotation.random(5, rng=rng)
    product = Rotation.from_quat(multiply(p.as_quat(), q.as_quat()))
    assert np.allclose(product.as_matrix(), (p * q).as_matrix())
    assert np.allclose(Rotation.from_quat(conjugate(p.as_quat())).as_matrix(), p.inv().as_matrix())
