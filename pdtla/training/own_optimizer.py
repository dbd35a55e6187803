"""`OwnOptimizer`: a module of a stage under an optimizer of its own."""

import dataclasses
from collections.abc import Callable

import keras


@dataclasses.dataclass(frozen=True)
class OwnOptimizer:
    """Takes the variables of one module away from the optimizer of the others.

    A parameter group: one loss trains all variables, its gradients are computed once;
    what differs is who applies them, how often, and clipped by which norm. (CLAM's code
    trains its action decoder so, arXiv 2505.04999.)

    Attributes:
      module: name in `stage.modules()`.
      optimizer: makes the optimizer; its schedule counts the updates that it makes.
      every: it acts in updates 0, `every`, 2 `every`, ...; between them the module
        rests: neither momentum nor weight decay moves it.

    Raises:
      ValueError: `every` is no integer of at least 1.
    """

    module: str
    optimizer: Callable[[], keras.optimizers.Optimizer]
    every: int = 1

    def __post_init__(self):
        if not isinstance(self.every, int) or self.every < 1:
            raise ValueError(
                f"every must be an integer of at least 1, got {self.every!r}."
            )
