"""Measure SEDS and LPV-DS on handwriting motions by the protocol of the LPV-DS paper.

    sac-gmm bench lasa --data lasaDataset/DataSet --json lasa.json
    sac-gmm bench lasa --json synthetic.json

`--data` names a folder of the LASA data set (`NAME.mat`), which is free for academic use and not part of this software.
Without it, our generator makes synthetic motions (26 figures, 7 repetitions). Demonstrations 1-4 train, 5-7 test; RMSE
in mm/s, e_dot 0..2, DTWD in mm x samples, all on the test set.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import tyro

Method = Literal["seds", "lpv_ds"]


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(
        data: Path | None = None,
        json: Path | None = None,
        methods: tuple[Method, ...] = ("seds", "lpv_ds"),
        seed: int = 0,
    ) -> int:
        """Measure the stable systems on handwriting.

        Args:
            data: Folder of the data set; without it, synthetic motions are used.
            json: Write the numbers to this file.
            methods: The methods to fit.
            seed: Seed of the fits and of the synthetic motions.
        """
        from sac_gmm.bench.models.lasa_data import load_motions, make_motions
        from sac_gmm.bench.timing import write_result

        motions = make_motions(seed) if data is None else load_motions(data)
        results: dict[str, Any] = {"data": "synthetic" if data is None else data.name, "seed": seed}
        for method in methods:
            results[method] = measure(method, motions, seed)
        write_result(json, "lasa", args, results)
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench lasa", description=__doc__)


def measure(method: Method, motions: list[Any], seed: int) -> dict[str, Any]:
    """Fit and score every motion; print a line for each."""
    import numpy as np

    from sac_gmm.bench.models.lasa_protocol import score, split
    from sac_gmm.models import SkillModel, fit_lpv_ds, fit_seds

    fits: dict[str, Callable[..., SkillModel]] = {"seds": fit_seds, "lpv_ds": fit_lpv_ds}
    fit = fits[method]
    fit(*split(motions[0])[0], 4)  # loads everything that is loaded only once
    print(f"\n{method}\nmotion              K   fit s    RMSE   e_dot    DTWD  end mm  certified  converged")
    rows = []
    for motion in motions:
        start = time.perf_counter()
        model = fit(*split(motion)[0], seed=seed)
        fit_s = time.perf_counter() - start
        certified = model.certificate is not None and model.certificate.holds
        row = {
            "motion": motion.name,
            "k": model.mixture.n_components,
            "fit_s": fit_s,
            **vars(score(model, motion)),
            "certified": certified,
        }
        rows.append(row)
        print(
            f"{motion.name:<17} {row['k']:3d} {fit_s:7.2f} {row['rmse']:7.2f} {row['e_dot']:7.3f} {row['dtwd']:7.0f} "
            f"{row['end_mm']:7.2f} {'yes' if certified else 'no':>10} {'yes' if row['converged'] else 'no':>10}",
            flush=True,
        )
    names = ("rmse", "e_dot", "dtwd", "train_rmse", "train_e_dot", "fit_s")
    mean = {name: float(np.mean([row[name] for row in rows])) for name in names}
    mean["dtwd_median"] = float(np.median([row["dtwd"] for row in rows]))
    counts = {name: sum(bool(row[name]) for row in rows) for name in ("certified", "converged")}
    print(
        f"{'mean':<17}     {mean['fit_s']:7.2f} {mean['rmse']:7.2f} {mean['e_dot']:7.3f} {mean['dtwd']:7.0f}         "
        f"{counts['certified']:>7}/{len(rows)} {counts['converged']:>7}/{len(rows)}"
    )
    print(f"median DTWD {mean['dtwd_median']:.0f}")
    return {"mean": mean, "n_motions": len(rows), **counts, "rows": rows}
