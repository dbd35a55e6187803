"""`LocomotionGoals`, what the levels of a family of tasks ask of one body."""

import abc

import numpy as np

# Of the golden ratio; its multiples modulo 1 spread evenly over any run of levels.
_STEP = 0.6180339887498949


class LocomotionGoals(abc.ABC):
    """A goal for each level, which the reward knows and the observation does not."""

    @abc.abstractmethod
    def of_levels(self, levels: np.ndarray) -> np.ndarray:
        """The goals of levels, float64 of the same shape."""

    @abc.abstractmethod
    def reward(self, velocity: np.ndarray, goals: np.ndarray) -> np.ndarray:
        """Rewards without what actions cost, `[N]`.

        Args:
          velocity: mean forward velocity during the step, `[N]`.
          goals: `[N]`.
        """

    def beside(self, observation: np.ndarray, levels: np.ndarray) -> np.ndarray:
        """Observations with the goal as one more component, for experts.

        Args:
          observation: float32 `[N, D]`.
          levels: `[N]`.

        Returns:
          float32 `[N, D + 1]`.
        """
        goals = self.of_levels(levels)[:, None].astype(np.float32)
        return np.concatenate([observation, goals], axis=1)


class VelocityGoals(LocomotionGoals):
    """Run at a velocity: the reward is minus the distance from it.

    The levels' velocities spread evenly over the range, those of any consecutive
    levels, so that tasks held out lie between tasks trained on.

    Args:
      low: in m/s.
      high: in m/s.
    """

    def __init__(self, low: float, high: float):
        self._low, self._high = low, high

    def of_levels(self, levels: np.ndarray) -> np.ndarray:
        share = (0.5 + np.asarray(levels, np.float64) * _STEP) % 1.0
        return self._low + (self._high - self._low) * share

    def reward(self, velocity: np.ndarray, goals: np.ndarray) -> np.ndarray:
        return -np.abs(velocity - goals)


class DirectionGoals(LocomotionGoals):
    """Run forward on even levels (goal 1), backward on odd ones (goal -1)."""

    def of_levels(self, levels: np.ndarray) -> np.ndarray:
        return 1.0 - 2.0 * (np.asarray(levels) % 2)

    def reward(self, velocity: np.ndarray, goals: np.ndarray) -> np.ndarray:
        return velocity * goals
