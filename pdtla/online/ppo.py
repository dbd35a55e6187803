"""`Ppo`, proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347)."""

import dataclasses
import functools
import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pdtla.online.agent import Agent


@dataclasses.dataclass(frozen=True)
class PpoSettings:
    """What an update does.

    Attributes:
      epochs: passes over the steps that were played.
      minibatch_size: steps in one gradient.
      clip: how far the ratio of probabilities may move from 1 with gain.
      value_weight: of the value's loss.
      entropy_weight: of the entropy bonus.
      max_grad_norm: gradients are clipped to this global norm.
      target_kl: an update stops once a minibatch's estimated divergence from the policy
        that played is above 1.5 times this; None never stops.
    """

    epochs: int = 10
    minibatch_size: int = 256
    clip: float = 0.2
    value_weight: float = 0.5
    entropy_weight: float = 0.0
    max_grad_norm: float = 0.5
    target_kl: float | None = None


class Played(NamedTuple):
    """Steps to learn from.

    Attributes:
      observation: `[B, ...]`, raw.
      action: float32 `[B, A]`, as sampled, before any clipping, or int32 `[B]`.
      log_prob: float32 `[B]`, of the actions under the policy that sampled them.
      advantage: float32 `[B]`.
      target: float32 `[B]`, of the value.
    """

    observation: np.ndarray
    action: np.ndarray
    log_prob: np.ndarray
    advantage: np.ndarray
    target: np.ndarray


