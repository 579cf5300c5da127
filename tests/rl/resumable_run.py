"""A run that saves itself after every episode; started as a process by test_checkpoint.py, so that it can be killed."""

import hashlib
import sys
from pathlib import Path

import numpy as np
import torch

from sac_gmm.rl import AlgorithmSpec, Ar1Noise, ObservationSpec, Sac, SacConfig, SyncLearner, Transition

EPISODES = 6
SPEC = ObservationSpec(2, (1, 32, 32))
CONFIG = SacConfig(
    critic_hidden=(16, 16),
    batch_size=16,
    latent_size=4,
    updates_per_decision=3,
    encoder_interval=0,
    replay_capacity=25,
)


def observe(rng):
    return {"vector": rng.normal(size=2).astype(np.float32), "image": rng.integers(0, 256, (1, 32, 32), dtype=np.uint8)}


def run(path: Path) -> str:
    """Run to the end, from the checkpoint where there is one; return a hash of everything learned."""
    torch.set_num_threads(1)
    rng, noise = np.random.default_rng(0), Ar1Noise(2, 0.8, np.random.default_rng(1))
    episode = 0
    if path.exists():
        learner, extra = SyncLearner.resume(path)
        episode = extra["episode"]
        rng.bit_generator.state = extra["rng"]
        noise.load_state_dict(extra["noise"])
    else:
        learner = SyncLearner(AlgorithmSpec(Sac, SPEC, 2, CONFIG, seed=3).build())
    while episode < EPISODES:
        obs = observe(rng)
        noise.reset()
        for i in range(5):
            action = learner.policy().act(obs, noise=noise.sample() if i % 2 else None)
            after = observe(rng)
            success = i == 4 and bool(rng.random() < 0.5)
            time_out = i == 4 and not success
            learner.observe(Transition(obs, action, float(success), after, success, time_out, steps=8, success=success))
            obs = after
        episode += 1
        extra = {"episode": episode, "rng": rng.bit_generator.state, "noise": noise.state_dict()}
        learner.checkpoint(path, extra)
        print(f"episode {episode}", flush=True)
    digest = hashlib.sha256()
    for _, tensor in sorted(learner.algorithm.state_dict().tensors.items()):
        digest.update(tensor.numpy().tobytes())
    return digest.hexdigest()


if __name__ == "__main__":
    print(run(Path(sys.argv[1])), flush=True)
