"""Soft actor-critic for slow decisions, sparse rewards and few episodes.

Haarnoja et al. 2018 (arXiv 1812.05905) with an ensemble of layer-normalised critics and many updates per decision
(REDQ, arXiv 2101.05982; RLPD, arXiv 2302.02948) and a jointly trained image autoencoder (SAC+AE, arXiv 1910.01741).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sac_gmm.core.errors import UserError
from sac_gmm.rl.replay import Observation, Replay
from sac_gmm.rl.sac.config import ObservationSpec, SacConfig
from sac_gmm.rl.sac.networks import Actor, CriticEnsemble, FlatParameters
from sac_gmm.rl.sac.optimiser import FlatAdam
from sac_gmm.rl.sight.encoder import ImageDecoder, ImageEncoder, SeenCache
from sac_gmm.rl.sight.locator import UNIT_M, Locator, train_locator

# How fast the statistics of the latents follow while the encoder trains.
STATISTICS_RATE = 0.01
BATCHES_AT_ONCE = 64
BEST_PROPOSALS = 0.1  # of the actor's proposals, those of which the middle is taken
UPDATES_TO_CHOOSE = 1500  # before so many updates critics know too little to choose
_BATCH_FIELDS = ("action", "reward", "discount", "succeeded")


@dataclass(frozen=True)
class PolicySnapshot:
    """All numbers of a policy at one moment: what an actor in another process needs."""

    version: int  # grows with every change
    values: np.ndarray  # float32, flat


class _Batch(NamedTuple):
    """What one update needs."""

    features: Tensor  # (B, n)
    next_features: Tensor  # (B, n)
    action: Tensor  # (B, m)
    reward: Tensor  # (B,)
    discount: Tensor  # (B,)
    succeeded: Tensor  # (B,)
    noise: Tensor  # (2, B, m): for the next actions, and for those of the actor's loss
    subset: Tensor  # critics whose minimum is the bootstrap target
    images: Tensor | None  # uint8 (B, C, H, W), where the encoder trains on


class Policy(nn.Module):
    """Observation to action: normaliser, what reads the picture, actor and, where they choose, critics.

    A picture becomes latents by an autoencoder's encoder or, where the camera is calibrated (`ObservationSpec.sight`),
    the error of the detected target by a locator. Where the action has the symmetry of the detected frame, actor and
    critics then work in the frame of the target as seen: position and action are expressed in it by the symmetry, so
    that the error is gone as far as it can be seen. Otherwise the error is one more thing they see.

    Without exploration the action is the actor's mean or, with `n_proposals`, the middle of those of its actions that
    the critics value most: one step of the cross-entropy method on the value, begun at the actor (QT-Opt, Kalashnikov
    et al. 2018, section 4.2, begins at a standard normal instead). After few episodes critics know more than the actor
    has taken up from them; to let it follow for longer does not help, because meanwhile they learn by heart.

    Args:
        spec: Shapes of the observations.
        action_dim: Entries of an action.
        config: Sizes of the networks.
        seed: Of the exploration noise that `act` draws when it is given none.
    """

    vector_centre: Tensor
    vector_scale: Tensor
    vector_shift: Tensor
    action_shift: Tensor
    proposals: Tensor
    critics_choose: Tensor

    def __init__(self, spec: ObservationSpec, action_dim: int, config: SacConfig, seed: int = 0) -> None:
        super().__init__()
        self.spec = spec
        self.action_dim = action_dim
        self.version = 0
        self.rng = np.random.default_rng(seed)
        self.encoder: ImageEncoder | None = None
        self.locator: Locator | None = None
        self.n_features = spec.vector_size
        # Whether the error seen moves the frame, instead of being a feature.
        self.in_seen_frame = spec.sight is not None and bool(spec.vector_shift)
        if spec.sight is not None:
            assert spec.image_shape is not None
            self.locator = Locator(spec.image_shape, spec.sight, config.encoder_channels, config.n_keypoints)
            self.n_features += -3 if self.in_seen_frame else 0  # the target in the camera's frame is for the locator
        elif spec.image_shape is not None:
            self.encoder = ImageEncoder(
                spec.image_shape, config.encoder_channels, config.n_keypoints, config.latent_size
            )
            self.n_features += config.latent_size
        self.actor = Actor(
            self.n_features,
            config.actor_hidden,
            action_dim,
            config.initial_std,
            config.min_std,
            config.max_std,
            config.zero_init,
        )
        self.critics: CriticEnsemble | None = None
        if config.n_proposals:
            self.critics = _make_critics(self.n_features + action_dim, config)
            # The same for every decision: what is deterministic stays so.
            noise = np.random.default_rng(0).standard_normal((config.n_proposals, action_dim))
            self.register_buffer("proposals", torch.from_numpy(noise.astype(np.float32)), persistent=False)
            self.register_buffer("critics_choose", torch.zeros(()))  # 1 once they have learned enough
        self.register_buffer("vector_centre", torch.tensor(spec.vector_centre or [0.0] * spec.vector_size))
        self.register_buffer("vector_scale", torch.tensor(spec.vector_scale or [1.0] * spec.vector_size))
        for name in ("vector_shift", "action_shift"):
            self.register_buffer(name, torch.tensor(getattr(spec, name)), persistent=False)

    def normalise(self, vector: Tensor) -> Tensor:
        """Return vectors (B, n) centred and scaled."""
        return (vector - self.vector_centre) / self.vector_scale

    @property
    def seen_size(self) -> int:
        """How many numbers a picture becomes."""
        if self.locator is not None:
            return 3
        return 0 if self.encoder is None else len(self.encoder.latent_mean)

    def see(self, vector: Tensor, images: Tensor | None) -> Tensor:
        """Return what the picture tells (B, seen_size): the latent, or the error of the detected target in metres.

        Args:
            vector: As observed (B, n).
            images: uint8 (B, C, H, W); None where there are none.
        """
        if images is None or self.seen_size == 0:
            return vector.new_zeros(len(vector), 0)
        if self.locator is not None:
            first = self.locator.sight.first
            return self.locator(images, vector[:, first : first + 3])
        assert self.encoder is not None
        return self.encoder(images)

    def features(self, vector: Tensor, seen: Tensor) -> Tensor:
        """Return what actor and critics see (B, n_features), of vectors as observed (B, n) and what `see` returned."""
        if self.locator is None:
            return torch.cat([self.normalise(vector), seen], dim=1)
        # The target in the camera's frame is for the locator alone.
        first = self.locator.sight.first
        if self.in_seen_frame:
            vector = self.normalise(vector - seen @ self.vector_shift.T)
            return torch.cat([vector[:, :first], vector[:, first + 3 :]], dim=1)
        vector = self.normalise(vector)
        return torch.cat([vector[:, :first], vector[:, first + 3 :], seen / UNIT_M], dim=1)

    def to_seen_frame(self, action: Tensor, seen: Tensor) -> Tensor:
        """Return actions (B, m) as actor and critics mean them, of actions as taken."""
        return action - seen @ self.action_shift.T if self.in_seen_frame else action

    @torch.no_grad()
    def act(self, obs: Observation, deterministic: bool = False, noise: np.ndarray | None = None) -> np.ndarray:
        """Return the action (m,), float32 in [-1, 1].

        Args:
            obs: "vector" (n,) and "image" uint8 (C, H, W) as specified.
            deterministic: Give the best action known; without it, exploration.
            noise: Standard normal sample (m,) to explore with, such as `Ar1Noise.sample()`; None draws a fresh one.
        """
        vector = torch.as_tensor(np.asarray(obs["vector"], np.float32) if self.spec.vector_size else np.zeros(0, "f4"))
        image = torch.as_tensor(obs["image"]).unsqueeze(0) if self.seen_size else None
        vector = vector.unsqueeze(0)
        seen = self.see(vector, image)
        features = self.features(vector, seen)
        mean, log_std = self.actor(features)
        if not deterministic:
            if noise is None:
                noise = self.rng.standard_normal(self.action_dim).astype(np.float32)
            mean = mean + log_std.exp() * torch.as_tensor(noise, dtype=torch.float32)
        action = torch.tanh(mean)
        if deterministic and self.critics is not None and self.critics_choose:
            proposed = torch.tanh(mean + log_std.exp() * self.proposals)
            values = self.critics(features.expand(len(proposed), -1), proposed).mean(dim=0)
            best = values.topk(math.ceil(BEST_PROPOSALS * len(proposed))).indices
            action = proposed[best].mean(dim=0, keepdim=True)
        if self.in_seen_frame:
            action = (action + seen @ self.action_shift.T).clamp(-1.0, 1.0)
        return action.squeeze(0).numpy()

    def snapshot(self) -> PolicySnapshot:
        """Return a copy of all numbers."""
        tensors = [tensor.reshape(-1) for tensor in self.state_dict().values()]
        return PolicySnapshot(self.version, torch.cat(tensors).numpy())

    @torch.no_grad()
    def load_snapshot(self, snapshot: PolicySnapshot) -> None:
        """Become the policy of a snapshot.

        Raises:
            UserError: It belongs to networks of another size.
        """
        tensors = list(self.state_dict().values())
        size = sum(tensor.numel() for tensor in tensors)
        if snapshot.values.size != size:
            raise UserError(
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
            self.critics = self.policy.critics or _make_critics(n_inputs, config)
            self.target_critics = _make_critics(n_inputs, config)
            self.decoder: ImageDecoder | None = None
            if self.policy.encoder is not None:
                assert spec.image_shape is not None
                self.decoder = ImageDecoder(spec.image_shape, config.latent_size, config.reconstruction_size)

        self._vector_shift = torch.tensor(spec.vector_shift)
        self._action_shift = torch.tensor(spec.action_shift)
        self.actor_parameters = FlatParameters([self.policy.actor])
        self.critic_parameters = FlatParameters([self.critics])
        self.target_parameters = FlatParameters([self.target_critics], trainable=False)
        self.target_parameters.copy_(self.critic_parameters.vector.data)
        self.optimisers = {
            "actor": FlatAdam(self.actor_parameters, config.actor_learning_rate, config.actor_weight_decay),
            "critic": FlatAdam(self.critic_parameters, config.critic_learning_rate, config.weight_decay),
        }
        if self.policy.encoder is not None and self.decoder is not None:
            self.encoder_parameters = FlatParameters([self.policy.encoder, self.decoder])
            self.optimisers["encoder"] = FlatAdam(self.encoder_parameters, config.encoder_learning_rate)
        self._seen = SeenCache(self.policy.see, self.policy.seen_size)
        self._n_located = 0  # episodes on which the locator was trained last

    def act(self, obs: Observation, deterministic: bool = False, noise: np.ndarray | None = None) -> np.ndarray:
        """Return the action (m,) in [-1, 1]; see `Policy.act`."""
        return self.policy.act(obs, deterministic, noise)

    def policy_snapshot(self) -> PolicySnapshot:
        """Return the policy's numbers for an actor elsewhere."""
        return self.policy.snapshot()

    @torch.no_grad()
    def update_many(self, replay: Replay, n: int) -> dict[str, float]:
        """Make n gradient updates of critics, actor and temperature; return the metrics of the last one.

        Where the encoder trains on (`encoder_interval`), every so many updates are one of the encoder too.
        """
        config = self.config
        if config.running_vector_statistics:
            centre, scale = replay.vector_statistics()
            self.policy.vector_centre.copy_(torch.from_numpy(centre))
            self.policy.vector_scale.copy_(torch.from_numpy(scale))
        with_images = self.policy.encoder is not None and config.encoder_interval > 0
        if self.policy.locator is not None:
            starts = replay.episode_starts()
            if len(starts) >= max(2 * self._n_located, 2):
                self._train_locator(replay, starts)
        if self.policy.seen_size and not with_images:
            self._seen.follow(replay)
        # All that need not wait for the update before is done for many updates at once.
        at_once = 1 if with_images else BATCHES_AT_ONCE
        metrics: dict[str, float] = {}
        for first in range(0, n, at_once):
            count = min(at_once, n - first)
            batch = replay.sample(
                config.batch_size,
                self.rng,
                gamma=config.gamma,
                n_step=config.n_step,
                success_fraction=config.success_fraction,
                images=with_images,
                n_batches=count,
            )
            batches = self._prepare({name: torch.from_numpy(array) for name, array in batch.items()}, count)
            for i, prepared in enumerate(batches):
                metrics = self._update(prepared, wants_metrics=first + i == n - 1)
        return metrics

    def _prepare(self, drawn: dict[str, Tensor], n: int) -> list[_Batch]:
        """Shift, normalise and encode what was drawn, and cut it into n batches."""
        # In the frame as seen nothing is shifted: another error of the detection would be seen, and undone.
        if self.spec.vector_shift and self.config.shift_std > 0.0 and not self.policy.in_seen_frame:
            self._shift(drawn)
        vector, next_vector = drawn["vector"], drawn["next_vector"]
        images = drawn.get("image")
        if images is not None:
            seen, next_seen = self.policy.see(vector, images), self.policy.see(next_vector, drawn["next_image"])
        elif self.policy.seen_size:
            seen, next_seen = self._seen.get(drawn["row"], drawn["next_row"])
        else:
            seen = next_seen = vector.new_zeros(len(vector), 0)
        features, next_features = self.policy.features(vector, seen), self.policy.features(next_vector, next_seen)
        drawn["action"] = self.policy.to_seen_frame(drawn["action"], seen)
        size = len(vector) // n
        noise = torch.randn(n, 2, size, self.action_dim, generator=self.generator)
        chance = torch.rand(n, self.config.n_critics, generator=self.generator)
        subsets = chance.argsort(dim=1)[:, : self.config.target_subset]
        cut = [
            tensor.view(n, size, *tensor.shape[1:])
            for tensor in (features, next_features, *(drawn[name] for name in _BATCH_FIELDS))
        ]
        return [
            _Batch(*[part[i] for part in cut], noise=noise[i], subset=subsets[i], images=images)  # type: ignore[misc]
            for i in range(n)
        ]

    def _update(self, batch: _Batch, *, wants_metrics: bool) -> dict[str, float]:
        metrics: dict[str, float] = {}
        self._update_critics(batch, metrics, wants_metrics)
        if self.n_updates >= self.config.critic_head_start and self.n_updates % self.config.actor_interval == 0:
            self._update_actor(batch, metrics)
        self.n_updates += 1
        self.policy.version += 1
        if self.policy.critics is not None and self.n_updates >= max(UPDATES_TO_CHOOSE, self.config.critic_head_start):
            self.policy.critics_choose.fill_(1.0)
        metrics["temperature"] = self.temperature
        return metrics

    def learn_to_see(self, replay: Replay) -> None:
        """Train what reads the pictures on those of the buffer, before anything else is learned."""
        if self.policy.locator is not None:
            self._train_locator(replay, replay.episode_starts())
        elif self.policy.encoder is not None:
            self.pretrain_encoder(replay.images(), self.config.encoder_steps)

    def _train_locator(self, replay: Replay, starts: np.ndarray) -> None:
        """Train the locator on the first picture of every episode; go on where it was trained already."""
        locator = self.policy.locator
        assert locator is not None
        target_m = replay.vectors(starts)[:, locator.sight.first : locator.sight.first + 3]
        steps = self.config.locator_refit_steps if self._n_located else self.config.locator_steps
        train_locator(locator, replay.images(starts), target_m, steps, self.rng)
        self._n_located = len(starts)
        self._seen.clear()
        self.policy.version += 1

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
            raise UserError("this agent's observation has no image: there is no encoder to pre-train")
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
        self._seen.clear()
        self.policy.version += 1
        return loss.item()

    def _update_critics(self, batch: _Batch, metrics: dict[str, float], wants_metrics: bool) -> None:
        """One step on the temporal-difference error, and on the encoder where it is its turn."""
        config = self.config
        next_action, log_prob = self.policy.actor.sample(batch.next_features, batch.noise[0])
        members = batch.subset if config.target_subset < config.n_critics else None
        value = self.target_critics(batch.next_features, next_action, members).amin(dim=0)
        if config.entropy_in_target:
            value = value - self.temperature * log_prob
        target = batch.reward + batch.discount * value
        if config.return_bounds is not None:
            target.clamp_(*config.return_bounds)

        q, trace = self.critics.trace(batch.features, batch.action)
        error = q - target
        trains_encoder = batch.images is not None and self.n_updates % config.encoder_interval == 0
        # The loss is half the squared error, its mean over the batch and its sum over the critics.
        of_inputs = self.critics.backward(error / len(target), trace, inputs=trains_encoder)
        if trains_encoder:
            assert of_inputs is not None and batch.images is not None
            first = self.spec.vector_size
            self._update_encoder(batch.images, of_inputs[:, first : first + config.latent_size], metrics)
        self.optimisers["critic"].step()
        self.target_parameters.vector.data.lerp_(self.critic_parameters.vector.data, config.polyak)
        if wants_metrics:
            metrics["critic_loss"] = 0.5 * error.square().mean().item()
            metrics["value"] = q.mean().item()

    @torch.enable_grad()
    def _update_encoder(self, images: Tensor, of_latent: Tensor, metrics: dict[str, float]) -> None:
        """One step on the critics' loss, of which the gradient by the latents is given, and the reconstruction's."""
        encoder, decoder = self.policy.encoder, self.decoder
        assert encoder is not None and decoder is not None
        raw = encoder.raw_latent(images)
        encoder.follow_statistics(raw, STATISTICS_RATE)
        reconstruction = decoder.loss(raw, images)
        self.encoder_parameters.clear_gradient()
        weight = torch.tensor(self.config.reconstruction_weight)
        torch.autograd.backward([encoder.standardise(raw), reconstruction], [of_latent, weight])
        self.optimisers["encoder"].step()
        metrics["reconstruction_loss"] = reconstruction.item()

    def _update_actor(self, batch: _Batch, metrics: dict[str, float]) -> None:
        """One step on the actor's loss, then on the temperature.

        The loss is the mean of temperature * log-probability - value, with the anchor and the imitation added.
        """
        config, actor, size = self.config, self.policy.actor, len(batch.features)
        drawn, trace = actor.trace(batch.features, batch.noise[1])
        q, critic_trace = self.critics.trace(batch.features, drawn.action)
        weight = config.value_weight / size
        of_q = torch.full_like(q, -weight / len(q))
        if config.pessimism:
            # The value is mean - pessimism * std over the critics; d std / d q = (q - mean) / (n std).
            std, mean = torch.std_mean(q, dim=0, correction=0)
            of_q += (config.pessimism * weight / len(q)) * (q - mean) / std.clamp(min=1e-3)
        of_inputs = self.critics.backward(of_q, critic_trace, weights=False, inputs=True)
        assert of_inputs is not None
        of_mean: Tensor | None = None
        if config.anchor_weight or config.imitation_weight:
            middle = torch.tanh(drawn.mean)
            pull = (config.anchor_weight / size) * middle
            if config.imitation_weight:
                share = batch.succeeded / batch.succeeded.sum().clamp(min=1.0)
                pull = pull + config.imitation_weight * share.unsqueeze(1) * (middle - batch.action)
            of_mean = 2.0 * pull * (1.0 - middle.square())
        actor.backward(of_inputs[:, -self.action_dim :], weight * self.temperature, drawn, trace, of_mean)
        self.optimisers["actor"].step()
        actor.keep_spread_within_bounds()
        entropy = -drawn.log_prob.mean().item()
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

    def state_dict(self) -> dict[str, Any]:
        """Return everything that learning depends on: "tensors" (name to tensor) and "values" (JSON-ready)."""
        tensors: dict[str, Tensor] = {}
        for prefix, module in self._modules().items():
            tensors |= {f"{prefix}.{name}": tensor.clone() for name, tensor in module.state_dict().items()}
        for name, optimiser in self.optimisers.items():
            for key, tensor in optimiser.state_dict().items():
                tensors[f"optimiser.{name}.{key}"] = tensor
        tensors["generator"] = self.generator.get_state()
        values = {
            "n_updates": self.n_updates,
            "n_located": self._n_located,
            "policy_version": self.policy.version,
            "temperature": self.temperature,
            "rng": self.rng.bit_generator.state,
            "policy_rng": self.policy.rng.bit_generator.state,
        }
        return {"tensors": tensors, "values": values}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue exactly where `state_dict` was taken.

        Raises:
            UserError: A tensor is missing or has another shape.
        """
        tensors, values = dict(state["tensors"]), state["values"]
        self.generator.set_state(tensors.pop("generator"))
        for prefix, module in self._modules().items():
            for name, tensor in module.state_dict().items():
                stored = tensors.pop(f"{prefix}.{name}", None)
                if stored is None or stored.shape != tensor.shape:
                    got = "missing" if stored is None else f"of shape {tuple(stored.shape)}"
                    raise UserError(
                        f"stored tensor {prefix}.{name} is {got}, expected {tuple(tensor.shape)}: "
                        "use the configuration and observation it was trained with"
                    )
                tensor.copy_(stored)
        for name, optimiser in self.optimisers.items():
            prefix = f"optimiser.{name}."
            optimiser.load_state_dict({k.removeprefix(prefix): tensors[k] for k in tensors if k.startswith(prefix)})
        self._seen.clear()
        self._n_located = values["n_located"]
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


def _make_critics(n_inputs: int, config: SacConfig) -> CriticEnsemble:
    return CriticEnsemble(n_inputs, config.critic_hidden, config.n_critics, config.layer_norm)
