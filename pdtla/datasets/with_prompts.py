"""`WithPrompts`, sequences that carry demonstrations of their level."""

import hashlib

import numpy as np
import tensorflow as tf
from absl import logging

from pdtla import specs
from pdtla.datasets import (
    demonstrations,
    level_groups,
    pipeline,
    prompt_settings,
    window_dataset,
)

_SEED_OFFSET = 104_729  # other draws than those of the order of the sequences
_HELDOUT_SEED = 0


class WithPrompts:
    """Adds to every sequence the field `prompt`: demonstrations, never of itself.

    The demonstrations are other episodes of the level of the sequence's own, held-out
    ones for held-out sequences; if there are fewer than asked for, the others are
    missing. A missing demonstration is H steps that are not valid. The prompt of a
    sequence is a function of (seed, step).

    Args:
      queries: the sequences.
      settings: what a prompt is made of.
      demo_conditioning: whether there are prompts at all.
      vary_demos: draw the number of demonstrations from 0 to J instead of J.
      burstiness: probability that the demonstrations are on the level of the sequence,
        rather than all on one other level of the same environment.
      drop: probability of a prompt without any demonstration.

    Attributes:
      element_spec: the spec of a batch without its batch axes.
      fingerprint: hex digest of everything that determines the batches.
      source: the reader of the sequences.
      num_train_windows: sequences of one pass.
      num_alone: training episodes that are alone on their level, whose prompts
        therefore come from another one.

    Raises:
      ValueError: settings out of range, or ones that do not fit the dataset.
    """

    def __init__(
        self,
        *,
        queries: window_dataset.WindowDataset,
        settings: prompt_settings.PromptSettings,
        demo_conditioning: bool = True,
        vary_demos: bool = True,
        burstiness: float = 1.0,
        drop: float = 0.1,
    ):
        for name, value in (("burstiness", burstiness), ("drop", drop)):
            if not 0.0 <= value <= 1.0:
                raise ValueError(f"{name} must be 0 to 1, got {value}.")
        if settings.num_demos < 1:
            raise ValueError(f"num_demos must be at least 1, got {settings.num_demos}.")
        self._queries = queries
        self._settings = settings
        self._conditioning = demo_conditioning
        self._vary_demos = vary_demos
        self._burstiness = burstiness
        if settings.control == prompt_settings.WRONG_LEVEL:
            self._burstiness = 0.0
        self._drop = drop
        self.source = queries.source
        self.num_train_windows = queries.num_train_windows
        self.num_alone = 0
        self.element_spec = queries.element_spec
        self.fingerprint = queries.fingerprint
        if not demo_conditioning:
            return
        shown = self._demonstrations(queries.train_trajectories)
        self.element_spec = {**queries.element_spec, specs.PROMPT: shown.element_spec}
        parts = (queries.fingerprint, settings, vary_demos, burstiness, drop)
        self.fingerprint = hashlib.sha256(repr(parts).encode()).hexdigest()
        self.num_alone = int(np.sum(shown.sizes == 1))
        logging.info(
            "%s: %d training episodes on %d levels, %d alone on theirs.",
            queries.source.directory,
            len(shown.members),
            len(shown.levels),
            self.num_alone,
        )

    def train_batches(
        self,
        batch_size: int,
        seed: int,
        start_step: int = 0,
        part: tuple[int, int] = (0, 1),
    ) -> tf.data.Dataset:
        """Batches without end, or a part of each; a function of `seed` and the step.

        What is drawn for a sequence depends on its batch, so the whole batch is made.
        """
        batches = self._prompted(
            self._queries.train_batches(batch_size, seed, start_step),
            self._queries.train_trajectories,
            seed,
            start_step,
        )
        return pipeline.part_of_batches(batches, batch_size, part)

    def heldout_batches(self, batch_size: int) -> tf.data.Dataset:
        """One pass over held-out sequences, with held-out demonstrations."""
        return self._prompted(
            self._queries.heldout_batches(batch_size),
            self._queries.heldout_trajectories,
            _HELDOUT_SEED,
            0,
        )

    def _demonstrations(self, episodes: np.ndarray) -> demonstrations.Demonstrations:
        return demonstrations.Demonstrations(self._queries, episodes, self._settings)

    def _prompted(
        self,
        batches: tf.data.Dataset,
        episodes: np.ndarray,
        seed: int,
        start_step: int,
    ) -> tf.data.Dataset:
        if not self._conditioning:
            return batches
        shown = self._demonstrations(episodes)
        groups = level_groups.LevelGroups(shown, len(self.source.lengths))

        def add(step: tf.Tensor, batch: dict) -> dict:
            seeds = tf.random.experimental.stateless_split(
                tf.stack([np.int64(seed + _SEED_OFFSET), step]), 2
            )
            chosen = self._choose(groups, batch[specs.EPISODE][:, 0], seeds[0])
            return {**batch, specs.PROMPT: shown.lay(chosen, seeds[1])}

        steps = tf.data.Dataset.range(start_step, tf.int64.max)
        return pipeline.finish(
            tf.data.Dataset.zip((steps, batches)).map(
                add, num_parallel_calls=2, deterministic=True
            )
        )

    def _choose(
        self, groups: level_groups.LevelGroups, queries: tf.Tensor, seed: tf.Tensor
    ) -> tf.Tensor:
        """Episodes to show to sequences of episodes `[B]`, -1 for none, `[B, J]`."""
        most = self._settings.num_demos
        seeds = tf.unstack(tf.random.experimental.stateless_split(seed, 4))
        size = tf.shape(queries)
        same = tf.random.stateless_uniform(size, seeds[0]) < self._burstiness
        counts = tf.fill(size, most)
        if self._vary_demos:
            counts = tf.random.stateless_uniform(size, seeds[1], 0, most + 1, tf.int32)
        dropped = tf.random.stateless_uniform(size, seeds[2]) < self._drop
        chosen = groups.draw(queries, same, most, seeds[3])
        kept = tf.range(most) < tf.where(dropped, 0, counts)[:, None]
        return tf.where(kept, chosen, -1)
