"""`Stepper`: a policy that remembers its state and runs in one compiled step."""

import numpy as np
import tensorflow as tf

from pdtla.environments.vector_environment import TimeStep
from pdtla.stage import Policy, State


class Stepper:
    """Steps a policy from one time step of its environments to the next.

    Where the policy wants XLA, its state lies in variables: what XLA reads and writes
    there, such as a cache, it updates in place. A tensor it would copy at every step.

    Args:
      policy: the policy.
      state: where it begins.
      timestep: of the kind to come, to compile for.
    """

    def __init__(self, policy: Policy, state: State, timestep: TimeStep):
        self._policy = policy
        self._state = state
        seen = _seen(timestep)
        # A concrete function is called without a search for the right one.
        if policy.jit_compile:
            self._state = tf.nest.map_structure(tf.Variable, state)
            step = tf.function(self._step_in_place, jit_compile=True)
            self._step = step.get_concrete_function(*seen)
            self._step(*seen)
            tf.nest.map_structure(lambda v, x: v.assign(x), self._state, state)
        else:
            self._step = tf.function(self._act).get_concrete_function(*seen, state)
            self._step(*seen, state)

    def __call__(self, timestep: TimeStep) -> np.ndarray:
        """The actions at a time step, `[N]` or `[N, A]`."""
        if self._policy.jit_compile:
            return self._step(*_seen(timestep)).numpy()
        actions, self._state = self._step(*_seen(timestep), self._state)
        return actions.numpy()

    def _act(self, observation, reward, is_first, state):
        state = self._policy.receive(reward, state)
        return self._policy.step(observation, is_first, state)

    def _step_in_place(self, observation, reward, is_first):
        state = tf.nest.map_structure(lambda v: v.read_value(), self._state)
        actions, state = self._act(observation, reward, is_first, state)
        tf.nest.map_structure(lambda v, x: v.assign(x), self._state, state)
        return actions


def _seen(timestep: TimeStep) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """What a policy is told of a time step."""
    return (
        tf.convert_to_tensor(timestep.observation),
        tf.convert_to_tensor(timestep.reward),
        tf.convert_to_tensor(timestep.first),
    )
