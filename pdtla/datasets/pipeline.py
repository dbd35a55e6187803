"""Pieces of `tf.data` pipelines whose order is a function of (seed, step)."""

import numpy as np
import tensorflow as tf


def shuffled_indices(
    step: tf.Tensor,
    batch_size: int,
    size: int,
    seed: int,
    part: tuple[int, int] = (0, 1),
) -> tf.Tensor:
    """The windows of one batch: each pass is a permutation of its own of all of them.

    Args:
      step: which batch, int64 scalar.
      batch_size: B.
      size: number of windows.
      seed: seeds the permutations.
      part: of the batch, see `rows_of_part`.

    Returns:
      Indices of windows, int64 `[B / parts]`.
    """
    begin, rows = rows_of_part(batch_size, part)
    position = step * batch_size + begin + tf.range(rows, dtype=tf.int64)
    epoch = position // size
    key = tf.stack([tf.fill([rows], np.int64(seed)), epoch, epoch * 0], 1)
    # `tf.random.experimental.index_shuffle`, whose wrapper mistakes a seed per element.
    return tf.raw_ops.RandomIndexShuffle(
        index=position % size, seed=key, max_index=size - 1, rounds=4
    )


def part_of_batches(
    batches: tf.data.Dataset, batch_size: int, part: tuple[int, int]
) -> tf.data.Dataset:
    """Keeps of every batch `[B, ...]` the rows of a part, see `rows_of_part`."""
    if part[1] == 1:
        return batches
    begin, size = rows_of_part(batch_size, part)
    return batches.map(
        lambda batch: tf.nest.map_structure(lambda x: x[begin : begin + size], batch)
    )


def rows_of_part(batch_size: int, part: tuple[int, int]) -> tuple[int, int]:
    """First row and number of rows of one of several equal parts of a batch.

    Args:
      batch_size: B of the whole batch.
      part: number of the part, and how many there are.

    Raises:
      ValueError: the parts would not be equal.
    """
    index, count = part
    if batch_size % count:
        raise ValueError(
            f"Batch sizes must be a multiple of the {count} workers, got {batch_size}."
        )
    return index * (batch_size // count), batch_size // count


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
    # Rewriting the graph of a pipeline copies the arrays that it reads, each time it is
    # iterated over: fields mapped from disk would all be in memory, several times.
    options.experimental_optimization.apply_default_optimizations = False
    return dataset.with_options(options).prefetch(2)
