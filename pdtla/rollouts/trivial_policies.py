"""Policies that need no learning: what every result has to beat."""

import abc
from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

from pdtla import specs
from pdtla.environments.vector_environment import VectorEnvironment
from pdtla.rollouts.rollout import rollout
from pdtla.stage import Policy, State


class _Random(Policy):
    """Draws actions from a generator that is seeded by the state."""

    def initial_state(self, batch_size: int, seed: int = 0) -> State:
        """Seed and step counter, int32 `[B, 2]`, equal in all rows."""
        return {"seed": tf.tile(tf.constant([[seed, 0]]), [batch_size, 1])}

    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        """See `Policy`."""
        del observation
        actions = self._draw(tf.shape(is_first)[0], state["seed"][0])
        return actions, {"seed": state["seed"] + [[0, 1]]}

    @abc.abstractmethod
    def _draw(self, batch_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        """Actions `[B]` or `[B, A]`."""


class UniformRandom(_Random):
    """Uniform over the categories, or over the box, of an action spec.

    Args:
      action_spec: discrete, or with a minimum and a maximum.

    Raises:
      ValueError: the spec is neither.
    """

    def __init__(self, action_spec: specs.ArraySpec):
        bounds = (action_spec.minimum, action_spec.maximum)
        if not action_spec.is_discrete and None in bounds:
            raise ValueError(f"Uniform actions need a bounded spec, got {action_spec}.")
        self.action_spec = action_spec

    def _draw(self, batch_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = [batch_size, *self.action_spec.shape]
        if self.action_spec.is_discrete:
            return tf.random.stateless_uniform(
                shape, seed, 0, self.action_spec.num_values, tf.int32
            )
        return tf.random.stateless_uniform(
            shape, seed, self.action_spec.minimum, self.action_spec.maximum
        )


class ActionMarginal(_Random):
    """Samples each action independently of the observation.

    With the action frequencies of a dataset as probabilities this is the best guess
    of somebody who has seen the actions but never an observation.

    Args:
      probabilities: `[A]`, non-negative, summing to one.

    Raises:
      ValueError: the probabilities are negative or do not sum to one.
    """

    def __init__(self, probabilities: Sequence[float]):
        self.probabilities = np.asarray(probabilities, np.float32)
        total = float(self.probabilities.sum())
        if self.probabilities.min() < 0 or abs(total - 1.0) > 1e-4:
            raise ValueError(
                "Action probabilities must be non-negative and sum to 1, got "
                f"minimum {self.probabilities.min():.4g} and sum {total:.4g}."
            )

    @classmethod
    def of_actions(cls, actions: np.ndarray, num_values: int) -> "ActionMarginal":
        """The marginal of a set of actions, int `[...]` in `[0, num_values)`."""
        counts = np.bincount(np.ravel(actions), minlength=num_values)
        return cls(counts / counts.sum())

    def _draw(self, batch_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        logits = tf.math.log(self.probabilities)[None]  # [1, A]
        return tf.random.stateless_categorical(logits, batch_size, seed, tf.int32)[0]


class ActionSample(_Random):
    """Draws whole actions from a dataset's, with replacement: its action marginal.

    Args:
      actions: float `[..., A]`.

    Raises:
      ValueError: there are no actions.
    """

    def __init__(self, actions: np.ndarray):
        actions = np.asarray(actions, np.float32)
        if actions.ndim < 2 or not actions.size:
            raise ValueError(
                f"Sampled actions must be floats [..., A], got {actions.shape}."
            )
        self.actions = actions.reshape(-1, actions.shape[-1])

    def _draw(self, batch_size: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        rows = tf.random.stateless_uniform(
            [batch_size], seed, 0, len(self.actions), tf.int32
        )
        return tf.gather(self.actions, rows)


class Constant(Policy):
    """Always takes the same action, int or float `[A]`."""

    def __init__(self, action: int | Sequence[float]):
        self.action = np.asarray(action)
        kind = np.int32 if self.action.dtype.kind in "iu" else np.float32
        self.action = self.action.astype(kind)

    def initial_state(self, batch_size: int, seed: int = 0) -> State:
        """See `Policy`."""
        return {}

    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        """See `Policy`."""
        del observation
        shape = [tf.shape(is_first)[0], *self.action.shape]
        return tf.broadcast_to(self.action, shape), state


def action_marginal(action_spec: specs.ArraySpec, actions: np.ndarray) -> Policy:
    """The policy that acts as a dataset does, whatever it sees.

    Args:
      action_spec: of one action.
      actions: the dataset's, int `[...]` or float `[..., A]`.
    """
    if action_spec.is_discrete:
        return ActionMarginal.of_actions(actions, action_spec.num_values)
    return ActionSample(actions)


def constant_actions(
    action_spec: specs.ArraySpec, actions: np.ndarray
) -> tuple[int | np.ndarray, ...]:
    """The constants worth a try: all categories, or zero and the mean of a dataset.

    Args:
      action_spec: of one action.
      actions: the dataset's, float `[..., A]`; not read if actions are categories.
    """
    if action_spec.is_discrete:
        return tuple(range(action_spec.num_values))
    actions = np.asarray(actions, np.float64)
    mean = actions.mean(axis=tuple(range(actions.ndim - 1)))
    return np.zeros(action_spec.shape, np.float32), mean.astype(np.float32)


def best_constant_action(
    make_env: Callable[[], VectorEnvironment],
    candidates: Sequence[int | np.ndarray] | None = None,
    *,
    episodes_per_slot: int = 1,
    max_steps: int | None = None,
) -> tuple[int | np.ndarray, np.ndarray]:
    """Finds the constant action of highest mean return.

    Search on the training levels and report the action found on the evaluation levels:
    the best of many returns on the levels that are reported is biased upwards.

    Args:
      make_env: makes the environment; each action is tried in a fresh one, hence on
        the same levels.
      candidates: the actions to try, e.g. `constant_actions`; by default all
        categories.
      episodes_per_slot: episodes that count in each slot.
      max_steps: cap on the steps of one episode.

    Returns:
      The best action and the mean return of every candidate.

    Raises:
      ValueError: actions are no categories, and there are no candidates.
    """
    if candidates is None:
        spec = make_env().action_spec
        if not spec.is_discrete:
            raise ValueError(f"Constants to try must be given for actions {spec}.")
        candidates = range(spec.num_values)
    means = np.array(
        [
            rollout(
                make_env(),
                Constant(candidate),
                episodes_per_slot=episodes_per_slot,
                max_steps=max_steps,
            ).returns.mean()
            for candidate in candidates
        ]
    )
    return candidates[int(means.argmax())], means
