"""What an agent is told: the shape of what it sees and how it learns."""

from __future__ import annotations

import dataclasses
import sys
import types
from dataclasses import dataclass
from typing import Any, get_args, get_origin, get_type_hints

import numpy as np

from sac_gmm.core.errors import UserError

_MOST_LAYERS, _WIDEST = 16, 4096  # what a network may have: beyond, memory ends before learning begins


def check_types(settings: Any) -> None:
    """Refuse a dataclass that holds other kinds of values than its fields are annotated with.

    Raises:
        UserError: It names the field, what it holds and what is expected.
    """
    for name, kind in get_type_hints(type(settings)).items():
        if not _is_a(value := getattr(settings, name), kind):
            raise UserError(f"{name} is {value!r}, expected {_expected(kind)}")


def _is_a(value: Any, kind: Any) -> bool:
    if get_origin(kind) is types.UnionType:
        return any(_is_a(value, one) for one in get_args(kind))
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        if not isinstance(value, tuple):
            return False
        if parts[-1] is Ellipsis:
            parts = parts[:1] * len(value)
        return len(parts) == len(value) and all(map(_is_a, value, parts))
    if isinstance(value, bool):  # which Python takes for a number
        return kind is bool
    if kind is float:  # neither NaN nor infinite: JSON has none, and nothing is learned with them
        return isinstance(value, (int, float)) and abs(value) <= sys.float_info.max
    return isinstance(value, kind)


def _expected(kind: Any) -> str:
    """What a person is told who gave something else."""
    if get_origin(kind) is types.UnionType:
        return " or ".join(map(_expected, get_args(kind)))
    if get_origin(kind) is tuple:
        parts = get_args(kind)
        return f"a list of {'' if ... in parts else f'{len(parts)} '}{'whole ' * (parts[0] is int)}numbers"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "a text", types.NoneType: "null"}
    return names.get(kind, f"an object with {', '.join(get_type_hints(kind))}")


@dataclass(frozen=True)
class Sight:
    """A calibrated camera whose picture shows where the target is.

    Attributes:
        focal_px: Focal length; the optical axis goes through the middle of the picture.
        rotation: (3, 3) from the base's axes to the camera's (x right, y down, z forwards).
        first: First of the three entries of "vector" that hold the detected target in the camera's frame, in metres.
        depth_range_m: Distances of the bytes 0 and 255 of a depth picture; None for other pictures.
    """

    focal_px: float
    rotation: tuple[tuple[float, ...], ...]
    first: int
    depth_range_m: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        rotation = tuple(tuple(float(v) for v in row) for row in self.rotation)
        object.__setattr__(self, "rotation", rotation)
        if self.depth_range_m is not None:
            object.__setattr__(self, "depth_range_m", tuple(float(v) for v in self.depth_range_m))
        R = np.array(rotation)
        if R.shape != (3, 3) or not np.allclose(R @ R.T, np.eye(3), atol=1e-4):
            raise UserError(f"the camera's rotation is {rotation}: it must be an orthonormal 3 x 3 matrix")
        if not self.focal_px > 0.0:
            raise UserError(f"the camera's focal length is {self.focal_px} pixels; it must be greater than 0")


