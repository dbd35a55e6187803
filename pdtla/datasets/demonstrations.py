"""`Demonstrations`, episodes laid in a row as prompts."""

import dataclasses

import numpy as np
import tensorflow as tf

from pdtla import specs
from pdtla.datasets import prompt_settings, window_dataset


class Demonstrations:
    """Episodes grouped by their levels, and the prompts they make.

    Args:
      dataset: sequences, whose fields the prompts have.
      episodes: numbers of its episodes that may be shown.
      settings: what a prompt is made of.

    Attributes:
      settings: as given.
      element_spec: the spec of a prompt `[P, ...]`, P = J * H: the fields of the
        dataset and `demo`, the number of the demonstration, from 1; of shuffled steps
        `order` as well.
      members: the episodes in the order of their levels, int64 `[E]`.
      levels: the levels in order, int64 `[G]`.
      sizes: number of episodes of each level, int64 `[G]`.
      begins: place in `members` of each level's first episode, int64 `[G]`.

    Raises:
      ValueError: other windows than sequences, no levels, no episodes, or one that is
        too long to be shown in full.
    """

    def __init__(
        self,
        dataset: window_dataset.WindowDataset,
        episodes: np.ndarray,
        settings: prompt_settings.PromptSettings,
    ):
        source = dataset.source
        if specs.VALID not in dataset.element_spec:
            raise ValueError("Prompts need sequences (gin/data/sequence.gin).")
        if source.level_seeds is None:
            raise ValueError(f"{source.directory} tells no levels, which prompts need.")
        lengths = source.lengths - (0 if dataset.last_step_valid else 1)
        episodes = np.asarray(episodes)[lengths[episodes] > 0]
        if not len(episodes):
            raise ValueError(f"{source.directory} has no episode to demonstrate.")
        longest = lengths[episodes].max()
        if settings.segment == "full" and longest > settings.demo_len:
            raise ValueError(
                f"demo_len must be at least {longest} to show all of "
                f"{source.directory} in full, got {settings.demo_len}."
            )
        self.settings = settings
        self._lengths = tf.constant(lengths)
        self._starts = tf.constant(source.starts)
        # Made here, outside of any pipeline's graph.
        self._steps = {field: dataset.steps(field) for field in dataset.step_fields}
        levels = source.level_seeds[episodes]
        order = np.argsort(levels, kind="stable")
        self.members = episodes[order]
        self.levels, self.begins, self.sizes = np.unique(
            levels[order], return_index=True, return_counts=True
        )
        steps = max(settings.num_demos, 1) * settings.demo_len
        self.element_spec = {
            field: dataclasses.replace(spec, shape=(steps, *spec.shape[1:]))
            for field, spec in dataset.element_spec.items()
        } | {specs.DEMO: specs.ArraySpec((steps,), "int32")}
        if settings.control == prompt_settings.SHUFFLED:
            self.element_spec[specs.ORDER] = specs.ArraySpec((steps,), "int32")

    def lay(self, episodes: tf.Tensor, seed: tf.Tensor) -> dict[str, tf.Tensor]:
        """Lays demonstrations in a row.

        Args:
          episodes: numbers of episodes, -1 for none, int64 `[B, J]`.
          seed: decides on segments and orders, int `[2]`; those of the first
            demonstrations do not depend on how many there are.

        Returns:
          The fields of a prompt, `[B, P, ...]`; what is not valid is zero.
        """
        size = self.settings.demo_len
        segment_seed, order_seed = tf.unstack(
            tf.random.experimental.stateless_split(seed, 2)
        )
        shown = episodes >= 0
        known = tf.maximum(episodes, 0)
        lengths = tf.gather(self._lengths, known)
        begin = self._begin(tf.maximum(lengths - size, 0), segment_seed)[..., None]
        steps = begin + tf.range(size, dtype=tf.int64)  # [B, J, H]
        valid = (steps < lengths[..., None]) & shown[..., None]
        timestep = tf.where(valid, steps, 0)
        order = tf.broadcast_to(tf.range(size), tf.shape(valid))
        if self.settings.control == prompt_settings.SHUFFLED:
            order = _shuffled(valid, order_seed)
            steps = tf.gather(steps, order, batch_dims=2)
        rows = tf.where(valid, tf.gather(self._starts, known)[..., None] + steps, 0)
        demo = tf.range(1, tf.shape(valid)[1] + 1)[:, None]
        order = tf.where(valid, size * (demo - 1) + order, 0)
        numbers = {
            specs.TIMESTEP: tf.cast(timestep, tf.int32),
            specs.EPISODE: tf.cast(tf.where(valid, known[..., None], 0), tf.int32),
            specs.DEMO: tf.broadcast_to(demo, tf.shape(valid)),
            specs.VALID: valid,
            specs.ORDER: order,
        }
        prompt = {name: _in_a_row(value) for name, value in numbers.items()}
        rows, valid = _in_a_row(rows), prompt[specs.VALID]
        for field, steps in self._steps.items():
            shown = steps.gather(rows)
            inner = [1] * (shown.shape.rank - 2)
            mask = tf.reshape(valid, tf.concat([tf.shape(valid), inner], 0))
            prompt[field] = tf.where(mask, shown, tf.zeros([], shown.dtype))
        return {field: prompt[field] for field in self.element_spec}

    def _begin(self, spare: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """First steps of segments, given how many there are to choose from but one."""
        if self.settings.segment == "end":
            return spare
        if self.settings.segment != "uniform":
            return tf.zeros_like(spare)
        # Drawn one demonstration after the other: more leave the first as they are.
        return tf.transpose(uniform_integers(tf.transpose(spare + 1), seed))


def uniform_integers(ends: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Integers from 0 to below each of `ends`, of its shape and type."""
    draws = tf.random.stateless_uniform(tf.shape(ends), seed, dtype=tf.float64)
    return tf.cast(draws * tf.cast(ends, tf.float64), ends.dtype)


def _shuffled(valid: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """A random order of the valid steps of each demonstration, the others behind."""
    batch, count, size = tf.unstack(tf.shape(valid))
    draws = tf.random.stateless_uniform((count, batch, size), seed)
    draws = tf.transpose(draws, (1, 0, 2))
    return tf.argsort(draws + 2.0 * tf.cast(~valid, tf.float32), axis=-1)


def _in_a_row(value: tf.Tensor) -> tf.Tensor:
    """`[B, J, H]` to `[B, J * H]`."""
    return tf.reshape(value, [tf.shape(value)[0], -1])
