"""The networks of the soft actor-critic, small and fast on one CPU core."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.nn import functional

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)


class FlatParameters:
    """All parameters of some modules as views of one vector, so that one optimiser or Polyak step is one operation.

    The modules keep working as before: their parameters share memory with `vector`, their gradients with
    `vector.grad`. Gradients must therefore be cleared with `clear_gradient`, never set to None.

    Args:
        modules: Whose parameters, in a fixed order.
        trainable: False for target networks, which have no gradients.
    """

    def __init__(self, modules: Iterable[nn.Module], *, trainable: bool = True) -> None:
        self.parameters = [parameter for module in modules for parameter in module.parameters()]
        self.vector = nn.Parameter(
            torch.cat([p.detach().reshape(-1) for p in self.parameters]), requires_grad=trainable
        )
        gradient = torch.zeros_like(self.vector)
        start = 0
        for parameter in self.parameters:
            stop = start + parameter.numel()
            parameter.data = self.vector.data[start:stop].view(parameter.shape)
            parameter.requires_grad_(trainable)
            if trainable:
                parameter.grad = gradient[start:stop].view(parameter.shape)
            start = stop
        if trainable:
            self.vector.grad = gradient

    def clear_gradient(self) -> None:
        """Set all gradients to zero, in place."""
        assert self.vector.grad is not None
        self.vector.grad.zero_()

    def copy_(self, values: Tensor) -> None:
        """Overwrite all parameters from a vector of the same length."""
        self.vector.data.copy_(values)


class Mlp(nn.Sequential):
    """Fully connected ReLU network.

    Args:
        sizes: Widths from input to output.
    """

    def __init__(self, sizes: tuple[int, ...]) -> None:
        layers: list[nn.Module] = []
        for n_in, n_out in itertools.pairwise(sizes[:-1]):
            layers += [nn.Linear(n_in, n_out), nn.ReLU()]
        super().__init__(*layers, nn.Linear(sizes[-2], sizes[-1]))


class CriticEnsemble(nn.Module):
    """E independent critics Q_e(features, action), computed as one batched network.

    Args:
        n_inputs: Features and action entries together.
        hidden: Widths of the hidden layers.
        n_critics: E.
        layer_norm: Whether every hidden layer is normalised before its ReLU.
    """

    def __init__(self, n_inputs: int, hidden: tuple[int, ...], n_critics: int, layer_norm: bool) -> None:
        super().__init__()
        self.n_critics = n_critics
        sizes = (n_inputs, *hidden, 1)
        self.weights = nn.ParameterList()
        self.biases = nn.ParameterList()
        self.gains = nn.ParameterList()
        self.shifts = nn.ParameterList()
        for n_in, n_out in itertools.pairwise(sizes):
            bound = 1.0 / math.sqrt(n_in)  # as nn.Linear
            self.weights.append(nn.Parameter(torch.empty(n_critics, n_in, n_out).uniform_(-bound, bound)))
            self.biases.append(nn.Parameter(torch.empty(n_critics, 1, n_out).uniform_(-bound, bound)))
        if layer_norm:
            for width in hidden:
                self.gains.append(nn.Parameter(torch.ones(n_critics, 1, width)))
                self.shifts.append(nn.Parameter(torch.zeros(n_critics, 1, width)))

    def forward(self, features: Tensor, action: Tensor) -> Tensor:
        """Return the values (E, B) of features (B, n) with actions (B, m)."""
        x = torch.cat([features, action], dim=1).expand(self.n_critics, -1, -1)
        last = len(self.weights) - 1
        for i, (weight, bias) in enumerate(zip(self.weights, self.biases, strict=True)):
            x = torch.baddbmm(bias, x, weight)
            if i < last:
                if self.gains:
                    x = functional.layer_norm(x, x.shape[-1:]) * self.gains[i] + self.shifts[i]
                x = functional.relu(x)
        return x.squeeze(-1)


class Actor(nn.Module):
    """Squashed Gaussian policy: action = tanh(mean + std * noise), entry by entry.

    The mean is a linear map of the features plus, where there are hidden layers, a network. All of it starts at zero:
    whatever the observation, the deterministic action is exactly 0 at the start. The linear path is what generalises
    from a handful of successes. The standard deviation does not depend on the observation; it starts at `initial_std`.

    Args:
        n_features: Width of the input.
        hidden: Widths of the hidden layers; empty for a linear policy.
        action_dim: Entries of the action.
        initial_std: Standard deviation before the tanh at the start.
        min_std: Its lower bound.
        max_std: Its upper bound.
    """

    def __init__(
        self,
        n_features: int,
        hidden: tuple[int, ...],
        action_dim: int,
        initial_std: float,
        min_std: float,
        max_std: float,
    ) -> None:
        super().__init__()
        self.log_std_bounds = (math.log(min_std), math.log(max_std))
        self.linear = nn.Linear(n_features, action_dim)
        outputs = [self.linear]
        self.body: Mlp | None = None
        if hidden:
            self.body = Mlp((n_features, *hidden, action_dim))
            last = self.body[-1]
            assert isinstance(last, nn.Linear)
            outputs.append(last)
        for layer in outputs:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.log_std = nn.Parameter(torch.full((action_dim,), math.log(initial_std)))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (B, m) and log standard deviation (m,) before the tanh."""
        mean = self.linear(features)
        if self.body is not None:
            mean = mean + self.body(features)
        return mean, self.log_std.clamp(*self.log_std_bounds)

    def sample(self, features: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions (B, m), their log-probabilities (B,) and the mean actions (B, m).

        Args:
            features: (B, n).
            noise: Standard normal samples (B, m).
        """
        mean, log_std = self(features)
        raw = mean + log_std.exp() * noise
        log_gaussian = -0.5 * noise.square() - log_std - LOG_SQRT_2PI
        # log(1 - tanh²(x)) = 2 (log 2 - x - softplus(-2x)), which never overflows.
        log_slope = 2.0 * (math.log(2.0) - raw - functional.softplus(-2.0 * raw))
        return torch.tanh(raw), (log_gaussian - log_slope).sum(-1), torch.tanh(mean)
