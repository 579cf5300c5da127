"""Small dense algebra against numpy's."""

import numpy as np
import pytest

from sac_gmm.core import small_algebra as sa


@pytest.fixture(params=[(2, 0), (3, 1), (6, 2)], ids=lambda param: f"{param[0]}x{param[0]}")
def S(request):  # noqa: N802 - a matrix
    n, seed = request.param
    root = np.random.default_rng(seed).normal(size=(n, n))
    return root @ root.T + 0.1 * np.eye(n)


def test_both_cholesky_factors_are_numpys(S):
    expected, written, in_place = np.linalg.cholesky(S), np.zeros_like(S), S.copy()
    assert sa.cholesky_factor(S, written)
    sa.cholesky(in_place, len(S))
    np.testing.assert_allclose(written, expected)
    np.testing.assert_allclose(np.tril(in_place), expected)
    assert not sa.cholesky_factor(-S, written)


def test_inverses_and_solutions(S):
    L, Y = np.zeros_like(S), np.empty_like(S)
    sa.cholesky_factor(S, L)
    sa.invert_factored(L, Y)
    np.testing.assert_allclose(Y @ S, np.eye(len(S)), atol=1e-9)
    sa.invert(S.copy(), Y)
    np.testing.assert_allclose(Y @ S, np.eye(len(S)), atol=1e-9)
    R = np.arange(2.0 * len(S)).reshape(2, -1)
    A = np.empty_like(R)
    sa.right_solve(R, L, A)
    np.testing.assert_allclose(A @ S, R, atol=1e-9)


def test_eigenvalues_and_vectors(S):
    D, V = S.copy(), np.empty_like(S)
    sa.eigen(D, V)
    np.testing.assert_allclose(np.sort(np.diag(D)), np.linalg.eigvalsh(S), rtol=1e-10)
    np.testing.assert_allclose(V @ np.diag(np.diag(D)) @ V.T, S, atol=1e-10)
    assert sa.smallest_eigenvalue(S.copy(), V) == pytest.approx(np.linalg.eigvalsh(S)[0])


def test_singular_values(S):
    G, V = np.triu(S), np.empty_like(S)
    turned = G.copy()
    sa.singular(turned, V)
    np.testing.assert_allclose(G @ V, turned, atol=1e-10)
    lengths = np.sort(np.linalg.norm(turned, axis=0))[::-1]
    np.testing.assert_allclose(lengths, np.linalg.svd(G, compute_uv=False), rtol=1e-9)
