"""Noise that does not depend on how many replicas share a batch."""

import keras
from keras import ops

from pdtla import replica


def standard_normal(shape, seed: keras.random.SeedGenerator):
    """Independent standard normal numbers for the rows of a replica's batch.

    The noise of the whole batch is drawn everywhere and each replica takes its rows, so
    that N replicas compute what one device does.

    Args:
      shape: of this replica, the batch axis first.
      seed: generator of the layer, in the same state on all replicas.

    Returns:
      float32 of that shape.
    """
    rows, *rest = shape
    noise = keras.random.normal(
        (rows * replica.num_replicas(), *rest), dtype="float32", seed=seed
    )
    return own_rows(noise, rows)


def own_rows(drawn, rows):
    """Those of the whole batch's `[N * B, ...]` that are this replica's, `[B, ...]`."""
    if replica.num_replicas() == 1:
        return drawn
    rest = drawn.shape[1:]
    start = (replica.index() * rows, *[0] * len(rest))
    return ops.slice(drawn, start, (rows, *rest))
