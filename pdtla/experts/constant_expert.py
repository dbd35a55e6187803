"""`ConstantExpert`, one action for ever: the baseline that needs no eyes."""

import numpy as np

from pdtla.environments import procgen, vector_environment
from pdtla.experts import expert


class ConstantExpert(expert.Expert):
    """Always takes the same action.

    Args:
      action: 0 to 14.
    """

    def __init__(self, action: int):
        self.name = f"constant_{action}"
        self.action = action

    def act(
        self, env: procgen.Procgen, timestep: vector_environment.TimeStep
    ) -> np.ndarray:
        del timestep
        return np.full(env.num_envs, self.action, np.int32)
