"""`StepArray`, the steps of a field, which may lie in several arrays."""

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from pdtla.datasets import pipeline


class StepArray:
    """Arrays `[N_i, ...]` end to end, never copied into one.

    Args:
      parts: the arrays, alike but in their lengths.
    """

    def __init__(self, parts: Sequence[np.ndarray]):
        self._parts = [pipeline.as_tensor(part) for part in parts]
        self._ends = tf.constant(np.cumsum([len(part) for part in parts]))

    def gather(self, rows: tf.Tensor) -> tf.Tensor:
        """The steps at `rows`, int64 of any shape."""
        if len(self._parts) == 1:
            return tf.gather(self._parts[0], rows)
        flat = tf.reshape(rows, [-1])
        number = tf.searchsorted(self._ends, flat, side="right")
        begins = tf.concat([[np.int64(0)], self._ends[:-1]], 0)
        count = len(self._parts)
        places = tf.dynamic_partition(tf.range(tf.size(flat)), number, count)
        within = tf.dynamic_partition(flat - tf.gather(begins, number), number, count)
        steps = tf.dynamic_stitch(
            places,
            [
                tf.gather(part, rows)
                for part, rows in zip(self._parts, within, strict=True)
            ],
        )
        return tf.reshape(steps, tf.concat([tf.shape(rows), tf.shape(steps)[1:]], 0))
