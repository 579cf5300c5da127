"""Soft actor-critic in one file, as a start for your own learner: every line of the algorithm is here.

python examples/single_file_sac.py --env sac_gmm/DoorSkill-v0 --steps 2000 --episodes 20

Haarnoja et al., Soft Actor-Critic Algorithms and Applications, arXiv 1812.05905. Dict observations are flattened.
"""

import argparse
from copy import deepcopy

import gymnasium
import numpy as np
import torch
from torch import nn
from torch.nn.functional import mse_loss, softplus

import sac_gmm.gym  # noqa: F401 - registers the environments

parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--env", default="sac_gmm/DoorSkill-v0", help="id of the environment")
parser.add_argument("--steps", type=int, default=2000, help="steps of training")
parser.add_argument("--episodes", type=int, default=20, help="episodes of the measurement")
parser.add_argument("--seed", type=int, default=0)
parser.add_argument("--discount", type=float, default=0.99)
parser.add_argument("--batch", type=int, default=128)
parser.add_argument("--learning-rate", type=float, default=3e-4)
parser.add_argument("--averaging", type=float, default=0.005, help="share of the critics in their targets per update")
a = parser.parse_args()

torch.manual_seed(a.seed)
rng = np.random.default_rng(a.seed)
env = gymnasium.wrappers.FlattenObservation(gymnasium.make(a.env))
n_obs, n_act = env.observation_space.shape[0], env.action_space.shape[0]


def network(inputs, outputs):
    """A multilayer perceptron."""
    return nn.Sequential(nn.Linear(inputs, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, outputs))


actor, critics = network(n_obs, 2 * n_act), nn.ModuleList(network(n_obs + n_act, 1) for _ in range(2))
targets = deepcopy(critics).requires_grad_(False)
log_temperature = torch.zeros((), requires_grad=True)
optimisers = [
    torch.optim.Adam(p, lr=a.learning_rate) for p in (actor.parameters(), critics.parameters(), [log_temperature])
]


def act(obs):
    """Sampled actions and their log-probabilities, and the actions of the mean."""
    mean, log_std = actor(obs).chunk(2, -1)
    normal = torch.distributions.Normal(mean, log_std.clamp(-5.0, 2.0).exp())
    raw = normal.rsample()
    squashing = 2.0 * (np.log(2.0) - raw - softplus(-2.0 * raw))  # log of the derivative of tanh
    return raw.tanh(), (normal.log_prob(raw) - squashing).sum(-1), mean.tanh()


def smallest(of, obs, action):
    """The smaller of the critics' values, as both overestimate."""
    return torch.min(*(critic(torch.cat([obs, action], -1)).squeeze(-1) for critic in of))


def step_down(optimiser, loss):
    """One step of gradient descent."""
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


def update(obs, action, reward, next_obs, alive):
    """Learn from a batch: critics, actor, temperature, in this order."""
    temperature = log_temperature.exp().detach()
    with torch.no_grad():
        next_action, next_log_prob, _ = act(next_obs)
        value = smallest(targets, next_obs, next_action) - temperature * next_log_prob
        wanted = reward + a.discount * alive * value
    both = torch.cat([obs, action], -1)
    step_down(optimisers[1], sum(mse_loss(critic(both).squeeze(-1), wanted) for critic in critics))
    new_action, log_prob, _ = act(obs)
    step_down(optimisers[0], (temperature * log_prob - smallest(critics, obs, new_action)).mean())
    step_down(optimisers[2], -(log_temperature * (log_prob.detach() - n_act)).mean())
    with torch.no_grad():
        for target, critic in zip(targets.parameters(), critics.parameters(), strict=True):
            target.lerp_(critic, a.averaging)


replay = []
obs, _ = env.reset(seed=a.seed)
for step in range(a.steps):
    if step < min(100, a.steps // 2):
        action = rng.uniform(-1.0, 1.0, n_act).astype(np.float32)
    else:
        with torch.no_grad():
            action = act(torch.as_tensor(obs))[0].numpy()
    next_obs, reward, terminated, truncated, _ = env.step(action)
    replay.append((obs, action, np.float32(reward), next_obs, np.float32(not terminated)))
    obs = env.reset()[0] if terminated or truncated else next_obs
    if len(replay) >= a.batch:
        chosen = [replay[i] for i in rng.integers(len(replay), size=a.batch)]
        update(*(torch.as_tensor(np.stack(column)) for column in zip(*chosen, strict=True)))

successes = 0
for episode in range(a.episodes):
    obs, info = env.reset(seed=1_000_000 + episode)
    done = False
    while not done:
        with torch.no_grad():
            action = act(torch.as_tensor(obs))[2].numpy()
        obs, _, terminated, truncated, info = env.step(action)
        done = terminated or truncated
    successes += info["is_success"]
env.close()
print(f"{successes} of {a.episodes} episodes succeeded")
