"""Measure what touch and pictures reveal to a trained agent about the hidden error of the detected target.

    sac-gmm probe runs/door_0 --episodes 200 --json runs/door_0/probe.json

At every decision of the trained policy, the error is regressed on parts of the agent's view. The result is the share of
its variance that the view explains in held-out episodes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sac_gmm.core.command_line import help_text
from sac_gmm.core.errors import UserError


@dataclass(frozen=True)
class Probe:
    """What to measure."""

    # Folder of a run of `sac-gmm train`, or a policy file.
    skill: Annotated[str, tyro.conf.Positional]
    # Episodes to run; three quarters fit the regression, the others test it.
    episodes: int = 200
    # Bank of episode seeds, or a number: the first of your own seeds.
    seed_bank: str = "select"
    # Result file.
    json: Path | None = None
    # Folder with one folder of bags per task.
    demonstrations: Path = Path("demos")


def main(args: list[str]) -> int:
    """Measure."""
    return run(tyro.cli(Probe, args=args, prog="sac-gmm probe", description=help_text(__doc__)))


def run(asked: Probe) -> int:
    """Run the episodes and print the shares."""
    import torch
    from rich.progress import Progress

    from sac_gmm.core.files import check_output, write_json
    from sac_gmm.evaluation.probe import probe
    from sac_gmm.methods import open_skill

    torch.set_num_threads(1)
    if asked.episodes < 8:
        raise UserError(f"{asked.episodes} episodes are too few for a regression: give 8 or more")
    if asked.json is not None:
        check_output(asked.json, ".json")
    skill = open_skill(asked.skill, demonstrations=asked.demonstrations)
    if skill.policy is None:
        raise UserError(f"'{asked.skill}' has no learned policy to probe: give the folder of a run")
    with Progress() as progress:
        bar = progress.add_task(skill.task, total=asked.episodes)
        result = probe(skill, asked.episodes, asked.seed_bank, lambda: progress.advance(bar))
    for name, part in result["parts"].items():
        shares = "  ".join(f"{axis} {share:5.2f}" for axis, share in zip(result["axes"], part["r2"], strict=True))
        print(f"{name:<18} R2: {shares}")
    if asked.json is not None:
        write_json(asked.json, result)
        print(f"wrote {asked.json}")
    return 0
