"""Take over a skill that `sac-gmm export` wrote, as a folder that every other command knows.

    sac-gmm import runs/door_package -o runs/door_imported
    sac-gmm evaluate runs/door_imported --episodes 20

A file that was changed since, or is missing, is named and refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from sac_gmm.core.command_line import help_text


@dataclass(frozen=True)
class Import:
    """What to take over."""

    # Folder of the package.
    package: Annotated[Path, tyro.conf.Positional]
    # The skill: a new folder.
    output: Annotated[Path, tyro.conf.arg(aliases=["-o"])]


def main(args: list[str]) -> int:
    """Import."""
    return run(tyro.cli(Import, args=args, prog="sac-gmm import", description=help_text(__doc__)))


def run(asked: Import) -> int:
    """Write the skill's folder."""
    from sac_gmm.methods.skill_package import import_skill

    skill = import_skill(asked.package, asked.output)
    print(f"wrote {asked.output}: {skill.task}, {skill.method.name}, on the fitted skill {skill.prior.model_id}")
    return 0
