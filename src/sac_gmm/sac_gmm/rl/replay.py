"""Ring buffer of transitions with dict observations."""

from __future__ import annotations

import numpy as np

from sac_gmm.core.errors import UserError
from sac_gmm.rl.spaces import ObservationSpec
from sac_gmm.rl.transition import Transition

# Stored per row, as `_<field>` here and as `<field>` in files.
_FIELDS = ("vector", "next_vector", "action", "reward", "steps", "terminated", "last", "succeeded", "image")


class Replay:
    """Ring buffer of transitions, kept in the order in which they happened.

    An image that is the next observation of one transition and the observation of the following one is stored once.
    Base rollouts and demonstrations are added like any other transition.

    Args:
        spec: Shapes of the observations.
        action_dim: Entries of an action.
        capacity: Transitions held; the oldest are overwritten.
    """

    def __init__(self, spec: ObservationSpec, action_dim: int, capacity: int) -> None:
        self.spec = spec
        self.action_dim = action_dim
        self.capacity = capacity
        self.size = 0
        self.n_added = 0
        self._vector = np.zeros((capacity, spec.vector_size), np.float32)
        self._next_vector = np.zeros((capacity, spec.vector_size), np.float32)
        self._action = np.zeros((capacity, action_dim), np.float32)
        self._reward = np.zeros(capacity, np.float32)
        self._steps = np.zeros(capacity, np.int32)
        self._terminated = np.zeros(capacity, bool)
        self._last = np.zeros(capacity, bool)  # last transition of its episode
        self._succeeded = np.zeros(capacity, bool)  # belongs to an episode that succeeded
        self._successes = np.zeros(0, np.int64)  # their indices
        # Fill the memory now: a run that does not fit into memory must fail at its start, not later.
        self._image = np.empty((capacity, *(spec.image_shape or (0,))), np.uint8)
        self._image.fill(0)
        # Next images that are not also the image of the following row, by row.
        self._next_image: dict[int, np.ndarray] = {}

    def __len__(self) -> int:
        return self.size

    def add(self, transition: Transition) -> None:
        """Append one transition.

        Raises:
            UserError: The transition does not fit; see `Transition.check`.
        """
        transition.check(self.spec, self.action_dim)
        i = self.n_added % self.capacity
        previous = (i - 1) % self.capacity
        if transition.first and self.size:
            self._last[previous] = True
        self._vector[i] = transition.obs["vector"] if self.spec.vector_size else 0.0
        self._next_vector[i] = transition.next_obs["vector"] if self.spec.vector_size else 0.0
        self._action[i] = transition.action
        self._reward[i] = transition.reward
        self._steps[i] = transition.steps
        self._terminated[i] = transition.terminated
        self._last[i] = transition.terminated or transition.truncated
        self._succeeded[i] = False
        if self.spec.image_shape is not None:
            self._image[i] = transition.obs["image"]
            self._next_image[i] = np.array(transition.next_obs["image"], np.uint8)
            # If the previous row's next image is this image, its own copy is not needed.
            kept = self._next_image.get(previous)
            if kept is not None and previous != i and not self._last[previous] and np.array_equal(kept, self._image[i]):
                del self._next_image[previous]
        self.n_added += 1
        self.size = min(self.size + 1, self.capacity)
        if transition.success:
            self._succeeded[self._rows_of_episode(i)] = True
        if transition.success or self.n_added > self.capacity:
            self._successes = np.flatnonzero(self._succeeded[: self.size])

    def sample(
        self,
        batch_size: int,
        rng: np.random.Generator,
        *,
        gamma: float = 1.0,
        n_step: int = 1,
        success_fraction: float = 0.0,
        images: bool = True,
        n_batches: int = 1,
    ) -> dict[str, np.ndarray]:
        """Draw transitions with replacement.

        Args:
            batch_size: B.
            rng: Source of the indices.
            gamma: Discount per control step.
            n_step: Transitions summed up to the episode's end before the bootstrap.
            success_fraction: Fraction of the batch drawn from successful episodes, if there are any.
            images: Whether to return images, which are most of the work.
            n_batches: Batches drawn at once, one after the other along the first axis, which then is n_batches * B.

        Returns:
            "row", "next_row" (B,): rows of observation and next observation,
            "vector", "next_vector" (B, n), "image", "next_image" uint8 (B, C, H, W) if the spec has images, "action"
            (B, m), "reward" (B,) discounted sum, "discount" (B,): gamma**steps, 0 where the episode terminated,
            "succeeded" (B,): 1 if the episode succeeded, else 0.
        """
        if self.size == 0:
            raise UserError("the replay buffer is empty: add transitions before sampling")
        batches = rng.integers(self.size, size=(n_batches, batch_size))
        n_successes = round(success_fraction * batch_size)
        if n_successes and len(self._successes):
            chosen = rng.integers(len(self._successes), size=(n_batches, n_successes))
            batches[:, :n_successes] = self._successes[chosen]
        index = batches.reshape(-1)

        newest = (self.n_added - 1) % self.capacity
        end = index.copy()  # last row that counts
        reward = self._reward[index].astype(np.float64)
        discount = gamma ** self._steps[index].astype(np.float64)
        for _ in range(n_step - 1):
            more = ~self._last[end] & (end != newest)
            end = np.where(more, (end + 1) % self.capacity, end)
            reward += np.where(more, discount * self._reward[end], 0.0)
            discount *= np.where(more, gamma ** self._steps[end].astype(np.float64), 1.0)
        batch: dict[str, np.ndarray] = {
            "row": index,
            "next_row": end,
            "vector": self._vector[index],
            "next_vector": self._next_vector[end],
            "action": self._action[index],
            "reward": reward.astype(np.float32),
            "discount": np.where(self._terminated[end], 0.0, discount).astype(np.float32),
            "succeeded": self._succeeded[index].astype(np.float32),
        }
        if images and self.spec.image_shape is not None:
            batch["image"] = self._image[index]
            batch["next_image"] = self.next_images(end)
        return batch

    def images(self, rows: np.ndarray | None = None) -> np.ndarray:
        """Return the observed images, uint8 (N, C, H, W), of the given rows or of all."""
        if self.spec.image_shape is None:
            raise UserError("the observations of this replay buffer have no image")
        return self._image[: self.size] if rows is None else self._image[rows]

    def episode_starts(self) -> np.ndarray:
        """Return the rows (E,) of the first transitions of all episodes whose start is still stored, in order."""
        newest_first = (self.n_added - 1 - np.arange(self.size)) % self.capacity
        rows = newest_first[::-1]
        begins = np.ones(self.size, bool)
        begins[1:] = self._last[rows[:-1]]
        begins[0] = self.n_added == self.size  # anything before the oldest row is overwritten
        return rows[begins]

    def vectors(self, rows: np.ndarray) -> np.ndarray:
        """Return the observed vectors (N, n) of the given rows."""
        return self._vector[rows]

    def next_vectors(self, rows: np.ndarray) -> np.ndarray:
        """Return the vectors of the next observations (N, n), of the given rows."""
        return self._next_vector[rows]

    def next_images(self, rows: np.ndarray) -> np.ndarray:
        """Return the images of the next observations of the given rows, uint8 (N, C, H, W)."""
        found = self._image[(rows + 1) % self.capacity]
        for i, row in enumerate(rows.tolist()):
            if row in self._next_image:
                found[i] = self._next_image[row]
        return found

    def vector_statistics(self) -> tuple[np.ndarray, np.ndarray]:
        """Return mean and standard deviation (n,), at least 1e-3, of all stored vectors."""
        held = self._vector[: self.size]
        return held.mean(axis=0), np.maximum(held.std(axis=0), 1e-3)

    def state_dict(self) -> dict[str, np.ndarray]:
        """Return all stored data as arrays."""
        held = slice(0, self.size)
        state = {name: getattr(self, f"_{name}")[held] for name in _FIELDS}
        rows = sorted(self._next_image)
        state["next_image_rows"] = np.array(rows, np.int64)
        state["next_images"] = np.array([self._next_image[i] for i in rows], np.uint8)
        state["n_added"] = np.array(self.n_added, np.int64)
        state["capacity"] = np.array(self.capacity, np.int64)
        return state

    def load_state_dict(self, state: dict[str, np.ndarray]) -> None:
        """Restore what `state_dict` returned.

        Raises:
            UserError: The capacity or a shape differs.
        """
        if int(state["capacity"]) != self.capacity:
            raise UserError(f"the stored replay holds {int(state['capacity'])} transitions, this one {self.capacity}")
        n_added = int(state["n_added"])
        size = min(n_added, self.capacity)
        for name in _FIELDS:
            array = getattr(self, f"_{name}")
            if state[name].shape != (size, *array.shape[1:]):
                raise UserError(f"replay field {name} has shape {state[name].shape}, not {(size, *array.shape[1:])}")
            array[:size] = state[name]
        self._next_image = dict(zip(state["next_image_rows"].tolist(), state["next_images"], strict=True))
        self.n_added, self.size = n_added, size
        self._successes = np.flatnonzero(self._succeeded[:size])

    def _rows_of_episode(self, end: int) -> list[int]:
        """Rows of the episode that ends at row `end` that are still stored, last one first."""
        rows = [end]
        while len(rows) < self.size:
            before = (rows[-1] - 1) % self.capacity
            if self._last[before]:
                break
            rows.append(before)
        return rows
