"""Seed banks: which episodes a skill is trained, chosen and tested on."""

from __future__ import annotations

from sac_gmm.core.errors import UserError

# First seed of each bank. The banks never meet: what is measured was never trained on. Nothing is selected by `test`
# while a run trains; but which configuration is published was, in part, chosen by figures on it (docs/learning.md).
SEED_BANKS = {"base": 1_000_000, "train": 2_000_000, "select": 3_000_000, "test": 4_000_000}
_BANK_SIZE = 1_000_000


def seed_bank(name: str, run: int, episodes: int) -> range:
    """The seeds of `episodes` episodes for training run number `run`.

    Banks `train` and `select` differ from run to run; `base` and `test` are the same for all, so that all skills
    meet the same episodes.

    Raises:
        UserError: The bank has another name, or has fewer seeds than asked for.
    """
    if name not in SEED_BANKS:
        raise UserError(f"there is no seed bank '{name}'; choose one of: {', '.join(SEED_BANKS)}")
    stride = 10_000
    offset = run * stride if name in ("train", "select") else 0
    runs = _BANK_SIZE // stride
    if not 0 <= run < runs or not 0 <= episodes <= stride:
        raise UserError(
            f"seed bank '{name}' holds {stride} episodes for each of {runs} runs, not {episodes} for run {run}: "
            f"give a seed of 0 to {runs - 1} and 0 to {stride} episodes"
        )
    first = SEED_BANKS[name] + offset
    return range(first, first + episodes)
