"""`FeedforwardPolicy`: acts on the current observation alone."""

from collections.abc import Callable

import tensorflow as tf

from pdtla.stage import Policy, State


class FeedforwardPolicy(Policy):
    """Takes the most likely action of a memoryless network, or samples one.

    Args:
      logits: from observations uint8 `[B, 1, ...]` to action logits `[B, A]`.
      greedy: take the most likely action rather than sample one.
    """

    def __init__(self, logits: Callable[[tf.Tensor], tf.Tensor], greedy: bool):
        self._logits = logits
        self._greedy = greedy

    def initial_state(self, batch_size: int, seed: int = 0) -> State:
        row = tf.range(batch_size, dtype=tf.int32)
        return {"seed": tf.stack([tf.fill([batch_size], seed), row], axis=1)}

    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        del is_first
        logits = self._logits(observation[:, None])
        if self._greedy:
            return tf.argmax(logits, axis=-1, output_type=tf.int32), state
        seed = state["seed"]
        uniform = tf.random.stateless_uniform(tf.shape(logits), seed[0], 1e-20, 1.0)
        action = tf.argmax(logits - tf.math.log(-tf.math.log(uniform)), axis=-1)
        return tf.cast(action, tf.int32), {"seed": seed + [1, 0]}
