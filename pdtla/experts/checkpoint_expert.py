"""`CheckpointExpert`, a policy that this project trained."""

import numpy as np
import tensorflow as tf

from pdtla import stage
from pdtla.environments import procgen, vector_environment
from pdtla.experts import expert


class CheckpointExpert(expert.Expert):
    """Lets a policy act on the frames; it forgets where new episodes begin.

    Args:
      policy: what `Stage.policy` returns.
      name: short name for metadata, e.g. the run that the policy is from.
      seed: seeds policies that sample.
    """

    def __init__(
        self, policy: stage.Policy, name: str = "checkpoint_expert", seed: int = 0
    ):
        self.name = name
        self._policy = policy
        self._seed = seed
        self._state: stage.State | None = None
        self._step = tf.function(policy.step)

    def act(
        self, env: procgen.Procgen, timestep: vector_environment.TimeStep
    ) -> np.ndarray:
        if self._state is None:
            self._state = self._policy.initial_state(env.num_envs, self._seed)
        actions, self._state = self._step(
            tf.constant(timestep.observation), tf.constant(timestep.first), self._state
        )
        return actions.numpy().astype(np.int32)
