"""`Agent`, what proximal policy optimisation trains."""

import abc
from typing import Any

import keras
import tensorflow as tf

from pdtla import stage
from pdtla.online import exploration, greedy_policy


class Agent(abc.ABC):
    """An actor and a critic over the same observations.

    Attributes:
      actor: a built layer that acts greedily when called; it is what a run saves.
      critic: a built layer.
      exploration: the distribution that the actor's parameters are of.
      labels: labelled steps the agent was made with; None where that has no meaning.
      jit_compile: whether acting and learning gain by XLA.
    """

    actor: keras.layers.Layer
    critic: keras.layers.Layer
    exploration: exploration.Exploration
    labels: int | None = None
    jit_compile: bool = True

    @property
    def variables(self) -> list[keras.Variable]:
        """All of them, the actor's first."""
        return self.actor.variables + self.critic.variables

    @abc.abstractmethod
    def prepare(self, observation: tf.Tensor) -> Any:
        """What no gradient changes of what is computed from observations.

        Args:
          observation: `[B, ...]`, raw.

        Returns:
          A tensor or a dict of tensors `[B, ...]`, for `evaluate`.
        """

    @abc.abstractmethod
    def evaluate(self, inputs: Any) -> tuple[Any, tf.Tensor]:
        """The parameters of the distribution over actions and the values `[B]`."""

    @abc.abstractmethod
    def observe(self, observation: tf.Tensor) -> None:
        """Takes raw observations `[B, ...]` into the statistics, if there are any."""

    def policy(self, greedy: bool = True) -> stage.Policy:
        """What rollouts run.

        Raises:
          ValueError: actions are to be sampled, but are not by this agent's policy.
        """
        if not greedy:
            raise ValueError(
                "Continuous actions are evaluated without noise: EVAL_MODES must be "
                '("greedy",).'
            )
        return greedy_policy.GreedyPolicy(self.actor)
