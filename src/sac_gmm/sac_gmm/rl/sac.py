"""Soft actor-critic for slow decisions, sparse rewards and few episodes.

Haarnoja et al. 2018 (arXiv 1812.05905) with an ensemble of layer-normalised critics and many updates per decision
(REDQ, arXiv 2101.05982; RLPD, arXiv 2302.02948) and a jointly trained image autoencoder (SAC+AE, arXiv 1910.01741).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from sac_gmm.errors import SacGmmError
from sac_gmm.rl.config import ObservationSpec, SacConfig
from sac_gmm.rl.encoder import ImageDecoder, ImageEncoder, LatentCache
from sac_gmm.rl.networks import Actor, CriticEnsemble, FlatParameters
from sac_gmm.rl.replay import Observation, Replay

# How fast the statistics of the latents follow while the encoder trains.
STATISTICS_RATE = 0.01


@dataclass(frozen=True)
class PolicySnapshot:
    """All numbers of a policy at one moment: what an actor in another process needs."""

    version: int  # grows with every change
    values: np.ndarray  # float32, flat


class Policy(nn.Module):
    """Observation to action: normaliser, image encoder and actor.

    Args:
        spec: Shapes of the observations.
        action_dim: Entries of an action.
        config: Sizes of the networks.
        seed: Of the exploration noise that `act` draws when it is given none.
    """

    vector_centre: Tensor
    vector_scale: Tensor

    def __init__(self, spec: ObservationSpec, action_dim: int, config: SacConfig, seed: int = 0) -> None:
        super().__init__()
        self.spec = spec
        self.action_dim = action_dim
        self.version = 0
        self.rng = np.random.default_rng(seed)
        self.encoder: ImageEncoder | None = None
        self.n_features = spec.vector_size
        if spec.image_shape is not None:
            self.encoder = ImageEncoder(
                spec.image_shape, config.encoder_channels, config.n_keypoints, config.latent_size
            )
            self.n_features += config.latent_size
        self.actor = Actor(
            self.n_features, config.actor_hidden, action_dim, config.initial_std, config.min_std, config.max_std
        )
        self.register_buffer("vector_centre", torch.tensor(spec.vector_centre or [0.0] * spec.vector_size))
        self.register_buffer("vector_scale", torch.tensor(spec.vector_scale or [1.0] * spec.vector_size))

    def normalise(self, vector: Tensor) -> Tensor:
        """Return vectors (B, n) centred and scaled."""
        return (vector - self.vector_centre) / self.vector_scale

    def features(self, vector: Tensor, images: Tensor | None) -> Tensor:
        """Return what actor and critics see (B, n_features)."""
        vector = self.normalise(vector)
        return vector if self.encoder is None else torch.cat([vector, self.encoder(images)], dim=1)

    @torch.no_grad()
    def act(self, obs: Observation, deterministic: bool = False, noise: np.ndarray | None = None) -> np.ndarray:
        """Return the action (m,), float32 in [-1, 1].

        Args:
            obs: "vector" (n,) and "image" uint8 (C, H, W) as specified.
            deterministic: Give the mean action; without it, exploration.
            noise: Standard normal sample (m,) to explore with, such as `Ar1Noise.sample()`; None draws a fresh one.
        """
        vector = torch.as_tensor(np.asarray(obs["vector"], np.float32) if self.spec.vector_size else np.zeros(0, "f4"))
        image = None if self.encoder is None else torch.as_tensor(obs["image"]).unsqueeze(0)
        mean, log_std = self.actor(self.features(vector.unsqueeze(0), image))
        if not deterministic:
            if noise is None:
                noise = self.rng.standard_normal(self.action_dim).astype(np.float32)
            mean = mean + log_std.exp() * torch.as_tensor(noise, dtype=torch.float32)
        return torch.tanh(mean).squeeze(0).numpy()

    def snapshot(self) -> PolicySnapshot:
        """Return a copy of all numbers."""
        tensors = [tensor.reshape(-1) for tensor in self.state_dict().values()]
        return PolicySnapshot(self.version, torch.cat(tensors).numpy())

    @torch.no_grad()
    def load_snapshot(self, snapshot: PolicySnapshot) -> None:
        """Become the policy of a snapshot.

        Raises:
            SacGmmError: It belongs to networks of another size.
        """
        tensors = list(self.state_dict().values())
        size = sum(tensor.numel() for tensor in tensors)
        if snapshot.values.size != size:
            raise SacGmmError(
                f"the policy snapshot has {snapshot.values.size} numbers, this policy has {size}: "
                "use the configuration and observation it was trained with"
            )
        start = 0
        for tensor in tensors:
            stop = start + tensor.numel()
            tensor.copy_(torch.from_numpy(snapshot.values[start:stop]).view(tensor.shape))
            start = stop
        self.version = snapshot.version


class SacAgent:
    """Actor, critics, encoder and their optimisers.

    Args:
        spec: Shapes of the observations.
        action_dim: Entries of an action.
        config: How to learn.
        seed: Of weights, updates and exploration.
    """

    def __init__(self, spec: ObservationSpec, action_dim: int, config: SacConfig | None = None, seed: int = 0) -> None:
        self.spec = spec
        self.action_dim = action_dim
        self.config = config = config or SacConfig()
        self.seed = seed
        self.n_updates = 0
        self.temperature = config.initial_temperature
        self.generator = torch.Generator().manual_seed(seed)  # noise inside the updates
        self.rng = np.random.default_rng([seed, 1])  # draws from the replay
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.policy = Policy(spec, action_dim, config, seed)
            n_inputs = self.policy.n_features + action_dim
            self.critics = CriticEnsemble(n_inputs, config.critic_hidden, config.n_critics, config.layer_norm)
            self.target_critics = CriticEnsemble(n_inputs, config.critic_hidden, config.n_critics, config.layer_norm)
            self.decoder: ImageDecoder | None = None
            if spec.image_shape is not None:
                self.decoder = ImageDecoder(spec.image_shape, config.latent_size, config.reconstruction_size)

        self._vector_shift = torch.tensor(spec.vector_shift)
        self._action_shift = torch.tensor(spec.action_shift)
        self.actor_parameters = FlatParameters([self.policy.actor])
        self.critic_parameters = FlatParameters([self.critics])
        self.target_parameters = FlatParameters([self.target_critics], trainable=False)
        self.target_parameters.copy_(self.critic_parameters.vector.data)
        self.optimisers = {
            "actor": _adam(self.actor_parameters, config.actor_learning_rate, config.actor_weight_decay),
            "critic": _adam(self.critic_parameters, config.critic_learning_rate, config.weight_decay),
        }
        if self.policy.encoder is not None and self.decoder is not None:
            self.encoder_parameters = FlatParameters([self.policy.encoder, self.decoder])
            self.optimisers["encoder"] = _adam(self.encoder_parameters, config.encoder_learning_rate)
            self._latents = LatentCache(self.policy.encoder)

    def act(self, obs: Observation, deterministic: bool = False, noise: np.ndarray | None = None) -> np.ndarray:
        """Return the action (m,) in [-1, 1]; see `Policy.act`."""
        return self.policy.act(obs, deterministic, noise)

    def policy_snapshot(self) -> PolicySnapshot:
        """Return the policy's numbers for an actor elsewhere."""
        return self.policy.snapshot()

    def update_many(self, replay: Replay, n: int) -> dict[str, float]:
        """Make n gradient updates from the replay buffer; return the metrics of the last one."""
        config = self.config
        if config.running_vector_statistics:
            centre, scale = replay.vector_statistics()
            self.policy.vector_centre.copy_(torch.from_numpy(centre))
            self.policy.vector_scale.copy_(torch.from_numpy(scale))
        cached = self.policy.encoder is not None and config.encoder_interval == 0
        if cached:
            self._latents.follow(replay)
        metrics: dict[str, float] = {}
        for _ in range(n):
            batch = replay.sample(
                config.batch_size,
                self.rng,
                gamma=config.gamma,
                n_step=config.n_step,
                success_fraction=config.success_fraction,
                images=not cached,
            )
            metrics = self.update(batch)
        return metrics

    def update(self, batch: dict[str, np.ndarray]) -> dict[str, float]:
        """Make one gradient update of critics, encoder, actor and temperature.

        Args:
            batch: As `Replay.sample` returns it.

        Returns:
            Losses, mean value, entropy and temperature.
        """
        tensors = {name: torch.from_numpy(array) for name, array in batch.items()}
        if self.spec.vector_shift and self.config.shift_std > 0.0:
            self._shift(tensors)
        metrics: dict[str, float] = {}
        vector, next_vector = (self.policy.normalise(tensors[name]) for name in ("vector", "next_vector"))
        encoder, interval = self.policy.encoder, self.config.encoder_interval
        reconstruction: Tensor | None = None
        if encoder is None:
            features, next_features = vector, next_vector
        elif interval == 0 and "image" not in tensors:
            latent, next_latent = self._latents.get(tensors["row"], tensors["next_row"])
            features, next_features = torch.cat([vector, latent], dim=1), torch.cat([next_vector, next_latent], dim=1)
        else:
            if interval and self.n_updates % interval == 0:
                # The critic's gradient and the reconstruction shape the latent together.
                raw = encoder.raw_latent(tensors["image"])
                encoder.follow_statistics(raw, STATISTICS_RATE)
                latent = encoder.standardise(raw)
                assert self.decoder is not None
                reconstruction = self.decoder.loss(raw, tensors["image"])
                metrics["reconstruction_loss"] = reconstruction.item()
            else:
                with torch.no_grad():
                    latent = encoder(tensors["image"])
            with torch.no_grad():
                next_latent = encoder(tensors["next_image"])
            features, next_features = torch.cat([vector, latent], dim=1), torch.cat([next_vector, next_latent], dim=1)
        self._update_critics(tensors, features, next_features, reconstruction, metrics)
        features = features.detach()
        if self.n_updates % self.config.actor_interval == 0:
            self._update_actor(tensors, features, metrics)
        self.n_updates += 1
        self.policy.version += 1
        metrics["temperature"] = self.temperature
        return metrics

    def pretrain_encoder(self, images: np.ndarray, steps: int) -> float:
        """Train the autoencoder alone, then set the statistics of the latents from all images.

        Args:
            images: uint8 (N, C, H, W), such as `Replay.images()`.
            steps: Gradient steps.

        Returns:
            The last reconstruction loss.
        """
        encoder, decoder = self.policy.encoder, self.decoder
        if encoder is None or decoder is None:
            raise SacGmmError("this agent's observation has no image: there is no encoder to pre-train")
        loss = torch.zeros(())
        for _ in range(steps):
            batch = torch.from_numpy(images[self.rng.integers(len(images), size=self.config.batch_size)])
            self.encoder_parameters.clear_gradient()
            loss = decoder.loss(encoder.raw_latent(batch), batch)
            loss.backward()
            self.optimisers["encoder"].step()
        with torch.no_grad():
            chunks = [encoder.raw_latent(torch.from_numpy(images[i : i + 256])) for i in range(0, len(images), 256)]
            encoder.follow_statistics(torch.cat(chunks), 1.0)
        self._latents.clear()
        self.policy.version += 1
        return loss.item()

    def _update_critics(
        self,
        batch: dict[str, Tensor],
        features: Tensor,
        next_features: Tensor,
        reconstruction: Tensor | None,
        metrics: dict[str, float],
    ) -> None:
        """One step on the temporal-difference error, and on the encoder where there is a reconstruction loss."""
        config, actor = self.config, self.policy.actor
        with torch.no_grad():
            next_action, log_prob, _ = actor.sample(next_features, self._noise(len(next_features)))
            values = self.target_critics(next_features, next_action)
            if config.target_subset < config.n_critics:
                chosen = torch.randperm(config.n_critics, generator=self.generator)[: config.target_subset]
                values = values[chosen]
            value = values.amin(dim=0)
            if config.entropy_in_target:
                value = value - self.temperature * log_prob
            target = batch["reward"] + batch["discount"] * value
            if config.return_bounds is not None:
                target.clamp_(*config.return_bounds)

        q = self.critics(features, batch["action"])
        error = q.detach() - target
        # The loss is half the squared error, its mean over the batch and its sum over the critics.
        self.critic_parameters.clear_gradient()
        if reconstruction is None:
            q.backward(error / len(target))
        else:
            self.encoder_parameters.clear_gradient()
            weight = torch.tensor(config.reconstruction_weight)
            torch.autograd.backward([q, reconstruction], [error / len(target), weight])
            self.optimisers["encoder"].step()
        self.optimisers["critic"].step()
        self.target_parameters.vector.data.lerp_(self.critic_parameters.vector.data, config.polyak)
        metrics["critic_loss"] = 0.5 * error.square().mean().item()
        metrics["value"] = q.detach().mean().item()

    def _update_actor(self, batch: dict[str, Tensor], features: Tensor, metrics: dict[str, float]) -> None:
        """One step on the actor's loss, then on the temperature."""
        config = self.config
        action, log_prob, mean = self.policy.actor.sample(features, self._noise(len(features)))
        q = self.critics(features, action, fixed=True)
        # The loss is the mean of temperature * log probability - value; its gradients at these two need no graph.
        weight = config.value_weight / len(features)
        roots = [log_prob, q]
        gradients = [torch.full_like(log_prob, weight * self.temperature), torch.full_like(q, -weight / len(q))]
        if config.anchor_weight:
            roots.append(config.anchor_weight * torch.tanh(mean).square().sum(dim=1).mean())
            gradients.append(torch.ones(()))
        if config.imitation_weight:
            succeeded = batch["succeeded"]
            distance = (torch.tanh(mean) - batch["action"]).square().sum(dim=1)
            roots.append((succeeded * distance).sum() / succeeded.sum().clamp(min=1.0))
            gradients.append(torch.tensor(config.imitation_weight))
        self.actor_parameters.clear_gradient()
        torch.autograd.backward(roots, gradients)
        self.optimisers["actor"].step()
        entropy = -log_prob.detach().mean().item()
        if config.automatic_temperature:
            # Descent on log(temperature) * (entropy - target), with a bounded step.
            missing = config.target_entropy_per_action * self.action_dim - entropy
            factor = math.exp(config.temperature_learning_rate * min(max(missing, -1.0), 1.0))
            self.temperature = min(max(self.temperature * factor, config.min_temperature), config.max_temperature)
        metrics["entropy"] = entropy

    def _shift(self, batch: dict[str, Tensor]) -> None:
        """Displace every transition at random along the symmetry, as far as its action stays within [-1, 1]."""
        action = batch["action"]
        shift = self.config.shift_std * torch.randn(len(action), self._vector_shift.shape[1], generator=self.generator)
        moved = action + shift @ self._action_shift.T
        # Where an action would leave its range, the whole displacement shrinks: it stays along the symmetry.
        beyond = (moved - action).abs().clamp(min=1e-9)
        room = torch.where(moved > action, 1.0 - action, 1.0 + action)
        shift = shift * (room / beyond).clamp(max=1.0).amin(dim=1, keepdim=True)
        batch["action"] = (action + shift @ self._action_shift.T).clamp(-1.0, 1.0)
        by = shift @ self._vector_shift.T
        batch["vector"], batch["next_vector"] = batch["vector"] + by, batch["next_vector"] + by

    def _noise(self, n: int) -> Tensor:
        return torch.randn(n, self.action_dim, generator=self.generator)

    def state_dict(self) -> dict[str, Any]:
        """Return everything that learning depends on: "tensors" (name to tensor) and "values" (JSON-ready)."""
        tensors: dict[str, Tensor] = {}
        for prefix, module in self._modules().items():
            tensors |= {f"{prefix}.{name}": tensor.clone() for name, tensor in module.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            for key, tensor in optimiser.state_dict()["state"].get(0, {}).items():
                tensors[f"optimiser.{name}.{key}"] = tensor.clone()
        tensors["generator"] = self.generator.get_state()
        values = {
            "n_updates": self.n_updates,
            "policy_version": self.policy.version,
            "temperature": self.temperature,
            "rng": self.rng.bit_generator.state,
            "policy_rng": self.policy.rng.bit_generator.state,
        }
        return {"tensors": tensors, "values": values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken.

        Raises:
            SacGmmError: A tensor is missing or has another shape.
        """
        tensors, values = dict(state["tensors"]), state["values"]
        self.generator.set_state(tensors.pop("generator"))
        for prefix, module in self._modules().items():
            for name, tensor in module.state_dict().items():
                stored = tensors.pop(f"{prefix}.{name}", None)
                if stored is None or stored.shape != tensor.shape:
                    got = "missing" if stored is None else f"of shape {tuple(stored.shape)}"
                    raise SacGmmError(
                        f"stored tensor {prefix}.{name} is {got}, expected {tuple(tensor.shape)}: "
                        "use the configuration and observation it was trained with"
                    )
                tensor.copy_(stored)
        for name, optimiser in self.optimisers.items():
            prefix = f"optimiser.{name}."
            moments = {key.removeprefix(prefix): tensors[key].clone() for key in tensors if key.startswith(prefix)}
            optimiser.load_state_dict({**optimiser.state_dict(), "state": {0: moments} if moments else {}})
        if self.policy.encoder is not None:
            self._latents.clear()
        self.n_updates = values["n_updates"]
        self.policy.version = values["policy_version"]
        self.temperature = values["temperature"]
        self.rng.bit_generator.state = values["rng"]
        self.policy.rng.bit_generator.state = values["policy_rng"]

    def _modules(self) -> dict[str, nn.Module]:
        modules: dict[str, nn.Module] = {
            "policy": self.policy,
            "critics": self.critics,
            "target_critics": self.target_critics,
        }
        return modules if self.decoder is None else {**modules, "decoder": self.decoder}


def _adam(parameters: FlatParameters, learning_rate: float, weight_decay: float = 0.0) -> torch.optim.Optimizer:
    return torch.optim.AdamW([parameters.vector], lr=learning_rate, weight_decay=weight_decay, fused=True)
