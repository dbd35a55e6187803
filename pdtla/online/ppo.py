"""`Ppo`, proximal policy optimisation (Schulman et al. 2017, arXiv 1707.06347)."""

import dataclasses
import math
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

from pdtla.layers.gaussian_actor import GaussianActor
from pdtla.layers.tanh_network import TanhNetwork

_LOG_TWO_PI = math.log(2.0 * math.pi)


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
    """Steps to learn from, float32.

    Attributes:
      observation: `[B, D]`, raw.
      action: `[B, A]`, as sampled, before any clipping.
      log_prob: `[B]`, of the actions under the policy that sampled them.
      advantage: `[B]`.
      target: `[B]`, of the value.
    """

    observation: np.ndarray
    action: np.ndarray
    log_prob: np.ndarray
    advantage: np.ndarray
    target: np.ndarray


class Ppo:
    """An actor, a critic and the update that improves both.

    Args:
      actor: a built policy; its normaliser serves the critic too.
      critic: a built network from normalised observations to one value.
      optimizer: of all their weights.
      settings: what an update does.
    """

    def __init__(
        self,
        actor: GaussianActor,
        critic: TanhNetwork,
        optimizer: keras.optimizers.Optimizer,
        settings: PpoSettings,
    ):
        self.actor = actor
        self.critic = critic
        self.optimizer = optimizer
        self.settings = settings
        self._weights = actor.trainable_variables + critic.trainable_variables
        optimizer.build(self._weights)

    @property
    def variables(self) -> list[tf.Variable]:
        """All that a checkpoint must hold."""
        layers = self.actor.variables + self.critic.variables
        return [each.value for each in layers + self.optimizer.variables]

    @tf.function(jit_compile=True)
    def act(self, observation: tf.Tensor, noise: tf.Tensor) -> tuple[tf.Tensor, ...]:
        """Samples actions.

        Args:
          observation: `[N, D]`, raw.
          noise: standard normal, `[N, A]`.

        Returns:
          Actions `[N, A]`, their log probabilities `[N]` and the values of the
          observations `[N]`.
        """
        normalized = self.actor.normalizer(observation)
        mean, log_std = self.actor.parameters(normalized)
        action = mean + tf.exp(log_std) * noise
        value = self.critic(normalized)[:, 0]
        return action, gaussian_log_prob(action, mean, log_std), value

    def update(
        self, played: Played, rng: np.random.Generator, learning_rate: float
    ) -> dict[str, float]:
        """Learns from steps, then takes them into the statistics of observations.

        Args:
          played: the steps; B must be a multiple of the minibatch size.
          rng: shuffles them.
          learning_rate: of this update.

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
        metrics = self._update(Played(*map(tf.constant, played)), tf.constant(order))
        return {name: float(value) for name, value in metrics.items()}

    def losses(self, batch: Played) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """The objective of one minibatch, to be minimised, and diagnostics.

        The observations of the batch are normalised already. Equations 7 and 9 of the
        paper, with advantages standardised within the minibatch.
        """
        settings = self.settings
        mean, log_std = self.actor.parameters(batch.observation)
        log_ratio = gaussian_log_prob(batch.action, mean, log_std) - batch.log_prob
        ratio = tf.exp(log_ratio)
        advantage = standardized(batch.advantage)
        policy_loss = clipped_loss(ratio, advantage, settings.clip)
        error = self.critic(batch.observation)[:, 0] - batch.target
        value_loss = 0.5 * tf.reduce_mean(tf.square(error))
        entropy = tf.reduce_sum(log_std + 0.5 * (1.0 + _LOG_TWO_PI))
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

    @tf.function(jit_compile=True)
    def _update(self, played: Played, order: tf.Tensor) -> dict[str, tf.Tensor]:
        """All minibatches, `order` `[M, minibatch_size]`, in one compiled loop."""
        normalized = self.actor.normalizer(played.observation)
        batches = played._replace(observation=normalized)
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
            batch = Played(*(tf.gather(field, rows) for field in batches))
            metrics = self._descend(batch)
            sums = {name: sums[name] + metrics[name] for name in names}
            return done + 1, metrics["kl"], sums

        done, kl, sums = tf.while_loop(go_on, step, (done, kl, sums))
        self.actor.normalizer.update(played.observation)
        count = tf.cast(done, tf.float32)
        return {name: sums[name] / count for name in names} | {"minibatches": count}

    def _descend(self, batch: Played) -> dict[str, tf.Tensor]:
        weights = [weight.value for weight in self._weights]
        with tf.GradientTape() as tape:
            loss, metrics = self.losses(batch)
        gradients = tape.gradient(loss, weights)
        gradients, _ = tf.clip_by_global_norm(gradients, self.settings.max_grad_norm)
        self.optimizer.apply(gradients, self._weights)
        return metrics


def gaussian_log_prob(
    action: tf.Tensor, mean: tf.Tensor, log_std: tf.Tensor
) -> tf.Tensor:
    """Log densities `[B]` of actions `[B, A]` under independent normal components."""
    standard = (action - mean) * tf.exp(-log_std)
    return -tf.reduce_sum(
        0.5 * tf.square(standard) + log_std + 0.5 * _LOG_TWO_PI, axis=-1
    )


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
