"""Vision-based tactile sensing: what two soft fingertips with a camera behind the gel see of the peg that they hold."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray
from scipy.special import ndtri

PIXELS = 64


@dataclass(frozen=True)
class Gel:
    """The gel of one finger, and how it holds a cylinder.

    Attributes:
        side_m: Side of the square that its camera sees.
        thickness_m: Of the gel.
        shear_modulus_pa: Of the gel; Young's modulus is three times as much, gel being incompressible.
        grip_n: Force with which the gripper closes.
        edge_m: Over which the gel bends down to the end face of what it holds.
        noise_m: Standard deviation of a pixel's depth.
    """

    side_m: float = 0.020
    thickness_m: float = 0.003
    shear_modulus_pa: float = 0.2e6
    grip_n: float = 40.0
    edge_m: float = 0.001
    noise_m: float = 1e-5


class TactileSensor:
    """Depth of the imprint in both gels, metres, float32, shape (2, 64, 64): the finger at +y first, then that at -y.

    Both images are in the gripper's axes: columns go along x, rows along z, away from the palm.

    How it is rendered. The peg's load (force and torque on it, about the middle between the pads) moves the peg in its
    two gels. These are elastic foundations (Winkler; Johnson, Contact Mechanics, 1985, ch. 4.3): each column of gel
    pushes back with Young's modulus / thickness times its compression and resists shear with shear modulus /
    thickness times its shear. Integrated over the imprint that the grip alone makes, they give six stiffnesses, and the
    load divided by these gives shift and turn of the peg. The depth then follows from geometry: it is how far the
    cylinder in its new place reaches into each gel. So a sideways force moves the imprint, a force along the closing
    direction makes one deeper and the other shallower, a push along the axis moves the edge of the end face, and
    torques tilt the imprint or make a wedge of it. Turning a cylinder about its own axis shows nowhere, as in reality.
    What is left out: the gel's bulging beside the imprint, slip, and the lag of a viscous gel.

    One frame of both fingers costs about 0.1 ms (`sac-gmm bench tactile`).

    Args:
        load: Gives force (N) and torque (Nm) on what is held, shape (6,), gripper's axes, about the middle of the grip.
        rng: Gives the generator of the sensor's noise.
        radius_m: Of the cylinder.
        grasp_m: Length of it between the pads. Its end face lies that far above the pads' lower edge.
        gel: Of both fingers.
    """

    def __init__(
        self,
        load: Callable[[], NDArray[np.float64]],
        rng: Callable[[], np.random.Generator],
        radius_m: float,
        grasp_m: float,
        gel: Gel | None = None,
    ) -> None:
        self._load, self._rng = load, rng
        self.gel = gel = gel or Gel()
        # Normal numbers by their quantiles, looked up with 16 random bits each: a tenth of the time of drawing them.
        self._noise_m = (gel.noise_m * ndtri((np.arange(2**16) + 0.5) / 2**16)).astype(np.float32)
        most_m = float(self._noise_m[-1])
        self.space: spaces.Box = spaces.Box(-most_m, gel.thickness_m + most_m, (2, PIXELS, PIXELS), np.float32)
        young_n_m3 = 3.0 * gel.shear_modulus_pa / gel.thickness_m
        shear_n_m3 = gel.shear_modulus_pa / gel.thickness_m
        # The grip presses a strip of half-width a to depth a^2 / 2R: F = k L (4/3) depth a.
        self._depth_m = (0.75 * gel.grip_n / (young_n_m3 * grasp_m * np.sqrt(2.0 * radius_m))) ** (2.0 / 3.0)
        half_m = np.sqrt(2.0 * radius_m * self._depth_m)
        area_m2 = 2.0 * half_m * grasp_m
        xx, zz = area_m2 * half_m**2 / 3.0, area_m2 * grasp_m**2 / 12.0  # second moments of area, m^4
        one_gel = [
            shear_n_m3 * area_m2,
            young_n_m3 * area_m2,
            shear_n_m3 * area_m2,
            shear_n_m3 * area_m2 * radius_m**2 + young_n_m3 * zz,
            shear_n_m3 * (xx + zz),
            shear_n_m3 * area_m2 * radius_m**2 + young_n_m3 * xx,
        ]
        self._compliance = 0.5 / np.array(one_gel)
        # Beyond this the peg would slip; it also keeps the small-angle geometry true.
        self._largest = np.array([0.15 * gel.side_m] * 3 + [0.35] * 3)
        self._grasp_m, self._curvature_1_m = grasp_m, 1.0 / radius_m
        middle = (np.arange(PIXELS) + 0.5) / PIXELS * gel.side_m
        self._x = (middle - 0.5 * gel.side_m).astype(np.float32)
        self._z = (middle - gel.side_m + 0.5 * grasp_m).astype(np.float32)[:, None]  # from the middle of the grip

    def read(self) -> NDArray[np.float32]:
        """The imprints under the load now, with noise."""
        depth_m = self.imprints_m(self._load())
        numbers = np.frombuffer(self._rng().bytes(2 * depth_m.size), np.uint16)
        depth_m += self._noise_m.take(numbers).reshape(depth_m.shape)
        return depth_m

    def imprints_m(self, load: NDArray[np.float64]) -> NDArray[np.float32]:
        """Depth of both imprints without noise, shape (2, 64, 64).

        Args:
            load: Force (N) and torque (Nm) on what is held, shape (6,), gripper's axes, about the middle of the grip.
        """
        moved = np.clip(self._compliance * load, -self._largest, self._largest)
        dx, dy, dz, turn_x, turn_y, _ = (np.float32(value) for value in moved)
        x, z = self._x, self._z
        # The cylinder's axis passes the row z at dx + turn_y z; its side falls off as a parabola from there.
        section = x - (dx + turn_y * z)
        section *= section
        section *= np.float32(-0.5 * self._curvature_1_m)
        depth = np.empty((2, PIXELS, PIXELS), np.float32)
        towards = dy - turn_x * z  # the finger at +y
        np.add(section, np.float32(self._depth_m) + towards, out=depth[0])
        np.add(section, np.float32(self._depth_m) - towards, out=depth[1])
        np.clip(depth, 0.0, np.float32(self.gel.thickness_m), out=depth)
        # Above its end face there is no cylinder.
        held = (z + np.float32(0.5 * self._grasp_m) - dz) + turn_y * x
        held *= np.float32(1.0 / self.gel.edge_m)
        held += np.float32(0.5)
        depth *= np.clip(held, 0.0, 1.0, out=held)
        return depth
