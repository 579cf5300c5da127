"""A trained skill as a folder that travels: safetensors, JSON and a model card, as model hubs expect them.

The folder holds `model.safetensors` (the policy), the prior's own file, `config.json` (task, method, settings, measured
results, checksums of the other two) and `README.md` (the model card).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sac_gmm.core.errors import UserError
from sac_gmm.core.files import atomic_file, read_json, write_json
from sac_gmm.core.provenance import provenance
from sac_gmm.methods.skill import POLICY_FILE, Skill, open_skill
from sac_gmm.rl import pack_policy, unpack_policy

FORMAT = "sac_gmm.skill_package"
VERSION = 1
CONFIG_FILE, TENSORS_FILE, CARD_FILE = "config.json", "model.safetensors", "README.md"
# Of a result file, what a package repeats.
RESULT = ("seed_bank", "episodes", "successes", "success_rate", "wilson95", "base_success_rate", "sigma_m", "git")


def export_skill(skill: Skill, folder: Path, results: Sequence[Path] = ()) -> None:
    """Write a skill's package.

    Args:
        skill: A trained one.
        folder: A new or empty folder.
        results: Files of `sac-gmm evaluate --json` on this skill.

    Raises:
        UserError: The skill has no policy, the folder is not empty, or a result is of another skill.
    """
    if skill.policy is None:
        raise UserError(f"'{skill.method.name}' learns nothing that could be exported: give a trained skill")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists already: give a new folder")
    measured = [_result(path, skill) for path in results]
    about, tensors = unpack_policy(skill.policy)
    folder.mkdir(parents=True, exist_ok=True)
    with atomic_file(folder / TENSORS_FILE) as file:
        file.write_bytes(tensors)
    prior_file = skill.method.prior.file
    skill.method.prior.save(folder / prior_file, skill.prior)
    config = {
        "format": FORMAT,
        "version": VERSION,
        "task": skill.task,
        "method": skill.method.name,
        "model_id": skill.prior.model_id,
        "policy": about,
        "results": measured,
        "exported_with": provenance(),
        "sha256": {name: _sha256(folder / name) for name in (TENSORS_FILE, prior_file)},
    }
    with atomic_file(folder / CARD_FILE) as file:
        file.write_text(model_card(skill, measured), encoding="utf-8")
    write_json(folder / CONFIG_FILE, config)  # last: a folder without it is not a package


def import_skill(package: Path, folder: Path) -> Skill:
    """Make a skill's folder, as `sac-gmm train` leaves it, from a package.

    Args:
        package: Folder of the package.
        folder: A new or empty folder.

    Raises:
        UserError: Something is missing from the package, was changed, or does not fit this version; or the folder is
            not empty.
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} exists already: give a new folder")
    config = read_json(package / CONFIG_FILE)
    if not isinstance(config, dict) or config.get("format") != FORMAT:
        raise UserError(f"{package / CONFIG_FILE} is not of a skill's package: it was not written by `sac-gmm export`")
    if config.get("version") != VERSION:
        raise UserError(f"{package} is version {config.get('version')}, this program reads version {VERSION}")
    checksums, about = config.get("sha256"), config.get("policy")
    if not isinstance(checksums, dict) or TENSORS_FILE not in checksums or not isinstance(about, dict):
        raise UserError(f"{package / CONFIG_FILE} lacks the checksums or the policy: export it again")
    if strange := [name for name in checksums if Path(name).name != name]:
        raise UserError(f"{package / CONFIG_FILE} names a file outside the package, {strange[0]!r}: it is not ours")
    contents = {name: _checked(package / name, checksum) for name, checksum in checksums.items()}
    folder.mkdir(parents=True, exist_ok=True)
    pack_policy(folder / POLICY_FILE, about, contents.pop(TENSORS_FILE))
    for name, content in contents.items():
        with atomic_file(folder / name) as file:
            file.write_bytes(content)
    return open_skill(str(folder))


def model_card(skill: Skill, results: Sequence[dict[str, Any]]) -> str:
    """The text of a model card, Markdown with a YAML head."""
    about = skill.about
    lines = [
        "---",
        "library_name: sac_gmm",
        "pipeline_tag: robotics",
        "tags: [robotics, reinforcement-learning, imitation-learning, ros2]",
        "---",
        "",
        f"# {skill.task}: {skill.method.title}",
        "",
        f"A robot skill for the task `{skill.task}`, learned with `{skill.method.name}` from demonstrations and "
        f"{about.get('episodes_trained', about.get('episodes', '?'))} episodes of practice in simulation (seed "
        f"{about.get('seed', '?')}). It has not been measured on a real arm.",
        "",
        "| episodes | succeeded | 95 % interval | as fitted | bank |",
        "|---|---|---|---|---|",
        *(_row(result) for result in results),
        *(["| not measured | | | | |"] if not results else []),
        "",
        "The interval is Wilson's. *As fitted* is the same skill before practice, on the same episodes.",
        "",
        "```console",
        f"sac-gmm import FOLDER -o models/{skill.task}/{skill.method.name}",
        f"sac-gmm evaluate models/{skill.task}/{skill.method.name}",
        "```",
        "",
        f"Fitted skill: `{skill.prior.model_id}`. Settings, results and checksums: `{CONFIG_FILE}`. The speed and "
        "acceleration limits of its training are in it too; a controller with tighter ones refuses to run it.",
        "",
    ]
    return "\n".join(lines)


def _row(result: dict[str, Any]) -> str:
    low, high = result["wilson95"]
    return (
        f"| {result['episodes']} | {100 * result['success_rate']:.0f} % | {100 * low:.0f} to {100 * high:.0f} % "
        f"| {100 * result['base_success_rate']:.0f} % | `{result['seed_bank']}` |"
    )


def _result(path: Path, skill: Skill) -> dict[str, Any]:
    value = read_json(path)
    if not isinstance(value, dict) or any(name not in value for name in ("task", "skill", *RESULT)):
        raise UserError(f"{path} is not a result of `sac-gmm evaluate --json`")
    if (value["task"], value["skill"]) != (skill.task, skill.method.name):
        raise UserError(
            f"{path} is a result of '{value['skill']}' on '{value['task']}', not of '{skill.method.name}' on "
            f"'{skill.task}'"
        )
    if value.get("config") != json.loads(json.dumps(skill.settings.to_json())):
        raise UserError(f"{path} was measured with other settings than those of this skill: measure it again")
    return {name: value[name] for name in RESULT}


def _checked(path: Path, checksum: str) -> bytes:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): the package is not complete") from error
    if hashlib.sha256(content).hexdigest() != checksum:
        raise UserError(f"{path} was changed since it was exported: get the package again")
    return content


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()
