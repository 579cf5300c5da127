"""Fit a skill to demonstration bags and say how well it does.

    sac-gmm fit demos/door -o door.npz
    sac-gmm fit demos/door --model lpv_ds -k 7 -o door.npz
    sac-gmm fit demos/door/door_00 demos/door/door_01 --model gmm --plot none -o door.npz

A folder stands for the bags in it. The model file is for `sac-gmm inspect` and for the controller; the picture beside
it (FILE.png) shows demonstrations, field, ellipsoids and rollouts.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro

from sac_gmm.core.command_line import help_text
from sac_gmm.core.errors import UserError
from sac_gmm.demos import TopicNames
from sac_gmm.models import Kind

if TYPE_CHECKING:
    from sac_gmm.demos import Demonstration
    from sac_gmm.models import SkillModel

OUR_NAMES = TopicNames()
_ROLLOUT_TIME = 3.0  # times the longest demonstration


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
        bags: Rosbag2 folders, .mcap files, or folders of such.
        output: The model file to write (.npz); an older one is replaced.
        model: gmm: free mixture; seds: stable, all parameters at once; lpv_ds: stable, the most faithful.
        components: How many Gaussians, or auto.
        rate_hz: Samples a second that are taken from the demonstrations.
        seed: For the random parts of the fit.
        plot: Picture to write (.png, .pdf or .svg), "auto" for the output's name with .png, or "none".
        names: Of the topics, where they are not our recorder's.
    """
    from sac_gmm.core.files import check_output
    from sac_gmm.demos import find_bags, read_demonstration, to_training_set
    from sac_gmm.models import fit_skill, save_model

    if not bags:
        raise UserError("there is nothing to fit: name one bag or more, or a folder of bags")
    check_output(output, ".npz")
    picture = _picture(plot, output)
    paths = find_bags(bags)
    demonstrations = [read_demonstration(path, names) for path in paths]
    task = _task(demonstrations)
    x, v, lengths = to_training_set(demonstrations, rate_hz)
    skill = fit_skill(model, x, v, lengths.tolist(), _count(components), seed)
    skill.meta.update(
        task=task,
        frame=demonstrations[0].frame_id,
        rate_hz=rate_hz,
        demonstrations=[path.name for path in paths],
    )
    save_model(output, skill)
    print(report(skill, x, v, lengths, rate_hz))
    print(f"wrote {output}")
    if picture is not None:
        from sac_gmm.report.skill_figure import draw

        draw(picture, skill, x, v, lengths, 1.0 / rate_hz)
        print(f"wrote {picture}")
    return 0


def report(skill: SkillModel, x: Any, v: Any, lengths: Any, rate_hz: float) -> str:
    """A few lines on how well the skill follows its demonstrations."""
    import numpy as np

    from sac_gmm.models import Regressor, rollout
    from sac_gmm.models.fields import metrics

    predicted = Regressor(skill.mixture).batch(x)
    starts = x[np.concatenate([[0], np.cumsum(lengths)[:-1]])]
    n_steps = int(_ROLLOUT_TIME * max(lengths))
    ends = rollout(skill, starts, 1.0 / rate_hz, n_steps, integrator="rk4", check_step=False)[-1]
    miss = np.linalg.norm(ends - skill.attractor, axis=1)
    return "\n".join(
        [
            f"{skill.kind} with {skill.mixture.n_components} Gaussians from {len(lengths)} demonstrations "
            f"({len(x)} samples)",
            f"  velocity error   {1e3 * metrics.velocity_rmse(predicted, v):.1f} mm/s (RMSE), "
            f"direction error {metrics.direction_error(predicted, v):.3f} (0..2)",
            f"  rollouts         end {1e3 * miss.min():.1f} to {1e3 * miss.max():.1f} mm from the attractor "
            f"after {n_steps / rate_hz:.1f} s",
            f"  certificate      {describe_certificate(skill)}",
            f"  model id         {skill.model_id}",
        ]
    )


def describe_certificate(skill: SkillModel) -> str:
    """One line about the stability of a skill."""
    certificate = skill.certificate
    if certificate is None:
        return "none: this kind of model promises no stability"
    if not certificate.holds:
        return f"does not hold: decay rate {certificate.decay_rate_1_s:.3g} 1/s, asked for {certificate.margin_1_s:.3g}"
    return f"holds: from everywhere to the attractor, decay rate at least {certificate.decay_rate_1_s:.3g} 1/s"


def _picture(plot: str, output: Path) -> Path | None:
    """Where the picture goes; refused before the fit where it cannot go there."""
    from sac_gmm.core.files import check_output
    from sac_gmm.report.skill_figure import ENDINGS

    if plot == "none":
        return None
    picture = output.with_suffix(".png") if plot == "auto" else Path(plot)
    check_output(picture, *ENDINGS)
    return picture


def _task(demonstrations: list[Demonstration]) -> str:
    """The task that the demonstrations show; those that do not say theirs go with any.

    Raises:
        UserError: They show different ones.
    """
    tasks = sorted({demonstration.task for demonstration in demonstrations if demonstration.task})
    if len(tasks) > 1:
        raise UserError(f"the bags show different tasks ({', '.join(tasks)}): a skill is one task, name its bags alone")
    return tasks[0] if tasks else ""


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
