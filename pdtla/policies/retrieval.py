"""`RetrievalPolicy`: repeats what a demonstration did in the nearest state."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pdtla import specs
from pdtla.stage import Batch, Policy, State


class RetrievalPolicy(Policy):
    """Copies the action of the demonstrated step whose observation is nearest.

    It learns nothing, and is what a prompted policy is to be held against (Sridhar et
    al. 2024, arXiv 2412.04759).

    Args:
      features: from observations `[B, T, ...]` to `[B, T, F]`, where distances are
        Euclidean.
      label: gives demonstrations their actions.
      act: from an action and an observation `[B, ...]` to the environment's action.
    """

    def __init__(
        self,
        features: Callable[[tf.Tensor], tf.Tensor],
        label: Callable[[Batch], Batch],
        act: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
    ):
        self._features = features
        self._label = label
        self._act = act

    def initial_state(self, batch_size: int, seed: int = 0) -> State:
        del batch_size, seed
        return {}

    def with_prompt(self, state: State, prompt: Batch) -> State:
        prompt = self._label(prompt)
        return state | {
            "features": self._features(prompt[specs.OBSERVATION]),
            "action": prompt[specs.ACTION],
            "valid": prompt[specs.VALID],
        }

    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        del is_first
        if not state:
            raise ValueError("Retrieval needs demonstrations, got none.")
        here = self._features(observation[:, None])
        distance = tf.reduce_sum(tf.square(state["features"] - here), -1)
        nearest = tf.argmin(tf.where(state["valid"], distance, np.inf), 1)
        action = tf.gather(state["action"], nearest, batch_dims=1)
        return self._act(action, observation), state
