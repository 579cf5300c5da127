"""Time the fit of a mixture against scikit-learn: the same 4000 samples, components, covariances and tolerance.

    sac-gmm bench em --json em.json

Twenty synthetic reaching motions of 200 samples, position and velocity (6 coordinates), 7 full covariances, tolerance
1e-3, each library with its own kind of initialisation (ours: equal spans of time; scikit-learn: k-means), one thread.
`log_likelihood` is the mean per sample in the units of the data, computed for both by the same function.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tyro

from sac_gmm.bench.threads import use_one_thread
from sac_gmm.core.errors import UserError

N_DEMONSTRATIONS, N_SAMPLES, N_COMPONENTS, TOLERANCE = 20, 200, 7, 1e-3


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(json: Path | None = None) -> int:
        """Time the fit of a mixture.

        Args:
            json: Write the numbers to this file.
        """
        use_one_thread()
        from sac_gmm.bench.timing import write_result

        results = measure()
        print(f"ours          {results['ours_ms']:8.2f} ms  {results['ours_iterations']:3d} iterations  ", end="")
        print(f"log-likelihood {results['ours_log_likelihood']:.4f}")
        print(f"scikit-learn  {results['sklearn_ms']:8.2f} ms  {results['sklearn_iterations']:3d} iterations  ", end="")
        print(f"log-likelihood {results['sklearn_log_likelihood']:.4f}")
        print(f"ratio         {results['ratio']:8.1f}")
        write_result(json, "em", args, results)
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench em", description=__doc__)


def measure() -> dict[str, Any]:
    """Fit with both and compare."""
    try:
        from sklearn.mixture import GaussianMixture as Peer
    except ImportError as error:
        raise UserError("the peer is not installed: `pip install scikit-learn`") from error
    from sac_gmm.bench.timing import best_ms
    from sac_gmm.models import GaussianMixture
    from sac_gmm.models.mixtures.em import fit_mixture

    data = reaching_motions()
    lengths = [N_SAMPLES] * N_DEMONSTRATIONS
    ours = fit_mixture(data, N_COMPONENTS, lengths=lengths, tolerance=TOLERANCE)
    peer = Peer(N_COMPONENTS, tol=TOLERANCE, random_state=0).fit(data)
    theirs = GaussianMixture(peer.weights_, peer.means_, 0.5 * (peer.covariances_ + peer.covariances_.swapaxes(1, 2)))
    ours_ms = best_ms(lambda: fit_mixture(data, N_COMPONENTS, lengths=lengths, tolerance=TOLERANCE), 40)
    sklearn_ms = best_ms(lambda: Peer(N_COMPONENTS, tol=TOLERANCE, random_state=0).fit(data), 60)
    return {
        "n": len(data),
        "dim": data.shape[1],
        "k": N_COMPONENTS,
        "tolerance": TOLERANCE,
        "ours_ms": ours_ms,
        "sklearn_ms": sklearn_ms,
        "ratio": sklearn_ms / ours_ms,
        "ours_log_likelihood": float(ours.mixture.log_prob(data).mean()),
        "sklearn_log_likelihood": float(theirs.log_prob(data).mean()),
        "ours_iterations": len(ours.objective),
        "sklearn_iterations": int(peer.n_iter_),
    }


def reaching_motions(seed: int = 0) -> Any:
    """(4000, 6) positions in m and velocities in m/s of minimum-jerk reaches along an arc, with measurement noise."""
    import numpy as np

    rng = np.random.default_rng(seed)
    s = np.linspace(0.0, 1.0, N_SAMPLES)[:, None]
    left = 1.0 - (10 * s**3 - 15 * s**4 + 6 * s**5)
    rate = -(30 * s**2 - 60 * s**3 + 30 * s**4) / 4.0
    motions = []
    for _ in range(N_DEMONSTRATIONS):
        start = np.array([0.2, 0.1, 0.15]) + 0.02 * rng.normal(size=3)
        bow = 0.05 * np.array([0.0, 1.0, 0.3]) * (1.0 + 0.2 * rng.normal())
        x = start * left + bow * np.sin(np.pi * left)
        v = start * rate + bow * np.pi * np.cos(np.pi * left) * rate
        motions.append(np.concatenate([x, v], axis=1))
    return np.concatenate(motions) + rng.normal(size=(N_DEMONSTRATIONS * N_SAMPLES, 6)) * np.repeat([0.001, 0.005], 3)
