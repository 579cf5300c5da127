"""Soft actor-critic for slow decisions, sparse rewards and few episodes.

Haarnoja et al. 2018 (arXiv 1812.05905) with an ensemble of layer-normalised critics and many updates per decision
(REDQ, arXiv 2101.05982; RLPD, arXiv 2302.02948) and a jointly trained image autoencoder (SAC+AE, arXiv 1910.01741).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from sac_gmm.core.errors import UserError
from sac_gmm.rl.replay import Replay
from sac_gmm.rl.sac.config import SacConfig
from sac_gmm.rl.sac.networks import FlatParameters
from sac_gmm.rl.sac.optimiser import FlatAdam
from sac_gmm.rl.sac.policy import SacPolicy, make_critics
from sac_gmm.rl.sight.encoder import ImageDecoder, SeenCache
from sac_gmm.rl.sight.locator import train_locator
from sac_gmm.rl.spaces import ObservationSpec

STATISTICS_RATE = 0.01  # rate at which the latent statistics are updated while the encoder trains
BATCHES_AT_ONCE = 64
UPDATES_TO_CHOOSE = 1500  # with fewer, the critics know too little to choose actions
_BATCH_FIELDS = ("action", "reward", "discount", "succeeded")


class _Batch(NamedTuple):
    """The data of one update."""

    features: Tensor  # (B, n)
    next_features: Tensor  # (B, n)
    action: Tensor  # (B, m)
    reward: Tensor  # (B,)
    discount: Tensor  # (B,)
    succeeded: Tensor  # (B,)
    noise: Tensor  # (2, B, m): for the next actions, and for the actions in the actor's loss
    subset: Tensor  # indices of the critics whose minimum is the bootstrap target
    images: Tensor | None  # uint8 (B, C, H, W), if the encoder keeps training


class SacAgent:
    """Actor, critics, encoder and their optimisers.

    Args:
        spec: Shapes of the observations.
        action_dim: Entries of an action.
        config: How to learn.
        seed: Seed of weights, updates and exploration.
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
            self.policy = SacPolicy(spec, action_dim, config, seed)
            n_inputs = self.policy.n_features + action_dim
            self.critics = self.policy.critics or make_critics(n_inputs, config)
            self.target_critics = make_critics(n_inputs, config)
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
        self._n_located = 0  # number of episodes when the locator was last trained
        self.on_progress: Callable[[str, float], None] | None = None  # see `Algorithm.on_progress`

    @torch.no_grad()
    def update_many(self, replay: Replay, n: int) -> dict[str, float]:
        """Make n gradient updates of critics, actor and temperature; return the metrics of the last one.

        If the encoder keeps training, every `encoder_interval`-th update also updates the encoder.
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
        # Work that does not depend on the previous update is done for many updates at once.
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
        """Shift, normalise and encode the drawn transitions and split them into n batches."""
        # In the frame as seen, a shift would teach nothing: the locator would see the extra detection error and remove
        # it.
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
        """Update critics, then, once they have had their head start, actor and temperature."""
        metrics: dict[str, float] = {}
        self._update_critics(batch, metrics, wants_metrics)
        if self.n_updates >= self.config.critic_head_start and self.n_updates % self.config.actor_interval == 0:
            log_prob = self._update_actor(batch)
            metrics["entropy"] = -log_prob.mean().item()
            self._update_temperature(metrics["entropy"])
        self.n_updates += 1
        self.policy.version += 1
        if self.policy.critics is not None and self.n_updates >= max(UPDATES_TO_CHOOSE, self.config.critic_head_start):
            self.policy.critics_choose.fill_(1.0)
        metrics["temperature"] = self.temperature
        return metrics

    def learn_to_see(self, replay: Replay) -> None:
        """Train the locator or the encoder on the pictures in the buffer, before anything else."""
        if self.policy.locator is not None:
            self._train_locator(replay, replay.episode_starts())
        elif self.policy.encoder is not None:
            self.pretrain_encoder(replay.images(), self.config.encoder_steps)

    def _train_locator(self, replay: Replay, starts: np.ndarray) -> None:
        """Train the locator on the first picture of every episode; refine it if already trained."""
        locator = self.policy.locator
        assert locator is not None
        target_m = replay.vectors(starts)[:, locator.sight.first : locator.sight.first + 3]
        steps = self.config.locator_refit_steps if self._n_located else self.config.locator_steps
        on_step = self._counting(f"learning to see from {len(starts)} episodes", steps)
        train_locator(locator, replay.images(starts), target_m, steps, self.rng, on_step)
        self._n_located = len(starts)
        self._seen.clear()
        self.policy.version += 1

    def _counting(self, what: str, steps: int) -> Callable[[], None]:
        """What to call on each of so many steps: it tells the progress."""
        done = itertools.count(1)

        def on_step() -> None:
            if self.on_progress is not None:
                self.on_progress(what, next(done) / steps)

        return on_step

    def pretrain_encoder(self, images: np.ndarray, steps: int) -> float:
        """Train the autoencoder alone, then set the statistics of the latents from all images.

        Args:
            images: uint8 (N, C, H, W), for example from `Replay.images()`.
            steps: Gradient steps.

        Returns:
            The last reconstruction loss.
        """
        encoder, decoder = self.policy.encoder, self.decoder
        if encoder is None or decoder is None:
            raise UserError("this agent's observation has no image, so there is no encoder to pre-train")
        loss = torch.zeros(())
        on_step = self._counting(f"learning to see from {len(images)} pictures", steps)
        for _ in range(steps):
            on_step()
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
        """Make one step on the temporal-difference error, and on the encoder if it is due.

        target = r + gamma^steps (min Q(s', a') - temperature log pi(a'|s')), a' from the policy; the minimum is over a
        random subset of the target critics (REDQ), the entropy bonus optional.
        """
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
        # The loss is half the squared error, averaged over the batch and summed over the critics.
        grad_inputs = self.critics.backward(error / len(target), trace, inputs=trains_encoder)
        if trains_encoder:
            assert grad_inputs is not None and batch.images is not None
            first = self.spec.vector_size
            grad_latent = grad_inputs[:, first : first + config.latent_size]
            metrics["reconstruction_loss"] = self._update_encoder(batch.images, grad_latent)
        self.optimisers["critic"].step()
        self.target_parameters.vector.data.lerp_(self.critic_parameters.vector.data, config.polyak)
        if wants_metrics:
            metrics["critic_loss"] = 0.5 * error.square().mean().item()
            metrics["value"] = q.mean().item()

    @torch.enable_grad()
    def _update_encoder(self, images: Tensor, grad_latent: Tensor) -> float:
        """Make one step on the critics' loss (gradient given) plus the reconstruction loss; return the latter."""
        encoder, decoder = self.policy.encoder, self.decoder
        assert encoder is not None and decoder is not None
        raw = encoder.raw_latent(images)
        encoder.follow_statistics(raw, STATISTICS_RATE)
        reconstruction = decoder.loss(raw, images)
        self.encoder_parameters.clear_gradient()
        weight = torch.tensor(self.config.reconstruction_weight)
        torch.autograd.backward([encoder.standardise(raw), reconstruction], [grad_latent, weight])
        self.optimisers["encoder"].step()
        return reconstruction.item()

    def _update_actor(self, batch: _Batch) -> Tensor:
        """Make one step on the actor's loss; return the log-probabilities (B,) of the actions drawn for it.

        The loss is the mean of temperature * log pi(a|s) - Q(s, a), plus anchor and imitation.
        """
        actor, weight = self.policy.actor, self.config.value_weight / len(batch.features)
        drawn, trace = actor.trace(batch.features, batch.noise[1])
        q, critic_trace = self.critics.trace(batch.features, drawn.action)
        grad_inputs = self.critics.backward(self._grad_q(q, weight), critic_trace, weights=False, inputs=True)
        assert grad_inputs is not None
        grad_action, grad_log_prob = grad_inputs[:, -self.action_dim :], weight * self.temperature
        actor.backward(grad_action, grad_log_prob, drawn, trace, self._grad_mean(batch, drawn.mean))
        self.optimisers["actor"].step()
        actor.keep_spread_within_bounds()
        return drawn.log_prob

    def _grad_q(self, q: Tensor, weight: float) -> Tensor:
        """Gradient (E, B) of the actor's loss by the values: minus their mean over the critics, plus the pessimism."""
        grad_q = torch.full_like(q, -weight / len(q))
        if self.config.pessimism:
            # The value is mean - pessimism * std over the critics; d std / d q = (q - mean) / (n std).
            std, mean = torch.std_mean(q, dim=0, correction=0)
            grad_q += (self.config.pessimism * weight / len(q)) * (q - mean) / std.clamp(min=1e-3)
        return grad_q

    def _grad_mean(self, batch: _Batch, mean: Tensor) -> Tensor | None:
        """Gradient (B, m) of anchor and imitation terms by the means before the tanh; None if neither is used."""
        config = self.config
        if not (config.anchor_weight or config.imitation_weight):
            return None
        middle = torch.tanh(mean)
        pull = (config.anchor_weight / len(mean)) * middle
        if config.imitation_weight:
            share = batch.succeeded / batch.succeeded.sum().clamp(min=1.0)
            pull = pull + config.imitation_weight * share.unsqueeze(1) * (middle - batch.action)
        return 2.0 * pull * (1.0 - middle.square())

    def _update_temperature(self, entropy: float) -> None:
        """Make one gradient step on log(temperature) * (entropy - target), within bounds."""
        config = self.config
        if config.automatic_temperature:
            missing = config.target_entropy_per_action * self.action_dim - entropy
            factor = math.exp(config.temperature_learning_rate * min(max(missing, -1.0), 1.0))
            self.temperature = min(max(self.temperature * factor, config.min_temperature), config.max_temperature)

    def _shift(self, batch: dict[str, Tensor]) -> None:
        """Shift every transition randomly along the symmetry, keeping its action within [-1, 1]."""
        action = batch["action"]
        shift = self.config.shift_std * torch.randn(len(action), self._vector_shift.shape[1], generator=self.generator)
        moved = action + shift @ self._action_shift.T
        # If an action would leave its range, the whole shift is scaled down, so that it stays along the symmetry.
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
