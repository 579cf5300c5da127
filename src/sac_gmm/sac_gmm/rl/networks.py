"""The networks of the soft actor-critic, small and fast on one CPU core."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
LAYER_NORM_EPS = 1e-5


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


class BatchedMlp(nn.Module):
    """E independent fully connected ReLU networks of the same input, computed as one.

    Args:
        sizes: Widths from input to output.
        n_members: E.
        layer_norm: Whether every hidden layer is normalised before its ReLU.
    """

    def __init__(self, sizes: tuple[int, ...], n_members: int = 1, layer_norm: bool = False) -> None:
        super().__init__()
        shapes = list(itertools.pairwise(sizes))
        weights, biases = [], []
        for n_in, n_out in shapes:
            bound = 1.0 / math.sqrt(n_in)  # as nn.Linear
            weights.append(nn.Parameter(torch.empty(n_members, n_in, n_out).uniform_(-bound, bound)))
            biases.append(nn.Parameter(torch.empty(n_members, 1, n_out).uniform_(-bound, bound)))
        normalised = [width for _, width in shapes[:-1]] if layer_norm else []
        gains = [nn.Parameter(torch.ones(n_members, 1, width)) for width in normalised]
        shifts = [nn.Parameter(torch.zeros(n_members, 1, width)) for width in normalised]
        self.n_layers = len(shapes)
        # A tuple beside the registered names: looking parameters up by name takes longer than a layer's arithmetic.
        self.in_order = (*weights, *biases, *gains, *shifts)
        for kind, parameters in (("weight", weights), ("bias", biases), ("gain", gains), ("shift", shifts)):
            for layer, parameter in enumerate(parameters):
                self.register_parameter(f"{kind}_{layer}", parameter)

    @property
    def output_layer(self) -> tuple[nn.Parameter, nn.Parameter]:
        """Weight and bias of the last layer."""
        return self.in_order[self.n_layers - 1], self.in_order[2 * self.n_layers - 1]

    def forward(self, x: Tensor, fixed: bool = False) -> Tensor:
        """Return the outputs (E, B, m) of x (B, n).

        Args:
            x: (B, n).
            fixed: Whether only the input needs gradients, so that those of the weights are never computed.
        """
        parameters = tuple(p.detach() for p in self.in_order) if fixed else self.in_order
        if not torch.is_grad_enabled():
            return _batched_mlp(x, self.n_layers, parameters)[0]
        return _BatchedMlpFunction.apply(x, self.n_layers, *parameters)


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
        self.body = BatchedMlp((n_inputs, *hidden, 1), n_critics, layer_norm)

    def forward(self, features: Tensor, action: Tensor, fixed: bool = False) -> Tensor:
        """Return the values (E, B) of features (B, n) with actions (B, m).

        Args:
            features: (B, n).
            action: (B, m).
            fixed: Whether only the inputs need gradients, so that those of the weights are never computed.
        """
        return self.body(torch.cat([features, action], dim=1), fixed).squeeze(-1)


def _batched_mlp(x: Tensor, n_layers: int, parameters: tuple[Tensor, ...]) -> tuple[Tensor, list[Tensor], list[Tensor]]:
    """Return outputs (E, B, m), the input of every layer, and what the layer normalisation needs for its gradient."""
    weights, biases = parameters[:n_layers], parameters[n_layers : 2 * n_layers]
    gains, shifts = parameters[2 * n_layers : 3 * n_layers - 1], parameters[3 * n_layers - 1 :]
    inputs, normalisers = [x.expand(len(weights[0]), -1, -1)], []
    for i in range(n_layers):
        x = torch.baddbmm(biases[i], inputs[i], weights[i])
        if i == n_layers - 1:
            break
        if gains:
            normal, mean, rstd = torch.native_layer_norm(x, x.shape[-1:], None, None, LAYER_NORM_EPS)
            normalisers += [x, mean, rstd, normal]
            x = torch.addcmul(shifts[i], normal, gains[i])
        inputs.append(x.relu_())
    return x, inputs, normalisers


class _BatchedMlpFunction(torch.autograd.Function):
    """Batched networks as one step of the automatic differentiation: small ones spend most time between the steps.

    Inputs: x (B, n), number of layers L, L weights, L biases and, if layers are normalised, L-1 gains and L-1 shifts.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, n_layers: int, *parameters: Tensor) -> Tensor:
        output, inputs, normalisers = _batched_mlp(x, n_layers, parameters)
        weights, gains = parameters[:n_layers], parameters[2 * n_layers : 3 * n_layers - 1]
        ctx.n_layers = n_layers
        ctx.save_for_backward(*weights, *gains, *inputs, *normalisers)
        return output

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        n_layers, needed = ctx.n_layers, ctx.needs_input_grad
        saved = ctx.saved_tensors
        normalised = len(saved) > 2 * n_layers
        weights, rest = saved[:n_layers], saved[n_layers:]
        gains, rest = (rest[: n_layers - 1], rest[n_layers - 1 :]) if normalised else ((), rest)
        inputs, normalisers = rest[:n_layers], rest[n_layers:]
        of_parameters: list[Tensor | None] = [None] * (len(needed) - 2)
        g = gradients[0]
        for i in reversed(range(n_layers)):
            if i < n_layers - 1:
                g = torch.ops.aten.threshold_backward(g, inputs[i + 1], 0.0)
                if normalised:
                    before, mean, rstd, normal = normalisers[4 * i : 4 * i + 4]
                    if needed[2]:
                        of_parameters[2 * n_layers + i] = (g * normal).sum(dim=1, keepdim=True)
                        of_parameters[3 * n_layers - 1 + i] = g.sum(dim=1, keepdim=True)
                    g = torch.ops.aten.native_layer_norm_backward(
                        g * gains[i], before, before.shape[-1:], mean, rstd, None, None, [True, False, False]
                    )[0]
            if needed[2]:
                of_parameters[i] = torch.bmm(inputs[i].transpose(1, 2), g)
                of_parameters[n_layers + i] = g.sum(dim=1, keepdim=True)
            if i > 0 or needed[0]:
                g = torch.bmm(g, weights[i].transpose(1, 2))
        return (g.sum(dim=0) if needed[0] else None, None, *of_parameters)


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
        outputs: list[Tensor] = [self.linear.weight, self.linear.bias]
        self.body: BatchedMlp | None = None
        if hidden:
            self.body = BatchedMlp((n_features, *hidden, action_dim))
            outputs += self.body.output_layer
        for parameter in outputs:
            nn.init.zeros_(parameter)
        self.log_std = nn.Parameter(torch.full((action_dim,), math.log(initial_std)))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (B, m) and log standard deviation (m,) before the tanh."""
        mean = self.linear(features)
        if self.body is not None:
            mean = mean + self.body(features)[0]
        return mean, self.log_std.clamp(*self.log_std_bounds)

    def sample(self, features: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return actions (B, m), their log-probabilities (B,) and the means (B, m) before the tanh.

        Args:
            features: (B, n).
            noise: Standard normal samples (B, m).
        """
        mean, log_std = self(features)
        action, log_prob = _SquashFunction.apply(mean, log_std, noise)
        return action, log_prob, mean


class _SquashFunction(torch.autograd.Function):
    """Mean (B, m), log std (m,) and noise (B, m) to actions a = tanh(mean + std * noise) and log-probabilities (B,)."""

    @staticmethod
    def forward(ctx: Any, mean: Tensor, log_std: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        spread = log_std.exp() * noise
        raw = mean + spread
        action = torch.tanh(raw)
        # log(1 - tanh²(x)) = 2 (log 2 - x - softplus(-2x)), which never overflows.
        log_slope = (math.log(2.0) - raw - functional.softplus(-2.0 * raw)).mul_(2.0)
        log_prob = -(0.5 * noise.square() + log_std + LOG_SQRT_2PI + log_slope).sum(dim=-1)
        ctx.save_for_backward(action, spread)
        return action, log_prob

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        action, spread = ctx.saved_tensors
        of_action, of_log_prob = gradients[0], gradients[1].unsqueeze(-1)
        # da/dx = 1 - a² and d(-log(1 - a²))/dx = 2a; the log std is also in the log-probability itself.
        of_raw = of_action * (1.0 - action.square()) + 2.0 * of_log_prob * action
        return of_raw, (of_raw * spread - of_log_prob).sum(dim=0), None
