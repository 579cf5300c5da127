"""Train stable-baselines3's SAC on one of the tasks, and measure it on fresh episodes.

python examples/sb3_sac.py --env sac_gmm/DoorSkill-v0 --steps 2000 --episodes 20
"""

import argparse

import gymnasium
from stable_baselines3 import SAC
from stable_baselines3.common.monitor import Monitor

import sac_gmm.gym  # noqa: F401 - registers the environments

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--env", default="sac_gmm/DoorSkill-v0", help="id of the environment")
parser.add_argument("--steps", type=int, default=2000, help="steps of training")
parser.add_argument("--episodes", type=int, default=20, help="episodes of the measurement")
parser.add_argument("--seed", type=int, default=0)
arguments = parser.parse_args()

env = Monitor(gymnasium.make(arguments.env), info_keywords=("is_success",))
model = SAC("MultiInputPolicy", env, learning_starts=min(100, arguments.steps // 2), seed=arguments.seed, device="cpu")
model.learn(arguments.steps, progress_bar=False)

successes = 0
for episode in range(arguments.episodes):
    observation, info = env.reset(seed=1_000_000 + episode)
    done = False
    while not done:
        action, _ = model.predict(observation, deterministic=True)
        observation, _, terminated, truncated, info = env.step(action)
        done = terminated or truncated
    successes += info["is_success"]
env.close()
print(f"{successes} of {arguments.episodes} episodes succeeded")
