"""`GreedyPolicy`, an actor as rollouts want it."""

import tensorflow as tf

from pdtla import stage
from pdtla.layers.gaussian_actor import GaussianActor


class GreedyPolicy(stage.Policy):
    """Takes the mean action.

    Args:
      actor: a built actor.
    """

    def __init__(self, actor: GaussianActor):
        self._actor = actor

    def initial_state(self, batch_size: int, seed: int = 0) -> stage.State:
        del batch_size, seed
        return {}

    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: stage.State
    ) -> tuple[tf.Tensor, stage.State]:
        del is_first
        return self._actor(observation), state
