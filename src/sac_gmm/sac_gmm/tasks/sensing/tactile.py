"""Vision-based tactile sensing: two soft fingertips, each with a camera behind its gel, hold a peg."""

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
    """The gel of one finger, and its grip on a cylinder.

    Attributes:
        side_m: Side of the square that its camera sees.
        thickness_m: Thickness of the gel.
        shear_modulus_pa: Shear modulus of the gel; Young's modulus is three times this, as gel is incompressible.
        grip_n: Force with which the gripper closes.
        edge_m: Distance over which the gel bends down to the end face of the object.
        noise_m: Standard deviation of the depth noise of a pixel.
    """

    side_m: float = 0.020
    thickness_m: float = 0.003
    shear_modulus_pa: float = 0.2e6
    grip_n: float = 40.0
    edge_m: float = 0.001
    noise_m: float = 1e-5


class TactileSensor:
    """Depth of the imprint in both gels, metres, float32, shape (2, 64, 64): finger at +y, then finger at -y.

    Both images are in gripper axes: columns along x, rows along z, away from the palm.

    Rendering: the load on the peg (force and torque about the midpoint between the pads) moves the peg in the two gels.
    Each gel is an elastic foundation (Winkler; Johnson, Contact Mechanics, 1985, ch. 4.3): every column of gel pushes
    back with Young's modulus / thickness times its compression, and resists shear with shear modulus / thickness times
    its shear. Integrated over the imprint of the grip alone, this gives six stiffnesses; the load divided by them gives
    the shift and rotation of the peg. The depth then follows from geometry: it is how far the displaced cylinder
    reaches into each gel. So a sideways force moves the imprint, a force along the closing direction makes one imprint
    deeper and the other shallower, a push along the axis moves the edge of the end face, and torques tilt the imprint
    or make it wedge-shaped. Rotation of the cylinder about its own axis is invisible, as in reality. Not modelled:
    bulging of the gel beside the imprint, slip, and the lag of a viscous gel.

    One frame of both fingers costs about 0.1 ms (`sac-gmm bench tactile`).

    Args:
        load: Returns force (N) and torque (Nm) on the object, shape (6,), gripper axes, about the middle of the grip.
        rng: Returns the generator of the sensor noise.
        radius_m: Radius of the cylinder.
        grasp_m: Length of the cylinder between the pads; its end face is this far above the pads' lower edge.
        gel: Gel of both fingers.
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
        # Normal numbers from a table of quantiles, 16 random bits each: ten times faster than drawing them.
        self._noise_m = (gel.noise_m * ndtri((np.arange(2**16) + 0.5) / 2**16)).astype(np.float32)
        most_m = float(self._noise_m[-1])
        self.space: spaces.Box = spaces.Box(-most_m, gel.thickness_m + most_m, (2, PIXELS, PIXELS), np.float32)
        young_n_m3 = 3.0 * gel.shear_modulus_pa / gel.thickness_m
        shear_n_m3 = gel.shear_modulus_pa / gel.thickness_m
        # The grip presses in a strip of half-width a to depth a^2 / 2R: F = k L (4/3) depth a.
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
        """Imprints under the current load, with noise."""
        depth_m = self.imprints_m(self._load())
        numbers = np.frombuffer(self._rng().bytes(2 * depth_m.size), np.uint16)
        depth_m += self._noise_m.take(numbers).reshape(depth_m.shape)
        return depth_m

    def imprints_m(self, load: NDArray[np.float64]) -> NDArray[np.float32]:
        """Depth of both imprints without noise, shape (2, 64, 64).

        Args:
            load: Force (N) and torque (Nm) on the object, shape (6,), gripper axes, about the middle of the grip.
        """
        moved = np.clip(self._compliance * load, -self._largest, self._largest)
        dx, dy, dz, turn_x, turn_y, _ = (np.float32(value) for value in moved)
        x, z = self._x, self._z
        # The cylinder's axis crosses row z at dx + turn_y z; from there its surface falls off as a parabola.
        section = x - (dx + turn_y * z)
        section *= section
        section *= np.float32(-0.5 * self._curvature_1_m)
        depth = np.empty((2, PIXELS, PIXELS), np.float32)
        towards = dy - turn_x * z  # the finger at +y
        np.add(section, np.float32(self._depth_m) + towards, out=depth[0])
        np.add(section, np.float32(self._depth_m) - towards, out=depth[1])
        np.clip(depth, 0.0, np.float32(self.gel.thickness_m), out=depth)
        # There is no cylinder above its end face.
        held = (z + np.float32(0.5 * self._grasp_m) - dz) + turn_y * x
        held *= np.float32(1.0 / self.gel.edge_m)
        held += np.float32(0.5)
        depth *= np.clip(held, 0.0, 1.0, out=held)
        return depth
