"""`PromptSource`, the demonstrations that evaluations are prompted with."""

import numpy as np
import tensorflow as tf

from pdtla.datasets import demonstrations, prompt_settings, window_dataset
from pdtla.environments import levels as levels_lib


class PromptSource:
    """Gives k demonstrations of each level that an evaluation plays.

    The first of k demonstrations are those that fewer would be, so that evaluations
    with several k are paired.

    Args:
      pool: sequences of the episodes to show, all of them.
      settings: what a prompt is made of; with no demonstrations, a prompt is one that
        is missing.
      resample: show other demonstrations at every evaluation, rather than the same.
      seed: seeds the choice.

    Attributes:
      settings: as given.
      levels: the levels that have demonstrations, int64 `[G]`.

    Raises:
      ValueError: the pool does not tell its levels, or has but one to be wrong about.
    """

    def __init__(
        self,
        *,
        pool: window_dataset.WindowDataset,
        settings: prompt_settings.PromptSettings,
        resample: bool = False,
        seed: int = 0,
    ):
        self.settings = settings
        self._directory = pool.source.directory
        self._shown = demonstrations.Demonstrations(
            pool, pool.train_trajectories, settings
        )
        self._resample = resample
        self._seed = seed
        self.levels = self._shown.levels
        if settings.control == prompt_settings.WRONG_LEVEL and len(self.levels) < 2:
            raise ValueError(
                f"{self._directory} has no other levels to be wrong about."
            )

    def __call__(self, levels: np.ndarray, step: int = 0) -> dict[str, tf.Tensor]:
        """The prompts of environments.

        Args:
          levels: what each plays, `[B]`.
          step: of training, where the evaluation is made.

        Returns:
          A prompt for each, `[B, P, ...]`.

        Raises:
          ValueError: a level without enough demonstrations.
        """
        entropy = [self._seed, step if self._resample else 0]
        rng = np.random.default_rng(entropy)
        chosen = [self._choose(int(level), rng) for level in levels]
        return self._shown.lay(tf.constant(np.stack(chosen)), tf.constant(entropy))

    def _choose(self, level: int, rng: np.random.Generator) -> np.ndarray:
        """Numbers of the episodes to show, -1 for none, int64 `[J]`."""
        place = int(np.searchsorted(self.levels, level))
        if place == len(self.levels) or self.levels[place] != level:
            raise ValueError(
                f"{self._directory} has no demonstration of level {level}; it has "
                f"{len(self.levels)} levels from {self.levels[0]}. Evaluate on these "
                "(NUM_EVAL_LEVELS)."
            )
        if self.settings.control == prompt_settings.WRONG_LEVEL:
            place = self._other(place, rng)
        count, size = self.settings.num_demos, int(self._shown.sizes[place])
        if size < count:
            raise ValueError(
                f"A prompt of {count} demonstrations needs as many of level "
                f"{self.levels[place]}, {self._directory} has {size}."
            )
        order = rng.permutation(size)[:count] + self._shown.begins[place]
        return self._shown.members[order] if count else np.array([-1], np.int64)

    def _other(self, place: int, rng: np.random.Generator) -> int:
        """Another level of the same environment."""
        environments = self.levels // levels_lib.ALL_SEEDS
        others = np.flatnonzero(environments == environments[place])
        return int(rng.choice(others[others != place]))
