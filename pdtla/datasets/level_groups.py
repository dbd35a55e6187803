"""`LevelGroups`, draws episodes that share a level with another."""

import numpy as np
import tensorflow as tf

from pdtla.datasets import demonstrations
from pdtla.environments import levels


class LevelGroups:
    """Draws demonstrations for episodes, inside of a `tf.data` pipeline.

    Args:
      shown: the episodes that may be drawn, and drawn for.
      num_episodes: E, episodes of their dataset.
    """

    def __init__(self, shown: demonstrations.Demonstrations, num_episodes: int):
        group = np.repeat(np.arange(len(shown.sizes)), shown.sizes)
        place = np.arange(len(shown.members)) - shown.begins[group]
        self._group, self._place = (
            tf.constant(_scatter(shown.members, values, num_episodes))
            for values in (group, place)
        )
        self._members = tf.constant(shown.members)
        self._sizes = tf.constant(shown.sizes)
        self._begins = tf.constant(shown.begins)
        # Levels of several environments are numbered one environment after the other.
        environments = shown.levels // levels.ALL_SEEDS
        self._first = tf.constant(np.searchsorted(environments, environments))
        ends = np.searchsorted(environments, environments, side="right")
        self._end = tf.constant(ends)

    def draw(
        self, episodes: tf.Tensor, same: tf.Tensor, count: int, seed: tf.Tensor
    ) -> tf.Tensor:
        """Draws without replacement.

        Args:
          episodes: whom to draw for, int `[B]`.
          same: whether to draw from their own level, without themselves, where that has
            others; elsewhere one other level of the same environment is drawn from.
          count: J, how many to draw.
          seed: decides, int `[2]`.

        Returns:
          Numbers of episodes, -1 where there are no more, int64 `[B, J]`.
        """
        level_seed, order_seed = tf.unstack(
            tf.random.experimental.stateless_split(seed, 2)
        )
        own, place = tf.gather(self._group, episodes), tf.gather(self._place, episodes)
        same &= tf.gather(self._sizes, own) > 1
        first = tf.gather(self._first, own)
        others = tf.gather(self._end, own) - first - 1
        step = 1 + demonstrations.uniform_integers(others, level_seed)
        other = first + (own - first + step) % (others + 1)
        group = tf.where(same, own, other)
        there = tf.gather(self._sizes, group) - tf.cast(same, tf.int64)
        there = tf.where(same | (others > 0), there, 0)[:, None]
        numbers = tf.range(count, dtype=tf.int64)
        ranks = _permuted(tf.minimum(numbers, there - 1), there, order_seed)
        # The query's place is skipped.
        ranks += tf.cast(same[:, None] & (ranks >= place[:, None]), tf.int64)
        chosen = tf.gather(
            self._members, tf.gather(self._begins, group)[:, None] + ranks
        )
        return tf.where(numbers < there, chosen, -1)


def _permuted(index: tf.Tensor, sizes: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
    """Where a random permutation of `sizes` `[B, 1]` puts indices `[B, J]`."""
    shape = tf.shape(index)
    seeds = tf.random.stateless_uniform(
        [shape[0], 1, 3], seed, minval=None, maxval=None, dtype=tf.int32
    )
    ends = tf.broadcast_to(tf.maximum(sizes - 1, 0), shape)
    permuted = tf.raw_ops.RandomIndexShuffle(
        index=tf.reshape(tf.maximum(index, 0), [-1]),
        seed=tf.reshape(tf.tile(seeds, [1, shape[1], 1]), [-1, 3]),
        max_index=tf.reshape(ends, [-1]),
        rounds=4,
    )
    return tf.reshape(permuted, shape)


def _scatter(places: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    array = np.zeros(size, np.int64)
    array[places] = values
    return array
