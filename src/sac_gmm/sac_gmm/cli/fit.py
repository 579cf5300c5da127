"""Fit a skill to demonstration bags and report the quality of the fit.

    sac-gmm fit demos/door -o door.npz
    sac-gmm fit demos/door --model lpv_ds -k 7 -o door.npz
    sac-gmm fit demos/door/door_00 demos/door/door_01 --model gmm --plot none -o door.npz

A folder stands for the bags in it. `sac-gmm inspect` and the controller read the model file; the picture beside it
(FILE.png) shows the demonstrations, field, ellipsoids and rollouts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import tyro

from sac_gmm.core.command_line import help_text
from sac_gmm.core.errors import UserError
from sac_gmm.demos import TopicNames
from sac_gmm.models import Kind

OUR_NAMES = TopicNames()


def main(args: list[str]) -> int:
    """Fit and save a skill."""
    return tyro.cli(fit, args=args, prog="sac-gmm fit", description=help_text(__doc__))


def fit(
    bags: tyro.conf.Positional[tuple[Path, ...]],
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])],
    model: Kind = "lpv_ds",
    components: Annotated[str, tyro.conf.arg(aliases=["-k"], metavar="INT|auto")] = "auto",
    rate_hz: float = 30.0,
    seed: int = 0,
    plot: str = "auto",
    names: Annotated[TopicNames, tyro.conf.arg(name="")] = OUR_NAMES,
) -> int:
    """Fit a skill to demonstrations.

    Args:
        bags: Rosbag2 folders, .mcap files, or folders of these.
        output: The model file to write (.npz); an older one is replaced.
        model: gmm: free mixture; seds: stable, all parameters at once; lpv_ds: stable, the most faithful.
        components: Number of Gaussians, or auto.
        rate_hz: Samples per second taken from the demonstrations.
        seed: Seed of the random parts of the fit.
        plot: Picture to write (.png, .pdf or .svg), "auto" for the output's name with .png, or "none".
        names: Topic names, if the bags are not from this project's recorder.
    """
    from sac_gmm.core.files import check_output
    from sac_gmm.demos import find_bags
    from sac_gmm.methods.sac_gmm.fit_bags import fit_bags
    from sac_gmm.models import save_model
    from sac_gmm.report.skill_text import describe_fit

    if not bags:
        raise UserError("there is nothing to fit: give one or more bags, or a folder of bags")
    check_output(output, ".npz")
    picture = _picture(plot, output)
    paths = find_bags(bags)
    fitted = fit_bags(paths, model, _count(components), rate_hz=rate_hz, seed=seed, names=names)
    save_model(output, fitted.skill)
    print(describe_fit(fitted))
    for problem in fitted.problems:
        print(f"problem: {problem}")
    print(f"wrote {output}")
    if picture is not None:
        from sac_gmm.report.skill_figure import draw

        draw(picture, fitted.skill, fitted.x, fitted.v, fitted.lengths, 1.0 / rate_hz)
        print(f"wrote {picture}")
    return 0


def _picture(plot: str, output: Path) -> Path | None:
    """Path of the picture; raises an error before the fit if it cannot be written."""
    from sac_gmm.core.files import check_output
    from sac_gmm.report.skill_figure import ENDINGS

    if plot == "none":
        return None
    picture = output.with_suffix(".png") if plot == "auto" else Path(plot)
    check_output(picture, *ENDINGS)
    return picture


def _count(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    try:
        count = int(text)
    except ValueError:
        count = 0
    if count < 1:
        raise UserError(f"the number of components must be a positive whole number or auto, not '{text}'")
    return count
