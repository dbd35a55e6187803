"""`Action`, the interface of what happens between updates."""

import abc
import math


class Action(abc.ABC):
    """Acts after updates whose number is a multiple of an interval, and the last one.

    Args:
      intervals: numbers of updates; 0 stands for never before the last one.

    Raises:
      ValueError: an interval is negative.
    """

    def __init__(self, *intervals: int):
        if any(interval < 0 for interval in intervals):
            raise ValueError(f"Intervals must be at least 0, got {intervals}.")
        self.intervals = tuple(interval for interval in intervals if interval)

    def is_due(self, step: int) -> bool:
        """Whether the action acts after update number `step`."""
        return any(step % interval == 0 for interval in self.intervals)

    def next_step(self, step: int) -> float:
        """The first update after `step` at which the action is due, maybe infinity."""
        following = ((step // every + 1) * every for every in self.intervals)
        return min(following, default=math.inf)

    def observe(self, scalars: dict[str, float], num_steps: int) -> None:
        """Takes note of the updates that one call of the compiled loop made.

        Args:
          scalars: means over these updates.
          num_steps: number of these updates.
        """
        del scalars, num_steps

    def stop(self, step: int) -> None:  # noqa: B027
        """Acts where the run stops after update `step`, at which it is not due."""

    @abc.abstractmethod
    def run(self, step: int) -> None:
        """Acts after update number `step`."""
