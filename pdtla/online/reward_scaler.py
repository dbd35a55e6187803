"""`RewardScaler`, rewards in units of the deviation of the return."""

import numpy as np


class RewardScaler:
    """Divides rewards by the standard deviation of the discounted sums seen so far.

    Values are then of order one in every environment. The mean is left alone, for it
    may be what tells good from bad (Engstrom et al. 2020, arXiv 2005.12729, section 3).

    Args:
      num_envs: number of environments N.
      discount: of the sums.
      limit: bound on the absolute value of scaled rewards.
    """

    def __init__(self, num_envs: int, discount: float, limit: float = 10.0):
        self._discount = discount
        self._limit = limit
        self._running = np.zeros(num_envs)
        self._mean, self._variance, self._count = 0.0, 1.0, 0

    def __call__(self, reward: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """Takes rewards into the statistics and scales them.

        Args:
          reward: `[T, N]`, steps that follow those of the last call.
          ended: whether a step ended its episode, bool `[T, N]`.

        Returns:
          float32 `[T, N]`.
        """
        sums = np.empty(reward.shape)
        for step, now in enumerate(reward):
            self._running = self._discount * self._running + now
            sums[step] = self._running
            self._running = np.where(ended[step], 0.0, self._running)
        self._include(sums)
        scaled = reward / np.sqrt(self._variance + 1e-8)
        return np.clip(scaled, -self._limit, self._limit).astype(np.float32)

    def get_state(self) -> dict:
        """All that decides the next results, for `set_state`."""
        return {name: np.copy(value) for name, value in vars(self).items()}

    def set_state(self, state: dict) -> None:
        """Goes on from where `get_state` was called."""
        vars(self).update(state)

    def _include(self, sums: np.ndarray) -> None:
        share = sums.size / (self._count + sums.size)
        shift = sums.mean() - self._mean
        within = self._variance + share * (sums.var() - self._variance)
        self._variance = within + share * (1.0 - share) * shift**2
        self._mean += share * shift
        self._count += sums.size
