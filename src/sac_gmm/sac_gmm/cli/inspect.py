"""Describe a model file, and check its certificate.

    sac-gmm inspect door.npz
    sac-gmm inspect door.npz --json door.json

Exits with 1 if the certificate in the file does not hold for its numbers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import tyro

from sac_gmm.core.command_line import help_text

if TYPE_CHECKING:
    from sac_gmm.models import SkillModel


def main(args: list[str]) -> int:
    """Describe a model file."""
    return tyro.cli(inspect, args=args, prog="sac-gmm inspect", description=help_text(__doc__))


def inspect(file: tyro.conf.Positional[Path], json: Path | None = None) -> int:
    """Describe a model file.

    Args:
        file: The model (.npz).
        json: Also write the description to this file.

    Returns:
        0; 1 if the certificate in the file does not hold for its numbers.
    """
    from sac_gmm.core.files import write_json
    from sac_gmm.models import load_model
    from sac_gmm.report.skill_text import describe_certificate

    skill = load_model(file)
    facts = describe(skill)
    names = ("x", "y", "z") if skill.state_dim == 3 else tuple(f"x{i}" for i in range(skill.state_dim))
    print(f"{file}")
    print(f"  kind         {skill.kind}, {facts['n_components']} Gaussians over position and velocity")
    print(f"  task         {skill.meta.get('task') or 'unknown'}, frame '{skill.meta.get('frame', 'unknown')}'")
    print(f"  model id     {skill.model_id}")
    print(f"  attractor    {_row(skill.attractor * 1e3)} mm relative to the target")
    print(f"  certificate  {describe_certificate(skill)}")
    if facts["certificate_true"] is not None:
        print(f"  checked      {'true for these numbers' if facts['certificate_true'] else 'FALSE for these numbers'}")
    for name, value in skill.meta.items():
        if name not in ("task", "frame", "problems"):
            print(
                f"  {name:<12} {', '.join(f'{k} {v}' for k, v in value.items()) if isinstance(value, dict) else value}"
            )
    for problem in skill.meta.get("problems", ()):
        print(f"  problem      {problem}")
    print(f"\n  prior   mean {' '.join(names)} (mm)          mean velocity (mm/s)        half axes (mm)")
    for component in facts["components"]:
        print(
            f"  {component['prior']:.3f}   {_row(component['mean_mm'])}   {_row(component['velocity_mm_s'])}   "
            f"{_row(component['half_axes_mm'])}"
        )
    if json is not None:
        write_json(json, facts)
    return 1 if facts["certificate_true"] is False else 0


def describe(skill: SkillModel) -> dict[str, Any]:
    """The facts that `inspect` prints, as plain values."""
    from sac_gmm.models import certify

    d = skill.state_dim
    centres, axes, _ = skill.mixture.ellipsoids(slice(0, d))
    components = [
        {
            "prior": float(prior),
            "mean_mm": [1e3 * float(value) for value in centre],
            "velocity_mm_s": [1e3 * float(value) for value in mean[d:]],
            "half_axes_mm": [1e3 * float(value) for value in half],
        }
        for prior, centre, mean, half in zip(skill.mixture.priors, centres, skill.mixture.means, axes, strict=True)
    ]
    certificate = skill.certificate
    return {
        "kind": skill.kind,
        "model_id": skill.model_id,
        "checksum": skill.checksum,
        "n_components": skill.mixture.n_components,
        "state_dim": d,
        "attractor_m": skill.attractor.tolist(),
        "certificate": None if certificate is None else {**vars(certificate), "P": certificate.P.tolist()},
        "certificate_true": None if certificate is None else certify(skill).holds,
        "meta": skill.meta,
        "components": components,
    }


def _row(values: Any) -> str:
    return " ".join(f"{value:8.2f}" for value in values)
