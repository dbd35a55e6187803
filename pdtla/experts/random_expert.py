"""`RandomExpert`, uniformly random actions."""

import numpy as np

from pdtla.environments import procgen, vector_environment
from pdtla.experts import expert


class RandomExpert(expert.Expert):
    """Draws every action uniformly from all 15, the usual random baseline.

    Args:
      seed: seeds the draws.
    """

    name = "random_expert"

    def __init__(self, seed: int = 0):
        self._rng = np.random.default_rng(seed)

    def reseed(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def act(
        self, env: procgen.Procgen, timestep: vector_environment.TimeStep
    ) -> np.ndarray:
        del timestep
        return self._rng.integers(
            procgen.NUM_ACTIONS, size=env.num_envs, dtype=np.int32
        )
