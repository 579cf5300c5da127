"""Networks of the soft actor-critic, small and fast on one CPU core."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

LOG_SQRT_2PI = 0.5 * math.log(2.0 * math.pi)
LAYER_NORM_EPS = 1e-5


class FlatParameters:
    """All parameters of some modules as views of one vector, so that one optimiser or Polyak step is one operation.

    The modules keep working: their parameters share memory with `vector`, their gradients with `vector.grad`. Clear
    gradients with `clear_gradient`; never set them to None.

    Args:
        modules: Modules whose parameters to include, in this order.
        trainable: False for target networks, which need no gradients.
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
    """E independent fully connected ReLU networks with the same input, computed as one.

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
            bound = 1.0 / math.sqrt(n_in)  # same as nn.Linear
            weights.append(nn.Parameter(torch.empty(n_members, n_in, n_out).uniform_(-bound, bound)))
            biases.append(nn.Parameter(torch.empty(n_members, 1, n_out).uniform_(-bound, bound)))
        normalised = [width for _, width in shapes[:-1]] if layer_norm else []
        gains = [nn.Parameter(torch.ones(n_members, 1, width)) for width in normalised]
        shifts = [nn.Parameter(torch.zeros(n_members, 1, width)) for width in normalised]
        self.n_layers = len(shapes)
        # Also kept as a tuple: looking a parameter up by name takes longer than a layer's arithmetic.
        self.in_order = (*weights, *biases, *gains, *shifts)
        for kind, parameters in (("weight", weights), ("bias", biases), ("gain", gains), ("shift", shifts)):
            for layer, parameter in enumerate(parameters):
                self.register_parameter(f"{kind}_{layer}", parameter)

    @property
    def output_layer(self) -> tuple[nn.Parameter, nn.Parameter]:
        """Weight and bias of the last layer."""
        return self.in_order[self.n_layers - 1], self.in_order[2 * self.n_layers - 1]

    def forward(self, x: Tensor, members: Tensor | None = None) -> Tensor:
        """Return the outputs (E, B, m) of x (B, n), without a gradient.

        Args:
            x: (B, n).
            members: Indices of the networks to compute; None: all.
        """
        parameters: tuple[Tensor, ...] = self.in_order
        if members is not None:
            parameters = tuple(parameter[members] for parameter in parameters)
        return _forward(x, self.n_layers, parameters)[0]

    def trace(self, x: Tensor) -> tuple[Tensor, Trace]:
        """Return the outputs (E, B, m) of x (B, n), and what `backward` needs."""
        output, inputs, normalisers = _forward(x, self.n_layers, self.in_order)
        return output, Trace(inputs, normalisers)

    def backward(self, gradient: Tensor, trace: Trace, *, weights: bool = True, inputs: bool = False) -> Tensor | None:
        """Propagate the gradient of the outputs back to parameters and inputs.

        Written by hand because with networks this small, most of autograd's time is overhead.

        Args:
            gradient: Gradient of the loss with respect to the outputs (E, B, m).
            trace: Returned by `trace` for the same inputs.
            weights: Whether to compute the gradients of the parameters; they overwrite `grad`.
            inputs: Whether to compute the gradient with respect to x.

        Returns:
            The gradient with respect to x (B, n), summed over the networks, or None.
        """
        n, g = self.n_layers, gradient
        w, rest = self.in_order[:n], self.in_order[n:]
        biases, gains, shifts = rest[:n], rest[n : 2 * n - 1], rest[2 * n - 1 :]
        for i in reversed(range(n)):
            if i < n - 1:
                g = torch.ops.aten.threshold_backward(g, trace.inputs[i + 1], 0.0)
                if gains:
                    before, mean, rstd, normal = trace.normalisers[i]
                    if weights:
                        torch.sum(g * normal, dim=1, keepdim=True, out=_grad(gains[i]))
                        torch.sum(g, dim=1, keepdim=True, out=_grad(shifts[i]))
                    g = torch.ops.aten.native_layer_norm_backward(
                        g * gains[i], before, before.shape[-1:], mean, rstd, None, None, [True, False, False]
                    )[0]
            if weights:
                torch.bmm(trace.inputs[i].transpose(1, 2), g, out=_grad(w[i]))
                torch.sum(g, dim=1, keepdim=True, out=_grad(biases[i]))
            if i > 0:
                g = torch.bmm(g, w[i].transpose(1, 2))
            elif inputs:
                return torch.bmm(g, w[0].transpose(1, 2)).sum(dim=0)
        return None


class Trace(NamedTuple):
    """Intermediate values of a forward pass for `backward`."""

    inputs: list[Tensor]  # of each layer, (E, B, n)
    normalisers: list[tuple[Tensor, Tensor, Tensor, Tensor]]  # of each hidden layer, if normalised


def _grad(parameter: Tensor) -> Tensor:
    assert parameter.grad is not None
    return parameter.grad


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

    def forward(self, features: Tensor, action: Tensor, members: Tensor | None = None) -> Tensor:
        """Return the values (E, B) of features (B, n) with actions (B, m), without a gradient.

        Args:
            features: (B, n).
            action: (B, m).
            members: Indices of the critics to compute; None: all.
        """
        return self.body(torch.cat([features, action], dim=1), members).squeeze(-1)

    def trace(self, features: Tensor, action: Tensor) -> tuple[Tensor, Trace]:
        """Return the values (E, B), and what `backward` needs."""
        values, trace = self.body.trace(torch.cat([features, action], dim=1))
        return values.squeeze(-1), trace

    def backward(self, gradient: Tensor, trace: Trace, *, weights: bool = True, inputs: bool = False) -> Tensor | None:
        """Propagate the gradient of the values (E, B); see `BatchedMlp.backward`. The inputs end with the action."""
        return self.body.backward(gradient.unsqueeze(-1), trace, weights=weights, inputs=inputs)


def _forward(
    x: Tensor, n_layers: int, parameters: tuple[Tensor, ...]
) -> tuple[Tensor, list[Tensor], list[tuple[Tensor, Tensor, Tensor, Tensor]]]:
    """Return outputs (E, B, m), the input of each layer, and values for the gradient of the layer normalisation."""
    weights, biases = parameters[:n_layers], parameters[n_layers : 2 * n_layers]
    gains, shifts = parameters[2 * n_layers : 3 * n_layers - 1], parameters[3 * n_layers - 1 :]
    inputs, normalisers = [x.expand(len(weights[0]), -1, -1)], []
    for i in range(n_layers):
        x = torch.baddbmm(biases[i], inputs[i], weights[i])
        if i == n_layers - 1:
            break
        if gains:
            normal, mean, rstd = torch.native_layer_norm(x, x.shape[-1:], None, None, LAYER_NORM_EPS)
            normalisers.append((x, mean, rstd, normal))
            x = torch.addcmul(shifts[i], normal, gains[i])
        inputs.append(x.relu_())
    return x, inputs, normalisers


class Actor(nn.Module):
    """Squashed Gaussian policy: action = tanh(mean + std * noise), entry by entry.

    The mean is a linear map of the features plus, if there are hidden layers, a network. Both start at zero, so
    initially the deterministic action is exactly 0 for any observation. The linear path generalises from a handful of
    successes. The standard deviation does not depend on the observation; it starts at `initial_std`.

    Args:
        n_features: Width of the input.
        hidden: Widths of the hidden layers; empty for a linear policy.
        action_dim: Entries of the action.
        initial_std: Initial standard deviation before the tanh.
        min_std: Its lower bound.
        max_std: Its upper bound.
        zero: Whether the mean starts at zero; otherwise it is initialised like any network.
    """

    def __init__(
        self,
        n_features: int,
        hidden: tuple[int, ...],
        action_dim: int,
        initial_std: float,
        min_std: float,
        max_std: float,
        zero: bool = True,
    ) -> None:
        super().__init__()
        self.log_std_bounds = (math.log(min_std), math.log(max_std))
        self.linear = nn.Linear(n_features, action_dim)
        outputs: list[Tensor] = [self.linear.weight, self.linear.bias]
        self.body: BatchedMlp | None = None
        if hidden:
            self.body = BatchedMlp((n_features, *hidden, action_dim))
            outputs += self.body.output_layer
        for parameter in outputs if zero else ():
            nn.init.zeros_(parameter)
        self.log_std = nn.Parameter(torch.full((action_dim,), math.log(initial_std)))

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Return mean (B, m) and log standard deviation (m,) before the tanh, without a gradient."""
        mean = torch.addmm(self.linear.bias, features, self.linear.weight.T)
        if self.body is not None:
            mean = mean + self.body(features)[0]
        return mean, self.log_std.clamp(*self.log_std_bounds)

    def keep_spread_within_bounds(self) -> None:
        """Clamp `log_std` to its bounds after an optimiser step: outside them no gradient would bring it back."""
        self.log_std.data.clamp_(*self.log_std_bounds)

    def sample(self, features: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
        """Return actions (B, m) and their log-probabilities (B,), without a gradient.

        Args:
            features: (B, n).
            noise: Standard normal samples (B, m).
        """
        mean, log_std = self(features)
        drawn = squash(mean, log_std, noise)
        return drawn.action, drawn.log_prob

    def trace(self, features: Tensor, noise: Tensor) -> tuple[Squashed, ActorTrace]:
        """Return the result of `sample` with details, and what `backward` needs."""
        mean = torch.addmm(self.linear.bias, features, self.linear.weight.T)
        body: Trace | None = None
        if self.body is not None:
            more, body = self.body.trace(features)
            mean = mean + more[0]
        drawn = squash(mean, self.log_std.clamp(*self.log_std_bounds), noise)
        return drawn, ActorTrace(features, body)

    def backward(
        self,
        grad_action: Tensor,
        grad_log_prob: float,
        drawn: Squashed,
        trace: ActorTrace,
        grad_mean: Tensor | None = None,
    ) -> None:
        """Set the gradients of all parameters.

        Args:
            grad_action: Gradient of the loss with respect to the actions (B, m).
            grad_log_prob: Gradient of the loss with respect to each log-probability.
            drawn: Returned by `trace`.
            trace: Returned by `trace`.
            grad_mean: Additional gradient with respect to the means before the tanh (B, m).
        """
        # da/dx = 1 - a^2 and d(-log(1 - a^2))/dx = 2a; the log-probability also depends on the log std directly.
        grad_raw = grad_action * (1.0 - drawn.action.square()) + (2.0 * grad_log_prob) * drawn.action
        low, high = self.log_std_bounds
        inside = (self.log_std >= low) & (self.log_std <= high)
        torch.mul((grad_raw * drawn.spread - grad_log_prob).sum(dim=0), inside, out=_grad(self.log_std))
        g = grad_raw if grad_mean is None else grad_raw + grad_mean
        torch.mm(g.T, trace.features, out=_grad(self.linear.weight))
        torch.sum(g, dim=0, out=_grad(self.linear.bias))
        if self.body is not None and trace.body is not None:
            self.body.backward(g.unsqueeze(0), trace.body)


class Squashed(NamedTuple):
    """Actions a = tanh(x) with x = mean + std * noise."""

    action: Tensor  # (B, m)
    log_prob: Tensor  # (B,)
    mean: Tensor  # (B, m), before the tanh
    spread: Tensor  # std * noise, (B, m)


class ActorTrace(NamedTuple):
    """Intermediate values of the actor's forward pass for `backward`."""

    features: Tensor
    body: Trace | None


def squash(mean: Tensor, log_std: Tensor, noise: Tensor) -> Squashed:
    """Draw from the squashed Gaussian of mean (B, m) and log standard deviation (m,) with given noise (B, m)."""
    spread = log_std.exp() * noise
    raw = mean + spread
    action = torch.tanh(raw)
    # log(1 - tanh^2(x)) = 2 (log 2 - x - softplus(-2x)), which never overflows.
    log_slope = (math.log(2.0) - raw - functional.softplus(-2.0 * raw)).mul_(2.0)
    log_prob = -(0.5 * noise.square() + log_std + LOG_SQRT_2PI + log_slope).sum(dim=-1)
    return Squashed(action, log_prob, mean, spread)
