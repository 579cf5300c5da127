"""A task at control rate, with the numbers that learners expect: actions in [-1, 1], float32."""

from __future__ import annotations

from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sac_gmm.tasks import Scene, make_scene

Readings = dict[str, NDArray[Any]]


class ControlEnv(gymnasium.Env):
    """A scene whose action is a share of its largest command.

    The action, float32 (n,) in [-1, 1], is scaled to the bounds of the scene's own action (`Scene.action`, in SI
    units). An observation is the scene's: a dict of arrays, base frame, SI units, with float32 in place of float64. The
    info has `is_success`.

    Args:
        task: Name of the task, of this package or one of your own.
        render_mode: `rgb_array` for pictures of the scene, or None.
        options: Keyword arguments of the scene, such as `groups`, `control_rate_hz` and `target_noise_std_m`.

    Attributes:
        scene: The scene itself.

    Raises:
        UserError: There is no task or option of that name, or a value is out of range.
    """

    metadata = Scene.metadata

    def __init__(self, task: str, render_mode: str | None = None, **options: Any) -> None:
        self.render_mode = render_mode
        self.scene = make_scene(task, render_mode=render_mode, **options)
        low, high = self.scene.action_space.low, self.scene.action_space.high  # type: ignore[attr-defined]
        self._middle, self._half = (high + low) / 2.0, (high - low) / 2.0
        self.action_space = spaces.Box(-1.0, 1.0, low.shape, np.float32)
        self.observation_space = _single_precision(self.scene.observation_space)
        self._types = {name: space.dtype for name, space in self.observation_space.spaces.items()}

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Readings, dict[str, Any]]:
        """Start an episode; the same seed gives the same episode. `options` are those of the scene."""
        super().reset(seed=seed)
        readings, _ = self.scene.reset(seed=seed, options=options)
        return self._converted(readings), {"is_success": False}

    def step(self, action: NDArray[np.floating]) -> tuple[Readings, float, bool, bool, dict[str, Any]]:
        """Hold a command for one control period."""
        command = self._middle + self._half * np.asarray(action, np.float64)
        readings, reward, terminated, truncated, info = self.scene.step(command)
        return self._converted(readings), reward, terminated, truncated, {"is_success": bool(info["success"])}

    def render(self) -> NDArray[np.uint8] | None:
        """A picture of the scene, (height, width, 3); None without a render mode."""
        return None if self.render_mode is None else self.scene.render()

    def close(self) -> None:
        """End the simulation."""
        self.scene.close()

    def _converted(self, readings: Readings) -> Readings:
        return {name: value.astype(self._types[name]) for name, value in readings.items()}


def _single_precision(space: spaces.Space[Any]) -> spaces.Dict:
    """The same dict of boxes with float32 in place of float64."""
    assert isinstance(space, spaces.Dict)
    return spaces.Dict({name: _single(box) for name, box in space.spaces.items()})


def _single(box: spaces.Space[Any]) -> spaces.Box:
    assert isinstance(box, spaces.Box)
    if box.dtype != np.float64:
        return box
    return spaces.Box(box.low.astype(np.float32), box.high.astype(np.float32), dtype=np.float32)
