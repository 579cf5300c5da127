"""Write a trained skill as a folder to pass on: safetensors, JSON and a model card, as model hubs expect them.

    sac-gmm evaluate models/door/sac_gmm --json runs/door.json
    sac-gmm export models/door/sac_gmm -o runs/door_package --result runs/door.json

The model card has the task, the method and the measured success rates with their intervals. `sac-gmm import` turns the
folder back into a skill, and refuses it if a file was changed.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sac_gmm.core.command_line import help_text


@dataclass(frozen=True)
class Export:
    """What to write."""

    # Folder of a run or trained skill, or its policy file.
    skill: Annotated[str, tyro.conf.Positional]
    # The package: a new folder.
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]
    # Result files of `sac-gmm evaluate --json` for the model card.
    result: tuple[Path, ...] = ()
    # Folder with one folder of bags per task, used if the skill's own fitted skill is not beside it.
    demonstrations: Path = Path("demos")


def main(args: list[str]) -> int:
    """Export."""
    return run(tyro.cli(Export, args=args, prog="sac-gmm export", description=help_text(__doc__)))


def run(asked: Export) -> int:
    """Write the package and print what it holds."""
    from sac_gmm.methods import open_skill
    from sac_gmm.methods.skill_package import export_skill

    skill = open_skill(asked.skill, demonstrations=asked.demonstrations)
    export_skill(skill, asked.output, asked.result)
    print(f"wrote {asked.output}: {', '.join(sorted(path.name for path in asked.output.iterdir()))}")
    if not asked.result:
        print("its model card says 'not measured'; add --result with a file of `sac-gmm evaluate --json`")
    return 0
