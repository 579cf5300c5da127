"""Run episodes on a graph of nodes that is running already: practise, or measure the skill.

    sac-gmm adapt --episodes 100
    sac-gmm adapt --mode base --episodes 20
    sac-gmm adapt --mode evaluate --episodes 50 --json evaluated.json
    sac-gmm adapt --stop

Start the nodes first, with `ros2 launch sac_gmm_bringup simulation.launch.yaml …` or `robot.launch.yaml`. While nothing
moves, this says what is missing. Ctrl-C stops the episodes; what was learned stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import tyro

from sac_gmm.core.command_line import EpisodeBar, help_text, success_progress
from sac_gmm.core.errors import UserError

_TITLES = {"base": "base skill", "train": "practice", "evaluate": "adapted skill"}
_BANKS = {"base": "base", "train": "train", "evaluate": "test"}


@dataclass(frozen=True)
class Adapt:
    """Options of a request for episodes."""

    # base: the skill as fitted; train: explore and learn; evaluate: the adapted skill, without learning.
    mode: Literal["base", "train", "evaluate"] = "train"
    # Number of episodes.
    episodes: int = 100
    # Episode i has the seed FIRST_SEED + i; by default the first of the mode's own bank.
    first_seed: int | None = None
    # File for the outcome of each episode.
    json: Path | None = None
    # Stop the episodes that are running, whoever asked for them, and do nothing else.
    stop: bool = False


def main(args: list[str]) -> int:
    """Run episodes, or stop them."""
    return run(tyro.cli(Adapt, args=args, prog="sac-gmm adapt", description=help_text(__doc__)))


def run(adapt: Adapt) -> int:
    """Ask the running nodes for what the options say, and show how it goes."""
    from sac_gmm.launcher.running_graph import events, stop_episodes
    from sac_gmm.training.seeds import seed_bank

    if adapt.stop:
        ended = stop_episodes()
        print("no episodes were running" if ended == 0 else "stopped")
        return 0
    if adapt.episodes < 1:
        raise UserError(f"--episodes is {adapt.episodes}: ask for at least one")
    first_seed = adapt.first_seed
    if first_seed is None:
        first_seed = seed_bank(_BANKS[adapt.mode], 0, adapt.episodes)[0]
    if adapt.json is not None and not adapt.json.resolve().parent.is_dir():
        raise UserError(f"--json: there is no folder {adapt.json.resolve().parent}: make it first")
    episodes: list[dict] = []
    with success_progress(14) as progress:
        bar = EpisodeBar(progress, _TITLES[adapt.mode], adapt.episodes)
        for event in events(adapt.mode, adapt.episodes, first_seed):
            kind = event.pop("event")
            if kind == "missing":
                progress.console.print(f"nothing moves: {event['text']}", highlight=False, markup=False)
            elif kind == "episode":
                episodes.append(event)
                bar.advance([episode["success"] for episode in episodes])
    _tell(adapt, episodes)
    return 0


def _tell(adapt: Adapt, episodes: list[dict]) -> None:
    from sac_gmm.core.files import write_json
    from sac_gmm.evaluation import SuccessRate, provenance

    rate = SuccessRate(sum(episode["success"] for episode in episodes), len(episodes))
    low, high = rate.to_json()["wilson95"]
    sources = ", ".join(sorted({episode["reward_source"] for episode in episodes}))
    print(
        f"{_TITLES[adapt.mode]}: {rate.successes}/{rate.episodes} episodes succeeded "
        f"({100 * low:.0f} to {100 * high:.0f} % at 95 % confidence), judged by: {sources}"
    )
    if adapt.json is not None:
        outcome = {"mode": adapt.mode, **rate.to_json(), "reward_source": sources, "episode": episodes}
        write_json(adapt.json, outcome | provenance())
        print(f"wrote {adapt.json}")
