"""The error of the detected target, estimated from one picture of a calibrated camera.

The picture is cropped around the place where the detected target should appear, at a fixed metric scale, so that a
detection error shows as a displacement. A small network estimates the displacement. It needs no labels: moving the crop
by a known vector has the same effect as a different detection error, so two crops of one picture tell how much the
outputs must differ. Detection is right on average, so the outputs over all episodes have mean zero.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from sac_gmm.rl.sight.encoder import SpatialSoftmax, to_unit_range
from sac_gmm.rl.spaces import Sight

HALF_M = 0.048  # half the side of the crop: with errors of up to three centimetres the target stays inside
SIDE_PX = 32
SHIFT_M = 0.03  # largest artificial detection error per axis
DEPTH_M = 0.05  # range used in front of and behind the target, in depth pictures
UNIT_M = 0.01  # unit of the network's output
PAIRS = 32  # pairs of crops in a training batch
LEARNING_RATE = 2e-3


class Locator(nn.Module):
    """Estimates the detection error from a picture and the detected target: true minus detected target, base axes.

    Args:
        image_shape: (C, H, W).
        sight: The camera.
        channels: Channels of the first convolution.
        n_keypoints: Number of feature points.
    """

    centre: Tensor
    rotation: Tensor
    trained: Tensor

    def __init__(self, image_shape: tuple[int, int, int], sight: Sight, channels: int, n_keypoints: int) -> None:
        super().__init__()
        self.sight = sight
        self.size_px = image_shape[1:]
        self.register_buffer("rotation", torch.tensor(sight.rotation, dtype=torch.float32), persistent=False)
        self.register_buffer("centre", torch.zeros(3))
        self.register_buffer("trained", torch.zeros(()))  # 1 once trained; until then the error is 0
        self.convolutions = nn.Sequential(
            nn.Conv2d(image_shape[0], channels, kernel_size=5, stride=2),
            nn.ReLU(),
            nn.Conv2d(channels, n_keypoints, kernel_size=3),
        )
        with torch.no_grad():
            _, _, height, width = self.convolutions(torch.zeros(1, image_shape[0], SIDE_PX, SIDE_PX)).shape
        self.points = SpatialSoftmax(n_keypoints, height, width)
        self.linear = nn.Linear(2 * n_keypoints, 3)
        self.hidden = nn.Sequential(nn.Linear(2 * n_keypoints, 32), nn.ReLU(), nn.Linear(32, 3))

    def forward(self, images: Tensor, target_m: Tensor) -> Tensor:
        """Return the errors (B, 3), of images uint8 (B, C, H, W) and detected targets in the camera's frame (B, 3)."""
        return self.trained * (self.raw_error(self.cut_out(images, target_m)) - self.centre)

    def raw_error(self, views: Tensor) -> Tensor:
        """Return the errors (B, 3) up to a constant, in metres, of crops (B, C, SIDE_PX, SIDE_PX)."""
        points = self.points(self.convolutions(views))
        return UNIT_M * (self.linear(points) + self.hidden(points))

    def cut_out(self, images: Tensor, target_m: Tensor, error_m: Tensor | None = None) -> Tensor:
        """Return crops around the detected target (B, C, SIDE_PX, SIDE_PX), roughly in [-1, 1].

        Args:
            images: uint8 (B, C, H, W).
            target_m: Detected targets in the camera's frame (B, 3).
            error_m: An artificial detection error to add (B, 3), base axes. It shifts everything in view as one picture
                allows: as if the view were a plane through the target, facing the camera.
        """
        moved_m = target_m if error_m is None else target_m + error_m @ self.rotation.T
        at_px, scale = self._project(target_m)
        seen_px, seen_scale = self._project(moved_m)
        line = torch.linspace(-HALF_M, HALF_M, SIDE_PX)
        offset_m = torch.stack(torch.meshgrid(line, line, indexing="xy"), dim=-1)
        wanted_px = at_px[:, None, None] + offset_m * scale[:, None, None, None]
        source_px = (
            at_px[:, None, None] + (wanted_px - seen_px[:, None, None]) * (scale / seen_scale)[:, None, None, None]
        )
        half = 0.5 * torch.tensor([self.size_px[1], self.size_px[0]])
        grid = source_px / half - 1.0
        depth_range = self.sight.depth_range_m
        pictures = to_unit_range(images)
        cut = functional.grid_sample(pictures, grid, padding_mode="border", align_corners=False)
        if depth_range is None:
            return cut
        low, high = depth_range
        metres = low + (cut + 1.0) * (0.5 * (high - low)) - target_m[:, 2, None, None, None]
        if error_m is not None:
            metres = metres + (moved_m - target_m)[:, 2, None, None, None]
        return (metres / DEPTH_M).clamp(-1.0, 1.0)

    def _project(self, point_m: Tensor) -> tuple[Tensor, Tensor]:
        """Pixel (B, 2) of points (B, 3) in the camera's frame, and pixels per metre there (B,)."""
        scale = self.sight.focal_px / point_m[:, 2].clamp(min=0.02)
        centre = 0.5 * torch.tensor([self.size_px[1], self.size_px[0]])
        return centre + point_m[:, :2] * scale[:, None], scale


def train_locator(
    locator: Locator,
    images: np.ndarray,
    target_m: np.ndarray,
    steps: int,
    rng: np.random.Generator,
    on_step: Callable[[], None] = lambda: None,
) -> float:
    """Train on one picture per episode, then centre the errors.

    Args:
        locator: Trained in place.
        images: uint8 (N, C, H, W), one per episode.
        target_m: Detected targets in the camera's frame (N, 3).
        steps: Gradient steps.
        rng: Draws pictures and artificial errors.
        on_step: Called after each step.

    Returns:
        The last loss: mean squared difference between estimated and artificial displacements, in square centimetres.
    """
    parameters = list(locator.parameters())
    optimiser = torch.optim.Adam(parameters, LEARNING_RATE)
    pictures, targets = torch.from_numpy(images), torch.from_numpy(np.asarray(target_m, np.float32))
    loss = torch.zeros(())
    with torch.enable_grad():
        for step in range(steps):
            optimiser.param_groups[0]["lr"] = LEARNING_RATE * (0.05 + 0.475 * (1.0 + math.cos(math.pi * step / steps)))
            rows = torch.from_numpy(rng.integers(len(images), size=PAIRS)).repeat(2)
            made_up = torch.from_numpy(rng.uniform(-SHIFT_M, SHIFT_M, (2 * PAIRS, 3)).astype(np.float32))
            told = locator.raw_error(locator.cut_out(pictures[rows], targets[rows], made_up))
            left = (told - made_up).view(2, PAIRS, 3) / UNIT_M
            loss = 0.5 * (left[0] - left[1]).square().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            on_step()
    centre_locator(locator, images, target_m)
    return loss.item()


@torch.no_grad()
def centre_locator(locator: Locator, images: np.ndarray, target_m: np.ndarray) -> None:
    """Shift the errors so that their mean over one picture per episode is zero; see `train_locator`."""
    pictures, targets = torch.from_numpy(images), torch.from_numpy(np.asarray(target_m, np.float32))
    chunks = [
        locator.raw_error(locator.cut_out(pictures[i : i + 64], targets[i : i + 64])) for i in range(0, len(images), 64)
    ]
    locator.centre.copy_(torch.cat(chunks).mean(dim=0))
    locator.trained.fill_(1.0)
