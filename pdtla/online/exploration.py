"""Distributions that actions are drawn from while a policy is learnt online."""

import abc
import math
from typing import Any

import numpy as np
import tensorflow as tf

from pdtla import specs

_LOG_TWO_PI = math.log(2.0 * math.pi)


class Exploration(abc.ABC):
    """Draws actions and tells how likely they were.

    `params` are what an agent's actor gives for B observations.
    """

    @abc.abstractmethod
    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        """What `sample` turns into actions, float32 `[*shape, A]`."""

    @abc.abstractmethod
    def sample(self, params: Any, noise: tf.Tensor) -> tf.Tensor:
        """Actions, float32 `[B, A]` or int32 `[B]`, from noise `[B, A]`."""

    @abc.abstractmethod
    def log_prob(self, params: Any, action: tf.Tensor) -> tf.Tensor:
        """Logarithms of the densities or probabilities of actions, `[B]`."""

    @abc.abstractmethod
    def entropy(self, params: Any) -> tf.Tensor:
        """The mean over the observations, a scalar."""


class Gaussian(Exploration):
    """Independent normal components; a mean `[B, A]` and a log deviation `[A]`.

    Args:
      size: number A of components.
    """

    def __init__(self, size: int):
        self._size = size

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.standard_normal((*shape, self._size), np.float32)

    def sample(self, params: Any, noise: tf.Tensor) -> tf.Tensor:
        mean, log_std = params
        return mean + tf.exp(log_std) * noise

    def log_prob(self, params: Any, action: tf.Tensor) -> tf.Tensor:
        mean, log_std = params
        standard = (action - mean) * tf.exp(-log_std)
        return -tf.reduce_sum(
            0.5 * tf.square(standard) + log_std + 0.5 * _LOG_TWO_PI, axis=-1
        )

    def entropy(self, params: Any) -> tf.Tensor:
        _, log_std = params
        return tf.reduce_sum(log_std + 0.5 * (1.0 + _LOG_TWO_PI))


class Categorical(Exploration):
    """Categories, of which logits `[B, A]` are known.

    Args:
      num_actions: A.
    """

    def __init__(self, num_actions: int):
        self._num_actions = num_actions

    def noise(self, rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
        return rng.gumbel(size=(*shape, self._num_actions)).astype(np.float32)

    def sample(self, params: Any, noise: tf.Tensor) -> tf.Tensor:
        return tf.argmax(params + noise, axis=-1, output_type=tf.int32)

    def log_prob(self, params: Any, action: tf.Tensor) -> tf.Tensor:
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(action, params)

    def entropy(self, params: Any) -> tf.Tensor:
        log_prob = tf.nn.log_softmax(params)
        return -tf.reduce_mean(tf.reduce_sum(tf.exp(log_prob) * log_prob, axis=-1))


def make_exploration(spec: specs.ArraySpec) -> Exploration:
    """The distribution for actions of a spec."""
    if spec.is_discrete:
        return Categorical(spec.num_values)
    (size,) = spec.shape
    return Gaussian(size)
