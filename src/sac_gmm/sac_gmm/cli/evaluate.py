"""Measure a skill on fixed episodes: a run of `sac-gmm train`, a policy file, or a method that does not learn.

    sac-gmm evaluate runs/door_0 --task door --episodes 100 --seed-bank test --json runs/door_0/test.json
    sac-gmm evaluate spiral_gmm --task door --episodes 20 --seed-bank 7 --sigma 0.02 --json runs/spiral.json

The policy is deterministic. The skill as fitted runs on the same episodes for comparison. A seed bank is `test`,
`select` or `base`, or a number: the first of your own seeds.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sac_gmm.core.command_line import counting_progress, help_text
from sac_gmm.core.errors import UserError


@dataclass(frozen=True)
class Evaluate:
    """What to measure."""

    # Folder of a run or trained skill, a policy file, or a method that does not learn: gmm, random_gmm, spiral_gmm.
    skill: Annotated[str, tyro.conf.Positional]
    # The task; by default the one it was trained on.
    task: str | None = None
    # Number of episodes.
    episodes: int = 100
    # Bank of episode seeds, or a number: the first of your own seeds.
    seed_bank: str = "test"
    # Noise on the detected target per axis, in metres; by default the task's own.
    sigma: float | None = None
    # Result file.
    json: Path | None = None
    # Processes that run episodes.
    workers: int = 1
    # Folder of settings, for methods that do not learn.
    config: Path = Path("config/methods")
    # Folder with one folder of bags per task.
    demonstrations: Path = Path("demos")


def main(args: list[str]) -> int:
    """Measure."""
    return run(tyro.cli(Evaluate, args=args, prog="sac-gmm evaluate", description=help_text(__doc__)))


def run(asked: Evaluate) -> int:
    """Run the episodes and print the result."""
    import torch

    from sac_gmm.core.files import check_output, write_json
    from sac_gmm.evaluation import SuccessRate
    from sac_gmm.evaluation.measuring import Measurement, measure
    from sac_gmm.methods import open_skill

    torch.set_num_threads(1)
    if asked.episodes < 1:
        raise UserError(f"{asked.episodes} episodes cannot be run: give a number from 1 up")
    if asked.json is not None:
        check_output(asked.json, ".json")
    skill = open_skill(asked.skill, asked.task, asked.config, asked.demonstrations)
    wanted = Measurement(asked.episodes, asked.seed_bank, asked.sigma, asked.workers)
    with counting_progress(14) as progress:
        bar = progress.add_task(skill.method.name, total=2 * asked.episodes)
        result = measure(skill, wanted, lambda _: progress.advance(bar))
    reached = SuccessRate(result["successes"], result["episodes"])
    base = SuccessRate(result["base"]["successes"], result["base"]["episodes"])
    print(f"{skill.task}: {skill.method.name} {reached}; as fitted {base}")
    if asked.json is not None:
        write_json(asked.json, result)
        print(f"wrote {asked.json}")
    return 0
