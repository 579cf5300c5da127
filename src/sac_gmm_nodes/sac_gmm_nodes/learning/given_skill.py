"""The skill that a node is given by its parameters."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from sac_gmm.core.errors import UserError
from sac_gmm.methods import Skill, method
from sac_gmm.methods.registry import UNNAMED
from sac_gmm.methods.settings import load_settings
from sac_gmm.rl import Policy, load_policy
from sac_gmm_nodes.common.node import BaseNode


class GivenSkill(NamedTuple):
    """A skill, and its trained policy if it has one."""

    skill: Skill
    policy: Policy | None


def given_skill(node: BaseNode) -> GivenSkill:
    """Declare the parameters that say which skill it is, and open it.

    Raises:
        UserError: A file is missing, or what is given does not belong together.
    """
    model_file = node.text("model_file", "", "the base skill, the same file as the controller's")
    config_folder = node.text(
        "config_folder", "", "folder of settings: how to learn and what to see; empty for defaults"
    )
    task = node.text("task", "", "the task whose settings apply")
    name = node.text("method", UNNAMED, "the method, where no policy names it")
    policy_file = node.text("policy_file", "", "a trained policy to use unchanged, without learning; see models/")
    if not model_file:
        raise UserError("parameter model_file is empty: give the file of a skill, written by `sac-gmm fit`")
    if not policy_file:
        chosen = method(name)
        settings = (
            load_settings(chosen, task or None, config_folder) if config_folder else chosen.settings.from_json({})
        )
        return GivenSkill(Skill(task, chosen, settings, chosen.prior.load(Path(model_file))), None)
    policy, about = load_policy(policy_file)
    chosen = method(about.get("skill", name))
    prior = chosen.prior.load(Path(model_file))
    if about.get("model_id") != prior.model_id:
        raise UserError(f"policy {policy_file} adapts skill {about.get('model_id')}, this is {prior.model_id}")
    settings = chosen.settings.from_json(about.get("settings", {}))
    node.get_logger().info(f"using {policy_file} unchanged, after {about.get('episodes_trained')} training episodes")
    return GivenSkill(Skill(task or about.get("task", ""), chosen, settings, prior, Path(policy_file), about), policy)
