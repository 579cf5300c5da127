"""A task at decision rate: the action changes the skill that the demonstrations gave, and holds for many steps."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
from gymnasium import spaces
from numpy.typing import NDArray

from sac_gmm import methods
from sac_gmm.methods.registry import UNNAMED
from sac_gmm.methods.settings import CONFIG, load_settings
from sac_gmm.rl import Observation
from sac_gmm.tasks import Scene


class SkillEnv(gymnasium.Env):
    """What the agent of a method acts on, for any other learner.

    One step is one decision: the action, float32 in [-1, 1], is held for `interval` control steps or until the episode
    ends; the zero action leaves the demonstrated skill as it is. The observation is a dict: `vector`, float32, each
    entry divided by its typical magnitude, and `image`, uint8 (channels, height, width), if the method looks. The
    reward is the discounted sum of the scene's over these steps. The info has `is_success` and `control_steps`; a
    learner should discount the next decision by `discount ** interval`.

    Args:
        task: Name of the task.
        method: Name of the method whose skill is changed.
        skill: File of the fitted skill (`sac-gmm fit`); None to fit `demonstrations`.
        demonstrations: Folder with one folder of bags per task.
        config: Folder of settings.
        settings: Changes of the method's settings, by name.
        render_mode: `rgb_array` for pictures of the scene, or None.
        options: Keyword arguments of the scene, such as `target_noise_std_m`.

    Attributes:
        interval: Control steps of a decision.
        discount: Discount per control step.

    Raises:
        UserError: There is no task, method, file or setting of that name, or a value is out of range.
    """

    metadata = Scene.metadata

    def __init__(
        self,
        task: str,
        method: str = UNNAMED,
        skill: str | Path | None = None,
        demonstrations: str | Path = "demos",
        config: str | Path = CONFIG,
        settings: Mapping[str, Any] | None = None,
        render_mode: str | None = None,
        **options: Any,
    ) -> None:
        chosen = methods.method(method)
        own = load_settings(chosen, task, config).changed(**(settings or {}))
        prior = chosen.prior.load(Path(skill)) if skill else chosen.prior.fit(task, Path(demonstrations), None)
        self.render_mode = render_mode
        self._env = methods.make_env(task, chosen, own, prior, {"render_mode": render_mode, **options})
        self.interval, self.discount = self._env.decoder.interval, own.discount
        self.action_space = spaces.Box(-1.0, 1.0, (self._env.decoder.action_dim,), np.float32)
        spec = self._env.window.spec
        self._centre = np.array(spec.vector_centre or (0.0,), np.float32)
        self._scale = np.array(spec.vector_scale or (1.0,), np.float32)
        entries: dict[str, spaces.Space[Any]] = {}
        if spec.vector_size:
            entries["vector"] = spaces.Box(-np.inf, np.inf, (spec.vector_size,), np.float32)
        if spec.image_shape is not None:
            entries["image"] = spaces.Box(0, 255, spec.image_shape, np.uint8)
        self.observation_space = spaces.Dict(entries)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Observation, dict[str, Any]]:
        """Start an episode; the same seed gives the same episode. `options` are those of the scene."""
        super().reset(seed=seed)
        if seed is None:
            seed = int(self.np_random.integers(2**31))
        return self._normalised(self._env.reset(seed, options)), {"is_success": False, "control_steps": 0}

    def step(self, action: NDArray[np.floating]) -> tuple[Observation, float, bool, bool, dict[str, Any]]:
        """Hold a decision."""
        step = self._env.step(np.clip(action, -1.0, 1.0))
        info = {"is_success": step.success, "control_steps": step.steps}
        return self._normalised(step.observation), float(step.reward), step.terminated, step.truncated, info

    def render(self) -> NDArray[np.uint8] | None:
        """A picture of the scene, (height, width, 3); None without a render mode."""
        return None if self.render_mode is None else self._env.task.render()  # type: ignore[attr-defined]

    def close(self) -> None:
        """End the simulation."""
        self._env.task.close()  # type: ignore[attr-defined]

    def _normalised(self, observation: Observation) -> Observation:
        taken = {name: value.copy() for name, value in observation.items()}  # a window may show one picture twice
        if "vector" in taken:
            taken["vector"] = ((taken["vector"] - self._centre) / self._scale).astype(np.float32)
        return taken
