"""Settings of the soft actor-critic, with defaults and ranges."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, Self

from sac_gmm.core.errors import UserError
from sac_gmm.core.settings import check_ranges, check_types

_MOST_LAYERS, _WIDEST = 16, 4096  # larger networks run out of memory before they learn


@dataclass(frozen=True)
class SacConfig:
    """Settings of the soft actor-critic. The defaults suit all tasks; `config/methods/sac_gmm.yaml` repeats them."""

    # --- networks
    # Widths of the actor's hidden layers, in parallel with its linear map; none for a linear policy.
    actor_hidden: tuple[int, ...] = (64, 64)
    # Whether the actor starts at exactly zero, so that training starts from the base skill.
    zero_init: bool = True
    # Widths of the hidden layers of each critic.
    critic_hidden: tuple[int, ...] = (64, 64)
    # Layer normalisation in every hidden layer of the critics; keeps many updates per decision stable.
    layer_norm: bool = True
    # Number of critics, computed together as one batched network.
    n_critics: int = 4
    # Number of critics, drawn at random for each update, whose minimum is the bootstrap target.
    target_subset: int = 2

    # --- exploration
    # Initial standard deviation of the Gaussian before the tanh. The mean starts at exactly 0.
    initial_std: float = 0.3
    # Bounds of that standard deviation.
    min_std: float = 0.02
    max_std: float = 1.0
    # Lag-1 correlation of the exploration noise from decision to decision (see Ar1Noise).
    noise_correlation: float = 0.9
    # Whether the temperature follows the entropy target; otherwise it stays at initial_temperature.
    automatic_temperature: bool = True
    # Entropy target per action entry, in nats (of the squashed action; -0.5 is a standard deviation of about 0.15).
    target_entropy_per_action: float = -1.0
    initial_temperature: float = 0.01
    # The temperature never leaves these bounds.
    min_temperature: float = 1e-4
    max_temperature: float = 1.0

    # --- acting without exploration
    # Number of actions that the actor proposes and the critics choose from (see `SacPolicy`). 0: use the mean action.
    n_proposals: int = 0

    # --- returns
    # Discount per control step; a macro-step of n control steps discounts by gamma**n.
    gamma: float = 0.998
    # Number of transitions whose rewards are summed before the bootstrap.
    n_step: int = 1
    # Whether the bootstrap includes the entropy bonus. Without it, the values are plain returns.
    entropy_in_target: bool = False
    # Lowest and highest possible return: bootstrap targets are clipped to them. None: no clipping.
    return_bounds: tuple[float, float] | None = (0.0, 1.0)

    # --- optimisation
    actor_learning_rate: float = 1e-3
    critic_learning_rate: float = 1e-3
    temperature_learning_rate: float = 1e-3
    # Decoupled weight decay (AdamW) of the critics.
    weight_decay: float = 0.0
    batch_size: int = 64
    # Gradient updates per decision.
    updates_per_decision: int = 10
    # Weight of the online critics in each Polyak step of their targets.
    polyak: float = 0.01
    # Critic updates per update of the actor and the temperature.
    actor_interval: int = 1
    # Critic-only updates at the start, before the actor first changes.
    critic_head_start: int = 0
    # Weight of the squared length of the mean action in the actor's loss: keeps the policy near the base skill.
    anchor_weight: float = 0.0
    # Weight of the squared distance of the mean action to the actions of episodes that succeeded (self-imitation).
    imitation_weight: float = 0.0
    # Weight of (temperature * log probability - value) in the actor's loss.
    value_weight: float = 1.0
    # Standard deviations over the critics that the actor subtracts from their mean value. Critics disagree where data
    # is scarce, so the policy does not leave the base skill for a value that few transitions support.
    pessimism: float = 0.0
    # Decoupled weight decay (AdamW) of the actor.
    actor_weight_decay: float = 0.0
    # Fraction of every batch drawn from successful episodes, once there are any.
    success_fraction: float = 0.25

    # Standard deviation, in metres, of the random shift of every transition in a batch along the symmetry of the
    # ObservationSpec: the same motion, seen relative to another detected target. 0: no shift.
    shift_std: float = 0.015

    # --- image encoder
    # Size of the latent vector.
    latent_size: int = 16
    # Number of feature points (channels before the spatial softmax), and channels of the first convolution.
    n_keypoints: int = 16
    encoder_channels: int = 16
    encoder_learning_rate: float = 1e-3
    # Side in pixels of the square, downsampled image that the decoder reproduces.
    reconstruction_size: int = 32
    reconstruction_weight: float = 1.0
    # Updates per training step of the encoder (reconstruction and critic gradients together). 0: pre-training only;
    # then every image is encoded once, and an update costs no more than one without images.
    encoder_interval: int = 0
    # Gradient steps of pre-training: for the autoencoder; for the locator, which replaces it if the camera is
    # calibrated; and for refining the locator whenever the number of episodes has doubled.
    encoder_steps: int = 400
    locator_steps: int = 1500
    locator_refit_steps: int = 500

    # --- memory
    # Capacity of the replay buffer, in transitions.
    replay_capacity: int = 20_000
    # Whether centre and scale of "vector" follow the stored data instead of the ObservationSpec.
    running_vector_statistics: bool = False

    def __post_init__(self) -> None:
        for name in ("actor_hidden", "critic_hidden", "return_bounds"):
            value = getattr(self, name)
            if isinstance(value, list):
                object.__setattr__(self, name, tuple(value))
        check_types(self)
        bounds: dict[str, tuple[float, float]] = {
            "n_critics": (1, 64),
            "target_subset": (1, self.n_critics),
            "initial_std": (self.min_std, self.max_std),
            "min_std": (1e-4, self.max_std),
            "noise_correlation": (0.0, 1.0),
            "initial_temperature": (self.min_temperature, self.max_temperature),
            "min_temperature": (1e-12, self.max_temperature),
            "n_proposals": (0, 4096),
            "gamma": (0.0, 1.0),
            "n_step": (1, 1000),
            "actor_learning_rate": (0.0, 1.0),
            "critic_learning_rate": (0.0, 1.0),
            "temperature_learning_rate": (0.0, 1.0),
            "encoder_learning_rate": (0.0, 1.0),
            "weight_decay": (0.0, 10.0),
            "batch_size": (1, 65536),
            "updates_per_decision": (0, 10_000),
            "polyak": (0.0, 1.0),
            "actor_interval": (1, 1000),
            "critic_head_start": (0, 1_000_000),
            "anchor_weight": (0.0, float("inf")),
            "imitation_weight": (0.0, float("inf")),
            "value_weight": (0.0, float("inf")),
            "pessimism": (0.0, 100.0),
            "actor_weight_decay": (0.0, 10.0),
            "success_fraction": (0.0, 1.0),
            "shift_std": (0.0, float("inf")),
            "latent_size": (1, 1024),
            "n_keypoints": (1, 256),
            "encoder_channels": (1, 256),
            "reconstruction_size": (4, 256),
            "reconstruction_weight": (0.0, float("inf")),
            "encoder_interval": (0, 10_000),
            "encoder_steps": (0, 1_000_000),
            "locator_steps": (0, 1_000_000),
            "locator_refit_steps": (0, 1_000_000),
            "replay_capacity": (1, 1_000_000),
        }
        check_ranges(self, bounds)
        for name in ("actor_hidden", "critic_hidden"):
            widths = getattr(self, name)
            if len(widths) > _MOST_LAYERS or any(not 1 <= width <= _WIDEST for width in widths):
                raise UserError(
                    f"SacConfig.{name} is {widths}, expected widths such as [64, 64]: at most {_MOST_LAYERS} layers, "
                    f"each of 1 to {_WIDEST}"
                )
        if self.return_bounds is not None and not self.return_bounds[0] < self.return_bounds[1]:
            raise UserError(f"SacConfig.return_bounds is {self.return_bounds}, expected lowest < highest")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        """Rebuild from `to_json` or from a configuration file; lists become tuples.

        Raises:
            UserError: A name is unknown, or a value has the wrong type or is out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(value) - known):
            raise UserError(f"SacConfig has no field {', '.join(unknown)}: known are {', '.join(sorted(known))}")
        return cls(**value)
