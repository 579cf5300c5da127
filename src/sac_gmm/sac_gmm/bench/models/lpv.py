"""Time the two critical steps of LPV-DS: solving for the gains, and keeping the certificate when the model is edited.

    sac-gmm bench lpv --json lpv.json

`lmi_ms`: from 4000 samples and their gates to stable gains, d=3, K=7 (`compress_ms` + `solve_ms`).
`update_project_certify_us`: edited model -> projected, certified -> regressor ready; `edit_us`: the same from plain
arrays, including the check that they form a mixture. One thread.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tyro

from sac_gmm.bench.threads import use_one_thread

N_COMPONENTS = 7


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(json: Path | None = None) -> int:
        """Time the gains and the certificate.

        Args:
            json: Write the numbers to this file.
        """
        use_one_thread()
        from sac_gmm.bench.timing import write_result

        results = measure()
        for name, value in results.items():
            print(f"{name:<26} {value:10.3f}" if isinstance(value, float) else f"{name:<26} {value}")
        write_result(json, "lpv", args, results)
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench lpv", description=__doc__)


def measure() -> dict[str, Any]:
    """Time the steps on synthetic reaching motions."""
    import numpy as np

    from sac_gmm.bench.models.em import N_DEMONSTRATIONS, N_SAMPLES, reaching_motions
    from sac_gmm.bench.timing import best_ms, median_us
    from sac_gmm.models import GaussianMixture, Regressor, SkillModel, certify, fit_lpv_ds, project
    from sac_gmm.models.fields.lmi import GainProblem

    data = reaching_motions()
    x, v, lengths = data[:, :3], data[:, 3:], [N_SAMPLES] * N_DEMONSTRATIONS

    def fit() -> SkillModel:
        return fit_lpv_ds(x, v, lengths, N_COMPONENTS, clustering="spans")

    model = fit()
    assert model.certificate is not None
    P, rate = model.certificate.P, 0.01
    gates = model.mixture.marginal(slice(0, 3)).responsibilities(x)
    y, u = (x - model.attractor) / x.std(), v / v.std()
    problem = GainProblem(gates, y, u)
    regressor = Regressor(model.mixture)
    mixture = model.mixture
    rng = np.random.default_rng(0)
    means = mixture.means + 0.05 * rng.normal(size=mixture.means.shape)
    covariances = mixture.covariances * np.exp(0.2 * rng.normal(size=(N_COMPONENTS, 1, 1)))

    def edit() -> SkillModel:
        checked = GaussianMixture(mixture.priors, means, covariances)
        certified = project(SkillModel(model.kind, checked, model.attractor, model.certificate))
        regressor.update(certified.mixture)
        return certified

    edited = SkillModel(
        model.kind, GaussianMixture(mixture.priors, means, covariances), model.attractor, model.certificate
    )

    def keep_certificate() -> None:
        regressor.update(project(edited).mixture)

    certificate = edit().certificate
    assert certificate is not None
    return {
        "n": len(x),
        "d": 3,
        "k": N_COMPONENTS,
        "lmi_ms": best_ms(lambda: GainProblem(gates, y, u).solve(P, rate), 30),
        "compress_ms": best_ms(lambda: GainProblem(gates, y, u), 30),
        "solve_ms": best_ms(lambda: problem.solve(P, rate), 30),
        "fit_ms": best_ms(fit, 10),
        "update_project_certify_us": median_us(keep_certificate, 10, 100),
        "edit_us": median_us(edit, 5, 200),
        "project_us": median_us(lambda: project(model), 10, 100),
        "certify_us": median_us(lambda: certify(model), 50),
        "update_us": median_us(lambda: regressor.update(mixture), 50),
        "edit_certified": certificate.holds,
    }
