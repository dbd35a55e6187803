"""`FeedforwardPolicy`: acts on the current observation alone."""

from collections.abc import Callable

import tensorflow as tf

from pdtla.layers.action_distributions import ActionDistribution
from pdtla.stage import Policy, State


class FeedforwardPolicy(Policy):
    """Takes the most likely action of a memoryless network, or samples one.

    Args:
      params: from observations `[B, 1, ...]` to a distribution's parameters `[B, P]`.
      distribution: what they are the parameters of.
      greedy: take the most likely action rather than sample one.
    """

    def __init__(
        self,
        params: Callable[[tf.Tensor], tf.Tensor],
        distribution: ActionDistribution,
        greedy: bool,
    ):
        self._params = params
        self._distribution = distribution
        self._greedy = greedy

    def initial_state(self, batch_size: int, seed: int = 0) -> State:
        row = tf.range(batch_size, dtype=tf.int32)
        return {"seed": tf.stack([tf.fill([batch_size], seed), row], axis=1)}

    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        del is_first
        params = self._params(observation[:, None])
        if self._greedy:
            return self._distribution.mode(params), state
        seed = state["seed"]
        uniform = tf.random.stateless_uniform(tf.shape(params), seed[0], 1e-20, 1.0)
        return self._distribution.sample(params, uniform), {"seed": seed + [1, 0]}