class Ppo:
    """An agent and the update that improves it.

    Args:
      agent: an actor and a critic.
      optimizer: of all their weights.
      settings: what an update does.
    """

    def __init__(
        self, agent: Agent, optimizer: keras.optimizers.Optimizer, settings: PpoSettings
    ):
        self.agent = agent
        self.optimizer = optimizer
        self.settings = settings
        actor = agent.actor.trainable_variables
        self._weights = actor + agent.critic.trainable_variables
        self._actor_weights = [weight.value for weight in actor]
        optimizer.build(self._weights)
        compiled = functools.partial(tf.function, jit_compile=agent.jit_compile)
        self.act = compiled(self._act)
        self._prepare = compiled(agent.prepare)
        self._observe = compiled(agent.observe)
        self._learn = compiled(self._learn_from)

    @property
    def variables(self) -> list[tf.Variable]:
        """All that a checkpoint must hold."""
        variables = self.agent.variables + self.optimizer.variables
        return [each.value for each in variables]

    def update(
        self,
        played: Played,
        rng: np.random.Generator,
        learning_rate: float,
        critic_only: bool = False,
    ) -> dict[str, float]:
        """Learns from steps, then takes them into the statistics of observations.

        Args:
          played: the steps; B must be a multiple of the minibatch size.
          rng: shuffles them.
          learning_rate: of this update.
          critic_only: leave the actor's weights as they are.

        Returns:
          Losses and diagnostics, means over the minibatches.

        Raises:
          ValueError: B is no multiple of the minibatch size.
        """
        size, steps = self.settings.minibatch_size, len(played.observation)
        if steps % size:
            raise ValueError(
                f"The number of steps must be a multiple of {size}, got {steps}."
            )
        order = [rng.permutation(steps) for _ in range(self.settings.epochs)]
        order = np.concatenate(order).reshape(-1, size).astype(np.int32)
        self.optimizer.learning_rate.assign(learning_rate)
        chunks = [
            self._prepare(chunk)
            for chunk in np.split(played.observation, steps // size)
        ]
        inputs = tf.nest.map_structure(lambda *each: tf.concat(each, 0), *chunks)
        batches = Played(inputs, *map(tf.constant, played[1:]))
        metrics = self._learn(batches, tf.constant(order), critic_only)
        self._observe(played.observation)
        return {name: float(value) for name, value in metrics.items()}

    def losses(self, batch: Played) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The objective of one minibatch, to be minimised, and diagnostics.

        The observations of the batch are prepared already. Equations 7 and 9 of the
        paper, with advantages standardised within the minibatch.
        """
        settings, exploration = self.settings, self.agent.exploration
        params, value = self.agent.evaluate(batch.observation)
        log_ratio = exploration.log_prob(params, batch.action) - batch.log_prob
        ratio = tf.exp(log_ratio)
        advantage = standardized(batch.advantage)
        policy_loss = clipped_loss(ratio, advantage, settings.clip)
        error = value - batch.target
        value_loss = 0.5 * tf.reduce_mean(tf.square(error))
        entropy = exploration.entropy(params)
        loss = policy_loss + settings.value_weight * value_loss
        loss -= settings.entropy_weight * entropy
        outside = tf.abs(ratio - 1.0) > settings.clip
        return loss, {
            "policy_loss": policy_loss,
            "value_loss": value_loss,
            "entropy": entropy,
            # Never negative and of less variance than the mean log ratio.
            "kl": tf.reduce_mean(ratio - 1.0 - log_ratio),
            "clipped": tf.reduce_mean(tf.cast(outside, tf.float32)),
        }

    def _act(self, observation: tf.Tensor, noise: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Samples actions.

        Args:
          observation: `[N, ...]`, raw.
          noise: the exploration's, `[N, A]`.

        Returns:
          Actions `[N, A]` or `[N]`, their log probabilities `[N]` and the values of the
          observations `[N]`.
        """
        params, value = self.agent.evaluate(self.agent.prepare(observation))
        action = self.agent.exploration.sample(params, noise)
        return action, self.agent.exploration.log_prob(params, action), value

    def _learn_from(
        self, batches: Played, order: tf.Tensor, critic_only: bool
    ) -> dict[str, tf.Tensor]:
        """All minibatches, `order` `[M, minibatch_size]`, in one compiled loop."""
        names = ("policy_loss", "value_loss", "entropy", "kl", "clipped")
        sums = dict.fromkeys(names, tf.constant(0.0))
        done, kl = tf.constant(0), tf.constant(0.0)
        limit = math.inf
        if self.settings.target_kl is not None:
            limit = 1.5 * self.settings.target_kl

        def go_on(done, kl, sums):
            del sums
            return (done < len(order)) & (kl <= limit)

        def step(done, kl, sums):
            del kl
            rows = order[done]
            batch = tf.nest.map_structure(lambda each: tf.gather(each, rows), batches)
            metrics = self._descend(batch, critic_only)
            sums = {name: sums[name] + metrics[name] for name in names}
            return done + 1, metrics["kl"], sums

        done, kl, sums = tf.while_loop(go_on, step, (done, kl, sums))
        count = tf.cast(done, tf.float32)
        return {name: sums[name] / count for name in names} | {"minibatches": count}

    def _descend(self, batch: Played, critic_only: bool) -> dict[str, tf.Tensor]:
        weights = [weight.value for weight in self._weights]
        before = [tf.identity(weight) for weight in self._actor_weights]
        with tf.GradientTape() as tape:
            loss, metrics = self.losses(batch)
        gradients = tape.gradient(loss, weights)
        gradients, _ = tf.clip_by_global_norm(gradients, self.settings.max_grad_norm)
        self.optimizer.apply(gradients, self._weights)
        if critic_only:  # the optimizer's averages know the actor's gradients then
            for weight, value in zip(self._actor_weights, before, strict=True):
                weight.assign(value)
        return metrics


def clipped_loss(ratio: tf.Tensor, advantage: tf.Tensor, clip: float) -> tf.Tensor:
    """The clipped surrogate objective, negated: equation 7 of the paper.

    Args:
      ratio: of the probabilities of the actions now and when they were taken, `[B]`.
      advantage: `[B]`.
      clip: epsilon.
    """
    clipped = tf.clip_by_value(ratio, 1.0 - clip, 1.0 + clip)
    return -tf.reduce_mean(tf.minimum(ratio * advantage, clipped * advantage))


def standardized(values: tf.Tensor) -> tf.Tensor:
    """Values `[B]` with mean 0 and variance 1."""
    centred = values - tf.reduce_mean(values)
    return centred / (tf.math.reduce_std(values) + 1e-8)
