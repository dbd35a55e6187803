"""`Stage`, what one step of the method learns, and `Policy`, what a rollout runs."""

import abc
import dataclasses
from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf

from pdtla import specs

Batch = Mapping[str, tf.Tensor]
Scalars = dict[str, tf.Tensor]
State = dict[str, Any]


class Policy(abc.ABC):
    """Maps observations to actions for a batch of environments.

    A policy is pure: histories, caches and random seeds travel in `state`, so one
    policy object serves any number of environments and compiles to one step.

    Attributes:
      jit_compile: whether that step gains by XLA.
    """

    jit_compile: bool = False

    @abc.abstractmethod
    def initial_state(self, batch_size: int, seed: int = 0) -> State:
        """The state before the first observation, every leaf `[B, ...]`."""

    @abc.abstractmethod
    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        """Acts once.

        Args:
          observation: `[B, ...]`, as the environment gives it (uint8 for images).
          is_first: bool `[B]`, whether the observation begins an episode; the policy
            forgets what came before it in those rows.
          state: what the last call returned.

        Returns:
          The actions, int32 `[B]` or float32 `[B, A]`, and the next state.
        """

    def receive(self, reward: tf.Tensor, state: State) -> State:
        """Takes the reward of the last action, before the next step.

        Args:
          reward: float32 `[B]`, raw; where an episode just ended, its last.
          state: what the last step returned.

        Returns:
          The state to go on with; most policies do not look at rewards.
        """
        del reward
        return state

    def with_prompt(self, state: State, prompt: Batch) -> State:
        """Shows demonstrations before the first step; they are never forgotten.

        Args:
          state: the initial state.
          prompt: what the dataset gives under `specs.PROMPT`, `[B, P, ...]`.

        Raises:
          ValueError: the policy knows nothing of prompts.
        """
        del state, prompt
        raise ValueError(f"{type(self).__name__} takes no prompt.")


class Stage(keras.layers.Layer, abc.ABC):
    """A training objective over the modules it learns.

    `build` creates every variable; it runs inside the strategy's scope and before any
    checkpoint is restored. `call` is what the trainer differentiates.
    """

    @abc.abstractmethod
    def build(self, element_spec: specs.ElementSpec) -> None:
        """Creates all variables for batches of this spec.

        Raises:
          ValueError: a field the stage needs is missing or has the wrong shape.
        """

    @abc.abstractmethod
    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        """Computes losses and metrics of one replica's batch.

        Returns:
          Losses, already weighted, whose sum is minimised, and metrics; both are means
          over the valid elements of the batch, as float32 scalars.
        """

    @abc.abstractmethod
    def modules(self) -> dict[str, keras.layers.Layer]:
        """The parts that later stages load, by name (`idm`, `vq`, `fdm`, ...)."""

    def policy(self, greedy: bool = True) -> Policy | None:
        """The policy that rollouts run, or None where the stage does not act.

        Args:
          greedy: take the most likely action rather than sample one.
        """
        del greedy
        return None

    def images(self, batch: Batch) -> dict[str, tf.Tensor]:
        """Pictures of one batch for TensorBoard, uint8 `[N, H, W, 3]` by name."""
        del batch
        return {}


def require_fields(element_spec: specs.ElementSpec, *names: str) -> None:
    """Raises a `ValueError` that names the fields a stage needs but will not get."""
    missing = [name for name in names if name not in element_spec]
    if missing:
        raise ValueError(
            f"The dataset gives the fields {sorted(element_spec)}; "
            f"this stage also needs {missing}."
        )


def action_spec(element_spec: specs.ElementSpec) -> specs.ArraySpec:
    """The spec of one action of a dataset, without time.

    Raises:
      ValueError: the dataset gives no actions.
    """
    require_fields(element_spec, specs.ACTION)
    spec = element_spec[specs.ACTION]
    return dataclasses.replace(spec, shape=spec.shape[1:])
