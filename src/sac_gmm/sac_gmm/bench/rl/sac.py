"""Time gradient updates of the soft actor-critic: ours against stable-baselines3.

    sac-gmm bench sac --json benchmarks/results/rl/sac.json

Both learn in this process, on one thread, from the same number of random transitions (17 observation entries, 3 action
entries), with two critics without layer normalisation, hidden layers of equal widths, equal batches, and one actor and
one temperature update per critic update. Blocks of updates alternate. A row gives the median of each side in processor
time, which other programs on the machine hardly affect. `critics_*` is the cost of an update with two and with four
critics, relative to one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import tyro

from sac_gmm.core.errors import UserError

SHAPES = ((64, 64), (64, 128), (128, 128), (256, 256))  # width of two hidden layers, batch size
N_OBSERVATION, N_ACTION, N_TRANSITIONS = 17, 3, 2000


def main(args: list[str]) -> int:
    """Run the benchmark."""

    def bench(json: Path | None = None, blocks: int = 15, updates: int = 20) -> int:
        """Time gradient updates.

        Args:
            json: Write the numbers to this file.
            blocks: Blocks per side and row.
            updates: Updates per block.
        """
        import torch

        from sac_gmm.bench.timing import write_result

        torch.set_num_threads(1)
        print("width  batch  ours updates/s  sb3 updates/s  ratio")
        rows = []
        for width, batch in SHAPES:
            ours, peer = _ours(width, batch), _peer(width, batch)
            ours_s, peer_s = _alternate([ours, peer], blocks, updates)
            row = {
                "width": width,
                "batch": batch,
                "ours_updates_per_s": round(1.0 / ours_s, 1),
                "sb3_updates_per_s": round(1.0 / peer_s, 1),
                "ratio": round(peer_s / ours_s, 2),
            }
            rows.append(row)
            print(
                f"{width:5d} {batch:6d} {row['ours_updates_per_s']:15.0f} {row['sb3_updates_per_s']:14.0f} "
                f"{row['ratio']:6.2f}",
                flush=True,
            )
        one, two, four = _alternate([_ours(64, 64, n) for n in (1, 2, 4)], blocks, updates)
        critics = {"critics_2_over_1": round(two / one, 2), "critics_4_over_1": round(four / one, 2)}
        print(f"an update with 2 critics costs {two / one:.2f} times one with 1, with 4 critics {four / one:.2f} times")
        write_result(json, "sac", args, {"peer": _peer_version(), "threads": 1, "rows": rows, **critics})
        return 0

    return tyro.cli(bench, args=args, prog="sac-gmm bench sac", description=__doc__)


def _alternate(sides: list[Callable[[int], object]], blocks: int, updates: int) -> list[float]:
    """Processor seconds per update of each side: medians over alternating blocks, after one warm-up block."""
    import numpy as np

    times: list[list[float]] = [[] for _ in sides]
    for block in range(blocks + 1):
        for side, spent in zip(sides, times, strict=True):
            start = time.process_time()
            side(updates)
            if block:
                spent.append((time.process_time() - start) / updates)
    return [float(np.median(spent)) for spent in times]


def _ours(width: int, batch: int, n_critics: int = 2) -> Callable[[int], object]:
    import numpy as np

    from sac_gmm.rl import AlgorithmSpec, ObservationSpec, Sac, SacConfig, Transition

    config = SacConfig(
        actor_hidden=(width, width),
        critic_hidden=(width, width),
        layer_norm=False,
        n_critics=n_critics,
        target_subset=min(2, n_critics),
        entropy_in_target=True,
        return_bounds=None,
        imitation_weight=0.0,
        success_fraction=0.0,
        batch_size=batch,
        replay_capacity=N_TRANSITIONS,
    )
    sac = Sac(AlgorithmSpec(Sac, ObservationSpec(N_OBSERVATION), N_ACTION, config))
    rng = np.random.default_rng(0)
    for _ in range(N_TRANSITIONS):
        first, after = ({"vector": rng.normal(size=N_OBSERVATION).astype(np.float32)} for _ in range(2))
        sac.observe(Transition(first, rng.uniform(-1, 1, N_ACTION), float(rng.normal()), after, terminated=False))
    return sac.update


def _peer(width: int, batch: int) -> Callable[[int], object]:
    try:
        import gymnasium
        from stable_baselines3 import SAC
        from stable_baselines3.common.logger import Logger
    except ImportError as missing:
        raise UserError("the peer is not installed: `pip install stable-baselines3`") from missing
    import numpy as np

    class Spaces(gymnasium.Env):
        """Only declares the sizes of observations and actions."""

        observation_space = gymnasium.spaces.Box(-np.inf, np.inf, (N_OBSERVATION,), np.float32)
        action_space = gymnasium.spaces.Box(-1.0, 1.0, (N_ACTION,), np.float32)

        def reset(self, **_: Any) -> tuple[np.ndarray, dict]:
            return np.zeros(N_OBSERVATION, np.float32), {}

    model = SAC(
        "MlpPolicy",
        Spaces(),
        buffer_size=N_TRANSITIONS,
        batch_size=batch,
        policy_kwargs={"net_arch": [width, width]},
        device="cpu",
        seed=0,
    )
    model.set_logger(Logger(folder=None, output_formats=[]))
    rng = np.random.default_rng(0)
    for _ in range(N_TRANSITIONS):
        first, after = rng.normal(size=(2, 1, N_OBSERVATION)).astype(np.float32)
        action = rng.uniform(-1, 1, (1, N_ACTION)).astype(np.float32)
        assert model.replay_buffer is not None
        model.replay_buffer.add(first, after, action, rng.normal(size=1), np.zeros(1), [{}])
    return lambda n: model.train(gradient_steps=n, batch_size=batch)


def _peer_version() -> str:
    from importlib.metadata import version

    return f"stable-baselines3 {version('stable-baselines3')}"