@dataclass(frozen=True)
class ObservationSpec:
    """Shapes of an observation dict: "vector" float32 (vector_size,) and, where there is one, "image" uint8 (C, H, W).

    Several images (two tactile pads, a depth image) are stacked along the channels.
    """

    # Number of entries of "vector"; 0 where the image is everything.
    vector_size: int
    # (C, H, W) of "image", None where there is none.
    image_shape: tuple[int, int, int] | None = None
    # What is typical in each entry of "vector": the network sees (vector - vector_centre) / vector_scale.
    # Empty means centre 0 and scale 1.
    vector_centre: tuple[float, ...] = ()
    vector_scale: tuple[float, ...] = ()
    # A symmetry of the problem: whatever d (k,) is, adding vector_shift @ d to "vector" and action_shift @ d to the
    # action changes nothing about what happens. Shapes (vector_size, k) and (action entries, k); empty for none. In a
    # skill that sees positions relative to a detected target, d is another error of that detection, in metres.
    vector_shift: tuple[tuple[float, ...], ...] = ()
    action_shift: tuple[tuple[float, ...], ...] = ()
    # The camera that "image" is from, where it is calibrated: the picture is then read for the error of the detection.
    sight: Sight | None = None

    def __post_init__(self) -> None:
        for name in ("vector_centre", "vector_scale"):
            values = tuple(float(v) for v in getattr(self, name))
            object.__setattr__(self, name, values)
            if values and len(values) != self.vector_size:
                raise UserError(f"{name} has {len(values)} entries, vector_size is {self.vector_size}: give one each")
        for name in ("vector_shift", "action_shift"):
            object.__setattr__(self, name, tuple(tuple(float(v) for v in row) for row in getattr(self, name)))
        widths = {len(row) for row in (*self.vector_shift, *self.action_shift)}
        if len(widths) > 1 or bool(self.vector_shift) != bool(self.action_shift):
            raise UserError("vector_shift and action_shift need rows of one length, or neither is given")
        if self.vector_shift and len(self.vector_shift) != self.vector_size:
            raise UserError(f"vector_shift has {len(self.vector_shift)} rows, vector_size is {self.vector_size}")
        if any(not v > 0.0 for v in self.vector_scale):
            raise UserError(f"vector_scale is {self.vector_scale}: every entry must be greater than 0")
        if self.image_shape is not None:
            object.__setattr__(self, "image_shape", tuple(int(v) for v in self.image_shape))
            assert self.image_shape is not None
            if len(self.image_shape) != 3 or min(self.image_shape[1:]) < 24 or self.image_shape[0] < 1:
                raise UserError(f"image_shape is {self.image_shape}, expected (channels, height, width) of >= 24 px")
        if self.sight is not None and (self.image_shape is None or self.sight.first + 3 > self.vector_size):
            raise UserError("sight needs an image, and three entries of the vector for the detected target")
        if self.vector_size < 0 or (self.vector_size == 0 and self.image_shape is None):
            raise UserError("an observation needs a vector (vector_size > 0), an image (image_shape) or both")

    def to_json(self) -> dict[str, Any]:
        """Return a JSON-ready dict."""
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> ObservationSpec:
        """Rebuild from `to_json`."""
        changed = {
            "image_shape": tuple(value["image_shape"]) if value.get("image_shape") else None,
            "sight": Sight(**value["sight"]) if value.get("sight") else None,
        }
        return cls(**{**value, **changed})


