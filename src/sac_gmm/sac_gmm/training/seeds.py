"""Seed banks: the episodes used to train, select and test skills."""

from __future__ import annotations

from sac_gmm.core.errors import UserError

# First seed of each bank. The banks do not overlap: skills are never tested on training episodes. No run selects
# anything on `test` while it trains; but the published configuration was chosen in part by results on it
# (docs/learning.md).
SEED_BANKS = {"base": 1_000_000, "train": 2_000_000, "select": 3_000_000, "test": 4_000_000}
_BANK_SIZE = 1_000_000


def seed_bank(name: str, run: int, episodes: int) -> range:
    """Return the seeds of `episodes` episodes for training run number `run`.

    Banks `train` and `select` differ from run to run; `base` and `test` are the same for all runs, so that all skills
    face the same episodes.

    Raises:
        UserError: There is no such bank, or it has fewer seeds than requested.
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
