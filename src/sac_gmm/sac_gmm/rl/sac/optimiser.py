"""Adam on one flat vector: a handful of vector operations, regardless of the number of layers."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from sac_gmm.rl.sac.networks import FlatParameters

BETA_MEAN, BETA_SQUARE, EPS = 0.9, 0.999, 1e-8


class FlatAdam:
    """Adam with decoupled weight decay (Kingma and Ba 2015; Loshchilov and Hutter 2019).

    Args:
        parameters: Parameters to update in place, from their gradient.
        learning_rate: Learning rate.
        weight_decay: Each step removes this times the learning rate as a fraction of the parameters.
    """

    def __init__(self, parameters: FlatParameters, learning_rate: float, weight_decay: float = 0.0) -> None:
        self._values = parameters.vector.data
        self._parameters = parameters
        self._learning_rate = learning_rate
        self._weight_decay = weight_decay
        self._mean = torch.zeros_like(self._values)
        self._square = torch.zeros_like(self._values)
        self._scratch = torch.empty_like(self._values)
        self._steps = 0

    @torch.no_grad()
    def step(self) -> None:
        """Make one step down the gradient."""
        gradient = self._parameters.vector.grad
        assert gradient is not None
        self._steps += 1
        self._mean.lerp_(gradient, 1.0 - BETA_MEAN)
        self._square.mul_(BETA_SQUARE).addcmul_(gradient, gradient, value=1.0 - BETA_SQUARE)
        if self._weight_decay:
            self._values.mul_(1.0 - self._learning_rate * self._weight_decay)
        # The bias corrections of both moments as scalars: one scales the step, the other the epsilon.
        correction = math.sqrt(1.0 - BETA_SQUARE**self._steps)
        torch.sqrt(self._square, out=self._scratch).add_(EPS * correction)
        step = self._learning_rate * correction / (1.0 - BETA_MEAN**self._steps)
        self._values.addcdiv_(self._mean, self._scratch, value=-step)

    def state_dict(self) -> dict[str, Tensor]:
        """Return the moments and the number of steps."""
        return {"mean": self._mean.clone(), "square": self._square.clone(), "steps": torch.tensor(self._steps)}

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Continue exactly where `state_dict` was taken."""
        self._mean.copy_(state["mean"])
        self._square.copy_(state["square"])
        self._steps = int(state["steps"])
