"""Film an episode: the scene, with each sensor's view beside it.

    sac-gmm film door --skill gmm --out door.gif
    sac-gmm film door --skill door.npz --seed 3 --sigma 0 --out door.mp4
    sac-gmm film door --at 4.0 --out door.png

`gmm` is the task's base skill, fitted to the demonstrations; a model file written by `sac-gmm fit` is a skill too. The
file ending sets the format: .gif, .mp4, or .png for a still.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from sac_gmm.core.command_line import help_text
from sac_gmm.core.errors import UserError

if TYPE_CHECKING:
    from sac_gmm.methods import MacroEnv
    from sac_gmm.methods.episodes import Act

_WIDEST = 4096  # pixels


@dataclass(frozen=True)
class Film:
    """What to film."""

    task: tyro.conf.Positional[str]
    # File to write: .gif, .mp4 or .png; an older one is replaced.
    out: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    # Skill to film: a model file, the folder of a run or trained skill, or a method that does not learn; by default
    # the skill as fitted.
    skill: str | None = None
    # Seed of the episode.
    seed: int = 0
    # Noise on the detected target, m per axis.
    sigma: float = 0.01
    # Time of a still in s since the start; the last frame if the episode ends earlier.
    at: float = 4.0
    # Width of the picture in pixels; 0 keeps the rendered size.
    width: int = 0
    # Draw the arm with meshes instead of boxes and cylinders; takes ten times longer.
    meshes: bool = False
    # Folder with one folder of bags per task.
    demonstrations: Path = Path("demos")


def main(args: list[str]) -> int:
    """Film one episode."""
    return run(tyro.cli(Film, args=args, prog="sac-gmm film", description=help_text(__doc__)))


def run(asked: Film) -> int:
    """Run the episode and write its frames."""
    from sac_gmm.core.files import check_output
    from sac_gmm.report.film import watch, write_film, write_still
    from sac_gmm.tasks import Scene

    if asked.width and not 100 <= asked.width <= _WIDEST:
        raise UserError(f"the width is {asked.width} pixels: give 100 to {_WIDEST}, or 0")
    if asked.seed < 0:
        raise UserError(f"the seed is {asked.seed}: give a whole number from 0 up")
    check_output(asked.out, ".gif", ".mp4", ".png")
    is_still = asked.out.suffix == ".png"
    env, act = _whose(asked)
    task, interval = env.task, 3
    assert isinstance(task, Scene)
    watched = watch(
        env,
        act,
        asked.seed,
        asked.sigma,
        frame_interval=interval,
        from_s=asked.at if is_still else 0.0,
        max_frames=1 if is_still else None,
        width=asked.width,
    )
    frames = watched.frames
    task.close()
    if is_still:
        write_still(asked.out, frames[-1])
    else:
        write_film(asked.out, frames, 1.0 / (interval * task.control_dt_s))
    outcome = "success" if frames[-1].success else "no success"
    print(f"{asked.task}, seed {asked.seed}: {outcome} after {frames[-1].time_s:.1f} s; wrote {asked.out}")
    return 0


def _whose(asked: Film) -> tuple[MacroEnv, Act]:
    """The task run by the chosen skill, and the policy that decides."""
    from sac_gmm.methods import MacroEnv, make_env, open_skill
    from sac_gmm.methods.episodes import still
    from sac_gmm.methods.sac_gmm import Gmm, WindowObserver
    from sac_gmm.methods.sac_gmm.base_skill import fit_base_skill
    from sac_gmm.models import load_model
    from sac_gmm.tasks import make_task

    options = {"mesh_visuals": True} if asked.meshes else {}
    if asked.skill is None or Path(asked.skill).suffix == ".npz":
        task = make_task(asked.task, **options)
        if asked.skill is None:
            model = fit_base_skill(asked.task, demonstrations=asked.demonstrations)
        else:
            model = load_model(asked.skill)
        return MacroEnv(task, Gmm(model), WindowObserver(0)), still(0)
    skill = open_skill(asked.skill, asked.task, demonstrations=asked.demonstrations)
    env = make_env(asked.task, skill.method, skill.settings, skill.prior, options)
    return env, skill.act(env)
