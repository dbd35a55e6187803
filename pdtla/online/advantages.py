"""Advantages of actions, estimated from what followed them."""

from typing import NamedTuple

import numpy as np


class Advantages(NamedTuple):
    """Float32 arrays `[T, N]`.

    Attributes:
      advantage: how much more than expected an action brought.
      target: what the value of its observation should have been.
    """

    advantage: np.ndarray
    target: np.ndarray


def generalized_advantages(
    reward: np.ndarray,
    value: np.ndarray,
    last_value: np.ndarray,
    ended: np.ndarray,
    truncated: np.ndarray,
    *,
    discount: float,
    trace: float,
) -> Advantages:
    """Estimates of Schulman et al. 2016 (arXiv 1506.02438, equation 16).

    Environments do not show the observation that an episode is cut at. There the value
    of the observation before stands in for it, one step of discounting apart, so that
    the step limit does not read as a failure.

    Args:
      reward: of the action at each step, `[T, N]`.
      value: estimated for the observation at each step, `[T, N]`.
      last_value: for the observation behind the last step, `[N]`.
      ended: whether the action ended its episode, bool `[T, N]`.
      truncated: whether it did so by a step limit alone, bool `[T, N]`.
      discount: gamma, of rewards.
      trace: lambda, of the estimators that are averaged.
    """
    following = np.concatenate([value[1:], last_value[None]])
    following = np.where(ended, np.where(truncated, value, 0.0), following)
    error = reward + discount * following - value
    advantage = np.zeros_like(error)
    carried = np.zeros_like(last_value)
    for step in reversed(range(len(reward))):
        carried = error[step] + discount * trace * ~ended[step] * carried
        advantage[step] = carried
    return Advantages(
        advantage.astype(np.float32), (advantage + value).astype(np.float32)
    )
