"""`GreedyPolicy`, an actor as rollouts want it."""

import keras
import tensorflow as tf

from pdtla import stage


class GreedyPolicy(stage.Policy):
    """Takes the most likely action.

    Args:
      actor: a built layer from observations to actions.
    """

    def __init__(self, actor: keras.layers.Layer):
        self._actor = actor

    def initial_state(self, batch_size: int, seed: int = 0) -> stage.State:
        del batch_size, seed
        return {}

    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: stage.State
    ) -> tuple[tf.Tensor, stage.State]:
        del is_first
        return self._actor(observation), state
