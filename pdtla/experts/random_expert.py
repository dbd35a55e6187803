"""`RandomExpert`, uniformly random actions."""

import numpy as np

from pdtla.environments import vector_environment
from pdtla.experts import expert


class RandomExpert(expert.Expert):
    """Draws every action uniformly, from all there are or from between their bounds.

    Args:
      seed: seeds the draws.
    """

    name = "random_expert"

    def __init__(self, seed: int = 0):
        self._rng = np.random.default_rng(seed)

    def reseed(self, seed: int) -> None:
        self._rng = np.random.default_rng(seed)

    def act(
        self,
        env: vector_environment.VectorEnvironment,
        timestep: vector_environment.TimeStep,
    ) -> np.ndarray:
        del timestep
        spec = env.action_spec
        if spec.is_discrete:
            return self._rng.integers(
                spec.num_values, size=env.num_envs, dtype=spec.dtype
            )
        shape = (env.num_envs, *spec.shape)
        return self._rng.uniform(spec.minimum, spec.maximum, shape).astype(spec.dtype)
