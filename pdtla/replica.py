"""Sums over the replicas of a tf.distribute strategy, identity on one device.

The only place where layers meet tf.distribute. Statistics that are kept outside the
gradient (codebook counts and sums) must be summed over replicas before they are used:
an average of per-replica codebooks is not the codebook of the global batch.
"""

import tensorflow as tf


def num_replicas() -> int:
    """How many replicas compute in step, 1 outside any strategy."""
    return tf.distribute.get_strategy().num_replicas_in_sync


def index():
    """Which of the replicas computes, 0 outside any strategy."""
    context = tf.distribute.get_replica_context()
    return 0 if context is None else context.replica_id_in_sync_group


def all_sum(tensors):
    """Sums each tensor of a nest over replicas; every replica gets the result."""
    context = tf.distribute.get_replica_context()
    # In cross-replica context (a layer called in scope but outside strategy.run)
    # there is one copy of the data, hence nothing to add.
    if context is None or num_replicas() == 1:
        return tensors
    return context.all_reduce(tf.distribute.ReduceOp.SUM, tensors)
