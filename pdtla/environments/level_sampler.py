"""`LevelSampler`, the order in which environments meet their levels."""

import numpy as np

from pdtla.environments import levels


class LevelSampler:
    """Draws levels uniformly, with a generator of each environment's own.

    The same seed and the same episode count give the same level, whatever happened in
    the episodes and in the other environments.

    Args:
      num_envs: number of environments N.
      start_level: the first level of the range.
      num_levels: the size of the range; 0 means all 2^31 - 1 levels from 0.
      seed: seeds the order.

    Raises:
      ValueError: a range that cannot be.
    """

    def __init__(self, num_envs: int, start_level: int, num_levels: int, seed: int):
        _check("num_envs", num_envs, 1)
        _check("seed", seed, 0)
        _check("start_level", start_level, 0)
        _check("num_levels", num_levels, 0)
        if num_levels == 0 and start_level != 0:
            raise ValueError(
                "num_levels=0 means all levels and ignores start_level: "
                f"give a num_levels or start_level=0, got start_level={start_level}."
            )
        self._range = levels.LevelRange(start_level, num_levels)
        if self._range.end > levels.ALL_SEEDS:
            raise ValueError(
                "start_level + num_levels must be at most 2^31 - 1, "
                f"got {start_level} + {num_levels}."
            )
        self._generators = [
            np.random.default_rng([seed, slot]) for slot in range(num_envs)
        ]

    def draw(self, slot: int) -> int:
        """The next level of an environment."""
        generator = self._generators[slot]
        return int(generator.integers(self._range.start_level, self._range.end))

    def noise(self, slot: int) -> int:
        """A seed for what differs between an environment's episodes on one level."""
        return int(self._generators[slot].integers(levels.ALL_SEEDS))

    def get_state(self) -> list[dict]:
        """The states of the generators, for `set_state`."""
        return [generator.bit_generator.state for generator in self._generators]

    def set_state(self, states: list[dict]) -> None:
        """Goes on from where `get_state` was called."""
        for generator, state in zip(self._generators, states, strict=True):
            generator.bit_generator.state = state


def _check(name: str, value: int, minimum: int) -> None:
    if not minimum <= value <= levels.ALL_SEEDS:
        raise ValueError(f"{name} must be {minimum} to 2^31 - 1, got {value}.")
