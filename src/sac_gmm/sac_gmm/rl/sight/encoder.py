"""Reduces images to a few numbers: a convolutional autoencoder whose bottleneck is a set of feature points."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sac_gmm.rl.replay import Replay


class SpatialSoftmax(nn.Module):
    """Turn every channel of a feature map into the expected position of its activation.

    p = softmax over the pixels of one channel; output is (sum p x, sum p y), with x to the right and y downwards, both
    in [-1, 1] (Finn et al. 2016, deep spatial autoencoders). One learned inverse temperature per channel.

    Args:
        channels: C.
        height: Rows.
        width: Columns.
    """

    x_map: Tensor
    y_map: Tensor

    def __init__(self, channels: int, height: int, width: int) -> None:
        super().__init__()
        y, x = torch.meshgrid(torch.linspace(-1, 1, height), torch.linspace(-1, 1, width), indexing="ij")
        self.register_buffer("x_map", x.reshape(-1).clone(), persistent=False)
        self.register_buffer("y_map", y.reshape(-1).clone(), persistent=False)
        self.log_sharpness = nn.Parameter(torch.zeros(channels, 1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the points (B, 2C): all x, then all y, of maps (B, C, H, W)."""
        p = torch.softmax(maps.flatten(2) * self.log_sharpness.exp(), dim=-1)
        return torch.cat([p @ self.x_map, p @ self.y_map], dim=1)


class ImageEncoder(nn.Module):
    """Two convolutions, a spatial softmax and a linear map to the latent.

    Running statistics standardise the latent, so that the next networks see unit variance however little the picture
    changes.

    Args:
        image_shape: (C, H, W).
        channels: Channels of the first convolution.
        n_keypoints: Number of feature points.
        latent_size: Width of the latent.
    """

    latent_mean: Tensor
    latent_std: Tensor

    def __init__(self, image_shape: tuple[int, int, int], channels: int, n_keypoints: int, latent_size: int) -> None:
        super().__init__()
        self.convolutions = nn.Sequential(
            nn.Conv2d(image_shape[0], channels, kernel_size=8, stride=4),
            nn.ReLU(),
            nn.Conv2d(channels, n_keypoints, kernel_size=3),
        )
        with torch.no_grad():
            _, _, height, width = self.convolutions(torch.zeros(1, *image_shape)).shape
        self.points = SpatialSoftmax(n_keypoints, height, width)
        self.to_latent = nn.Linear(2 * n_keypoints, latent_size)
        self.register_buffer("latent_mean", torch.zeros(latent_size))
        self.register_buffer("latent_std", torch.ones(latent_size))

    def raw_latent(self, images: Tensor) -> Tensor:
        """Return the latent (B, L) before standardisation, of images uint8 (B, C, H, W)."""
        return self.to_latent(self.points(self.convolutions(to_unit_range(images))))

    def standardise(self, latent: Tensor) -> Tensor:
        """Return latents scaled to zero mean and unit variance by the running statistics."""
        return (latent - self.latent_mean) / self.latent_std

    def forward(self, images: Tensor) -> Tensor:
        """Return the standardised latent (B, L) of images uint8 (B, C, H, W)."""
        return self.standardise(self.raw_latent(images))

    def follow_statistics(self, latent: Tensor, rate: float) -> None:
        """Move the running mean and standard deviation towards those of a batch of raw latents, by `rate` in [0, 1]."""
        std, mean = torch.std_mean(latent.detach(), dim=0, correction=0)
        self.latent_mean.lerp_(mean, rate)
        self.latent_std.lerp_(std.clamp(min=1e-4), rate)


class ImageDecoder(nn.Module):
    """One hidden layer that reproduces the image, at a lower resolution, from the raw latent.

    That makes the feature points follow whatever moves, and costs little.

    Args:
        image_shape: (C, H, W).
        latent_size: Width of the latent.
        reconstruction_size: Side of the reproduced image, in pixels.
    """

    def __init__(self, image_shape: tuple[int, int, int], latent_size: int, reconstruction_size: int) -> None:
        super().__init__()
        self.shape = (image_shape[0], reconstruction_size, reconstruction_size)
        n_pixels = image_shape[0] * reconstruction_size**2
        self.layers = nn.Sequential(nn.Linear(latent_size, 64), nn.ReLU(), nn.Linear(64, n_pixels))

    def loss(self, latent: Tensor, images: Tensor) -> Tensor:
        """Return the mean squared error against the downsampled images uint8 (B, C, H, W), in units of [-1, 1]."""
        target = functional.adaptive_avg_pool2d(to_unit_range(images), self.shape[1:])
        return functional.mse_loss(self.layers(latent).view(target.shape), target)


class SeenCache:
    """Outputs of frozen networks for every picture in a replay buffer: each picture is processed once.

    Pictures are processed one by one, so that the result does not depend on the batch, and a resumed run equals an
    uninterrupted one.

    Args:
        see: Function from vectors (B, n) and images uint8 (B, C, H, W) to outputs (B, L).
        size: L.
    """

    def __init__(self, see: Callable[[Tensor, Tensor], Tensor], size: int) -> None:
        self._see, self._size = see, size
        self.clear()

    def clear(self) -> None:
        """Clear the cache: the encoder or the replay buffer has changed."""
        self._replay: Replay | None = None
        self._n_encoded = 0
        self._seen = self._next_seen = torch.zeros(0)

    @torch.no_grad()
    def follow(self, replay: Replay) -> None:
        """Process the pictures added to the buffer since the last call."""
        if replay is not self._replay:
            self._replay = replay
            self._seen = torch.zeros(replay.capacity, self._size)
            self._next_seen = torch.zeros_like(self._seen)
            self._n_encoded = 0
        first = max(self._n_encoded, replay.n_added - replay.size)
        for row in (np.arange(first, replay.n_added) % replay.capacity).tolist():
            rows = np.array([row])
            vector, next_vector = torch.from_numpy(replay.vectors(rows)), torch.from_numpy(replay.next_vectors(rows))
            self._seen[row] = self._see(vector, torch.from_numpy(replay.images(rows)))[0]
            self._next_seen[row] = self._see(next_vector, torch.from_numpy(replay.next_images(rows)))[0]
        self._n_encoded = replay.n_added

    def get(self, rows: Tensor, next_rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return the outputs (B, L) for observations and next observations of rows of the buffer."""
        return self._seen[rows], self._next_seen[next_rows]


def to_unit_range(images: Tensor) -> Tensor:
    """Scale uint8 to float32 in [-1, 1]."""
    return images.to(torch.float32).mul_(2.0 / 255.0).sub_(1.0)
