"""Time mixture regression for one state and for many: ours against the `gmr` package and a plain textbook version.

    sac-gmm bench gmr --json gmr.json

All run in this process on one thread and are checked against each other. Per row: `ours_us` compiled, writing into a
preallocated array; `call_us` the same, returning a new array; `numpy_us` ours without a compiler; `textbook_us` and
`gmr_us` the peers; `ratio` = gmr_us / ours_us. The batch has 100000 states.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tyro

from sac_gmm.bench.threads import use_one_thread
from sac_gmm.core.errors import UserError

DIMENSIONS = (2, 3, 6)
COMPONENTS = (3, 7, 14)
BATCH = 100_000


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(json: Path | None = None) -> int:
        """Time mixture regression.

        Args:
            json: Write the numbers to this file.
        """
        use_one_thread()
        from sac_gmm.bench.timing import write_result

        print("  d   k   ours us   call us  numpy us  textbook us    gmr us  gmr/ours  batch M/s  numpy M/s    error")
        rows = []
        for d in DIMENSIONS:
            for k in COMPONENTS:
                row = measure(d, k)
                rows.append(row)
                print(
                    f"{d:3d} {k:3d} {row['ours_us']:9.3f} {row['call_us']:9.3f} {row['numpy_us']:9.2f} "
                    f"{row['textbook_us']:12.1f} {row['gmr_us']:9.1f} {row['ratio']:9.0f} {row['batch_m_per_s']:10.1f} "
                    f"{row['numpy_batch_m_per_s']:10.1f} {row['largest_error']:8.1e}",
                    flush=True,
                )
        write_result(json, "gmr", args, {"batch": BATCH, "rows": rows})
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench gmr", description=__doc__)


def measure(d: int, k: int) -> dict[str, Any]:
    """One row."""
    try:
        from gmr import GMM
    except ImportError as missing:
        raise UserError("the peer is not installed: `pip install gmr`") from missing
    import numpy as np

    from sac_gmm.bench.timing import best_ms, median_us
    from sac_gmm.models import GaussianMixture, Regressor

    rng = np.random.default_rng([d, k])
    factors = rng.normal(size=(k, 2 * d, 2 * d)) / np.sqrt(2 * d)
    covariances = factors @ np.swapaxes(factors, 1, 2) + 0.1 * np.eye(2 * d)
    mixture = GaussianMixture(rng.dirichlet(np.full(k, 5.0)), 2.0 * rng.normal(size=(k, 2 * d)), covariances)
    states = mixture.sample(BATCH, rng)[:, :d].copy()
    x, out = states[0].copy(), np.empty(d)
    ours, plain = Regressor(mixture, backend="numba"), Regressor(mixture, backend="numpy")
    peer = GMM(k, mixture.priors.copy(), mixture.means.copy(), mixture.covariances.copy())
    indices, query = list(range(d)), x[None]
    reference = np.array([textbook(mixture, state) for state in states[:500]])
    results = [np.array([f(state) for state in states[:500]]) for f in (ours, plain)]
    results += [ours.batch(states)[:500], plain.batch(states)[:500]]
    error = max(float(np.abs(result - reference).max()) for result in results)
    if error > 1e-10:
        raise UserError(f"the regressors disagree by {error} at d={d}, K={k}: this build is broken")
    ours_us, gmr_us = median_us(lambda: ours.into(x, out)), median_us(lambda: peer.predict(indices, query), 1, 60, 10)
    return {
        "d": d,
        "k": k,
        "ours_us": ours_us,
        "call_us": median_us(lambda: ours(x)),
        "numpy_us": median_us(lambda: plain.into(x, out)),
        "textbook_us": median_us(lambda: textbook(mixture, x), 10, 50, 5),
        "gmr_us": gmr_us,
        "ratio": gmr_us / ours_us,
        "batch_m_per_s": BATCH / best_ms(lambda: ours.batch(states)) / 1e3,
        "numpy_batch_m_per_s": BATCH / best_ms(lambda: plain.batch(states), 5) / 1e3,
        "largest_error": error,
    }


def textbook(mixture: Any, x: Any) -> Any:
    """Mixture regression straight from the formulas, inverses and all, batched over the components."""
    import numpy as np

    d = len(x)
    inverse = np.linalg.inv(mixture.covariances[:, :d, :d])
    gap = x - mixture.means[:, :d]
    exponent = -0.5 * np.einsum("ki,kij,kj->k", gap, inverse, gap)
    weights = mixture.priors * np.sqrt(np.linalg.det(inverse)) * np.exp(exponent)
    velocities = mixture.means[:, d:] + np.einsum("kij,kjm,km->ki", mixture.covariances[:, d:, :d], inverse, gap)
    return weights @ velocities / weights.sum()