@dataclass(frozen=True)
class SacConfig:
    """How the soft actor-critic learns. The defaults serve all tasks; `config/agent.json` repeats them."""

    # --- networks
    # Widths of the hidden layers that the actor has beside its linear map; none for a linear policy.
    actor_hidden: tuple[int, ...] = (64, 64)
    # Whether the actor begins at exactly zero, so that training begins with the base skill.
    zero_init: bool = True
    # Widths of the hidden layers of each critic.
    critic_hidden: tuple[int, ...] = (64, 64)
    # Layer normalisation after every hidden layer of the critics: keeps many updates per decision stable.
    layer_norm: bool = True
    # Number of critics, computed together as one batched network.
    n_critics: int = 4
    # Number of critics, drawn at random per update, whose minimum is the bootstrap target.
    target_subset: int = 2

    # --- exploration
    # Standard deviation of the Gaussian before the tanh, at the start. The mean starts at exactly 0.
    initial_std: float = 0.3
    # Bounds of that standard deviation.
    min_std: float = 0.02
    max_std: float = 1.0
    # Lag-1 correlation of the exploration noise from decision to decision (see Ar1Noise).
    noise_correlation: float = 0.9
    # Whether the temperature follows the entropy target; else it stays at initial_temperature.
    automatic_temperature: bool = True
    # Entropy target per action entry, in nats (of the squashed action; -0.5 is a standard deviation of about 0.15).
    target_entropy_per_action: float = -1.0
    initial_temperature: float = 0.01
    # The temperature never leaves these bounds.
    min_temperature: float = 1e-4
    max_temperature: float = 1.0

    # --- acting without exploration
    # Actions that the actor proposes, from which the critics then choose (see Policy). 0: its mean action is taken.
    n_proposals: int = 0

    # --- returns
    # Discount per control step; a macro-step of n control steps discounts by gamma**n.
    gamma: float = 0.998
    # Number of transitions whose rewards are summed before the bootstrap.
    n_step: int = 1
    # Whether the bootstrap contains the entropy bonus. Without it the values are plain returns.
    entropy_in_target: bool = False
    # Lowest and highest return that is possible: bootstrap targets are clipped to it. None: no clipping.
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
    # Every how many critic updates the actor and the temperature are updated.
    actor_interval: int = 1
    # Updates with which the critics begin alone, while the actor still is what it started as.
    critic_head_start: int = 0
    # Weight of the squared length of the mean action in the actor's loss: holds the policy near the base skill.
    anchor_weight: float = 0.0
    # Weight of the squared distance of the mean action to the actions of episodes that succeeded (self-imitation).
    imitation_weight: float = 0.0
    # Weight of (temperature * log probability - value) in the actor's loss.
    value_weight: float = 1.0
    # Standard deviations over the critics that the actor takes off their mean value: what few transitions speak for is
    # not done, so that the policy does not leave the base skill for a promise alone.
    pessimism: float = 0.0
    # Decoupled weight decay (AdamW) of the actor.
    actor_weight_decay: float = 0.0
    # Fraction of every batch that is drawn from episodes with a positive return, as soon as there are any.
    success_fraction: float = 0.25

    # Standard deviation of the shifts by which every transition of a batch is displaced along the symmetry of the
    # ObservationSpec, in its unit (metres): the same motion, seen from another detected target. 0: as it was seen.
    shift_std: float = 0.015

    # --- image encoder
    # Size of the latent vector.
    latent_size: int = 16
    # Number of feature points (channels before the spatial softmax), and channels of the first convolution.
    n_keypoints: int = 16
    encoder_channels: int = 16
    encoder_learning_rate: float = 1e-3
    # Side of the square, downsampled image that the decoder must reproduce, in pixels.
    reconstruction_size: int = 32
    reconstruction_weight: float = 1.0
    # Every how many updates the encoder is trained (reconstruction and critic gradients together). 0: never after its
    # pre-training; then every image is encoded once and an update costs no more than one without images.
    encoder_interval: int = 0
    # Gradient steps of the pre-training: of the autoencoder, of the locator that takes its place where the camera is
    # calibrated, and of the latter again whenever the number of episodes has doubled.
    encoder_steps: int = 400
    locator_steps: int = 1500
    locator_refit_steps: int = 500

    # --- memory
    # Transitions that the replay buffer holds.
    replay_capacity: int = 20_000
    # Whether the centre and scale of "vector" follow what was seen, instead of the fixed ones in the ObservationSpec.
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
        for name, (low, high) in bounds.items():
            value = getattr(self, name)
            if not low <= value <= high:  # also refuses NaN
                raise UserError(f"SacConfig.{name} is {value}, it must lie in [{low}, {high}]")
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
    def from_json(cls, value: dict[str, Any]) -> SacConfig:
        """Rebuild from `to_json` or from a configuration file; lists become tuples.

        Raises:
            UserError: An unknown name, or a value of another kind or out of range.
        """
        known = {field.name for field in dataclasses.fields(cls)}
        if unknown := sorted(set(value) - known):
            raise UserError(f"SacConfig has no field {', '.join(unknown)}: known are {', '.join(sorted(known))}")
        return cls(**value)
