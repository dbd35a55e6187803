"""`Sink`, a place that the record of a run goes to."""

import abc
from collections.abc import Mapping

import tensorflow as tf

Hyperparameters = Mapping[str, bool | int | float | str]


class Sink(abc.ABC):
    """Receives what a run reports; ignores the kinds it has no place for.

    A sink is made when a run starts and again when it is resumed. Then it must take
    back what was reported after the step it is made for, or bear to get it twice.
    """

    def hyperparameters(self, values: Hyperparameters) -> None:
        """Receives the settings of the run, before anything else."""
        del values

    @abc.abstractmethod
    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        """Receives the scalars of a split after update number `step`."""

    def headline(self, step: int, values: Mapping[str, float]) -> None:
        """Receives the few numbers that runs are compared by."""
        del step, values

    def images(self, step: int, split: str, values: Mapping[str, tf.Tensor]) -> None:
        """Receives uint8 images `[N, H, W, 3]`."""
        del step, split, values

    def gif(self, step: int, split: str, name: str, data: bytes) -> None:
        """Receives an encoded GIF."""
        del step, split, name, data

    def text(self, step: int, split: str, name: str, markdown: str) -> None:
        """Receives a text."""
        del step, split, name, markdown

    def finished(self) -> None:  # noqa: B027
        """Takes note that the run came to its end."""

    @abc.abstractmethod
    def flush(self) -> None:
        """Puts everything on disk, as must be done before a checkpoint."""

    @abc.abstractmethod
    def close(self) -> None:
        """Ends the record of this process."""
