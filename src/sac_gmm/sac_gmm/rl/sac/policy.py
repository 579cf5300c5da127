"""Policy of the soft actor-critic: everything needed to act, nothing needed only to learn."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from sac_gmm.core.errors import UserError
from sac_gmm.rl.algorithm import PolicySnapshot
from sac_gmm.rl.sac.config import SacConfig
from sac_gmm.rl.sac.networks import Actor, CriticEnsemble
from sac_gmm.rl.sight.encoder import ImageEncoder
from sac_gmm.rl.sight.locator import UNIT_M, Locator
from sac_gmm.rl.spaces import Observation, ObservationSpec

BEST_PROPOSALS = 0.1  # the action is the mean of this fraction of the actor's proposals


class SacPolicy(nn.Module):
    """Maps an observation to an action: normaliser, image reader, actor and, if `n_proposals` is set, critics.

    An autoencoder's encoder turns a picture into latents. If the camera is calibrated (`ObservationSpec.sight`), a
    locator estimates the error of the detected target instead. If the action has the symmetry of the detected frame,
    actor and critics then work in the frame of the target as seen: the symmetry expresses position and action in it,
    which removes the visible part of the error. Otherwise the error is one more feature.

    Without exploration, the action is the actor's mean or, with `n_proposals`, the mean of the proposals that the
    critics value most: one step of the cross-entropy method on the value, started from the actor (QT-Opt, Kalashnikov
    et al. 2018, section 4.2, starts from a standard normal instead). After few episodes, the critics know more than the
    actor has learned from them. Training the actor for longer does not help: the critics overfit in the meantime.

    Args:
        spec: Shapes of the observations.
        action_dim: Entries of an action.
        config: Sizes of the networks.
        seed: Seed of the exploration noise that `act` draws if given none.
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
        # Whether the seen error moves the frame instead of being a feature.
        self.in_seen_frame = spec.sight is not None and bool(spec.vector_shift)
        if spec.sight is not None:
            assert spec.image_shape is not None
            self.locator = Locator(spec.image_shape, spec.sight, config.encoder_channels, config.n_keypoints)
            self.n_features += -3 if self.in_seen_frame else 0  # only the locator uses the target in the camera's frame
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
            self.critics = make_critics(self.n_features + action_dim, config)
            # The same noise for every decision keeps deterministic actions deterministic.
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
        """How many numbers a picture is reduced to."""
        if self.locator is not None:
            return 3
        return 0 if self.encoder is None else len(self.encoder.latent_mean)

    def see(self, vector: Tensor, images: Tensor | None) -> Tensor:
        """Return what the picture shows (B, seen_size): the latent, or the error of the detected target in metres.

        Args:
            vector: Observed vectors (B, n).
            images: uint8 (B, C, H, W); None if there are none.
        """
        if images is None or self.seen_size == 0:
            return vector.new_zeros(len(vector), 0)
        if self.locator is not None:
            first = self.locator.sight.first
            return self.locator(images, vector[:, first : first + 3])
        assert self.encoder is not None
        return self.encoder(images)

    def features(self, vector: Tensor, seen: Tensor) -> Tensor:
        """Return the inputs of actor and critics (B, n_features).

        Args:
            vector: Observed vectors (B, n).
            seen: Returned by `see` (B, seen_size).
        """
        if self.locator is None:
            return torch.cat([self.normalise(vector), seen], dim=1)
        # Only the locator uses the target in the camera's frame.
        first = self.locator.sight.first
        if self.in_seen_frame:
            vector = self.normalise(vector - seen @ self.vector_shift.T)
            return torch.cat([vector[:, :first], vector[:, first + 3 :]], dim=1)
        vector = self.normalise(vector)
        return torch.cat([vector[:, :first], vector[:, first + 3 :], seen / UNIT_M], dim=1)

    def to_seen_frame(self, action: Tensor, seen: Tensor) -> Tensor:
        """Transform taken actions (B, m) to the frame in which actor and critics work."""
        return action - seen @ self.action_shift.T if self.in_seen_frame else action

    @torch.no_grad()
    def act(self, obs: Observation, deterministic: bool = False, noise: np.ndarray | None = None) -> np.ndarray:
        """Return the action (m,), float32 in [-1, 1]; see `sac_gmm.rl.Policy.act`."""
        vector, seen = self._look(obs)
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

    @torch.no_grad()
    def seen(self, obs: Observation) -> np.ndarray:
        """Return what the picture of one observation shows (seen_size,); see `see`."""
        return self._look(obs)[1].squeeze(0).numpy()

    def _look(self, obs: Observation) -> tuple[Tensor, Tensor]:
        """Return the vector (1, n) and what the picture shows (1, seen_size)."""
        vector = np.asarray(obs["vector"], np.float32) if self.spec.vector_size else np.zeros(0, np.float32)
        batch = torch.as_tensor(vector).unsqueeze(0)
        image = torch.as_tensor(obs["image"]).unsqueeze(0) if self.seen_size else None
        return batch, self.see(batch, image)

    def snapshot(self) -> PolicySnapshot:
        """Return a copy of all numbers."""
        tensors = [tensor.reshape(-1) for tensor in self.state_dict().values()]
        return PolicySnapshot(self.version, torch.cat(tensors).numpy())

    @torch.no_grad()
    def load_snapshot(self, snapshot: PolicySnapshot) -> None:
        """Become the policy of a snapshot.

        Raises:
            UserError: The snapshot is from networks of another size.
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


def make_critics(n_inputs: int, config: SacConfig) -> CriticEnsemble:
    """Return untrained critics of features and actions, n_inputs entries together."""
    return CriticEnsemble(n_inputs, config.critic_hidden, config.n_critics, config.layer_norm)
