"""Pieces of `tf.data` pipelines whose order is a function of (seed, step)."""

import numpy as np
import tensorflow as tf


def shuffled_indices(
    step: tf.Tensor, batch_size: int, size: int, seed: int
) -> tf.Tensor:
    """The windows of one batch: each pass is a permutation of its own of all of them.

    Args:
      step: which batch, int64 scalar.
      batch_size: B.
      size: number of windows.
      seed: seeds the permutations.

    Returns:
      Indices of windows, int64 `[B]`.
    """
    position = step * batch_size + tf.range(batch_size, dtype=tf.int64)
    epoch = position // size
    key = tf.stack([tf.fill([batch_size], np.int64(seed)), epoch, epoch * 0], 1)
    # `tf.random.experimental.index_shuffle`, whose wrapper mistakes a seed per element.
    return tf.raw_ops.RandomIndexShuffle(
        index=position % size, seed=key, max_index=size - 1, rounds=4
    )


def as_tensor(array: np.ndarray) -> tf.Tensor:
    """An array on the CPU, without a copy if it is an image field mapped from disk."""
    if array.dtype == np.uint8 and array.flags.writeable:
        return tf.experimental.dlpack.from_dlpack(array.__dlpack__())
    with tf.device("CPU:0"):
        return tf.constant(array)


def finish(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Sets what every pipeline has in common: order, sharding, prefetching."""
    options = tf.data.Options()
    # There are no files to split between workers.
    options.experimental_distribute.auto_shard_policy = (
        tf.data.experimental.AutoShardPolicy.DATA
    )
    options.deterministic = True
    return dataset.with_options(options).prefetch(2)
