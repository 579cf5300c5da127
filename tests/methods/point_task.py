"""A task that is a point, and how the tests drive a decoder on it."""

import numpy as np

TARGET_M = np.array([0.5, 0.0, 0.3])


def drive(decoder, steps, relative_m=(0.0, 0.0, 0.08)):
    """Hold the arm still and ask for commands: the last one."""
    state = {"ee_position_m": TARGET_M + relative_m, "target_m": TARGET_M}
    for _ in range(steps):
        twist = decoder.command(state)
    return twist.copy()


class PointTask:
    """A point that moves as it is told; done when it is near the target."""

    control_dt_s = 1 / 30
    limit = 50

    def reset(self, *, seed=None, options=None):
        self.position = TARGET_M + [0.0, 0.0, 0.1]
        self.steps = 0
        return self._state(), {}

    def step(self, action):
        self.position = self.position + self.control_dt_s * action[:3]
        self.steps += 1
        done = bool(np.linalg.norm(self.position - TARGET_M) < 0.02)
        return self._state(), float(done), done, not done and self.steps >= self.limit, {}

    def read(self, group):
        return np.full((64, 64, 3), self.steps, np.uint8)

    def _state(self):
        return {"ee_position_m": self.position, "target_m": TARGET_M, "wrench": np.full(6, float(self.steps))}
