"""`ParameterGroup`: variables that one optimizer trains."""

from collections.abc import Sequence
from typing import NamedTuple

import keras

from pdtla import stage as stage_lib
from pdtla.training.own_optimizer import OwnOptimizer


class ParameterGroup(NamedTuple):
    """Variables that are clipped by one norm and updated by one optimizer.

    Attributes:
      optimizer: built; it must not clip gradients itself.
      variables: what it updates.
      every: it acts in updates 0, `every`, 2 `every`, ...
    """

    optimizer: keras.optimizers.Optimizer
    variables: list[keras.Variable]
    every: int = 1


def make_groups(
    stage: stage_lib.Stage,
    optimizer: keras.optimizers.Optimizer,
    own_optimizers: Sequence[OwnOptimizer] = (),
) -> tuple[ParameterGroup, ...]:
    """Shares the variables of a built stage out and builds the optimizers' slots.

    Returns:
      The group of `optimizer`, which has every variable that no other has and acts in
      every update; then one group for each of `own_optimizers`.

    Raises:
      ValueError: a module is unknown, has no trainable variable that is still free, or
        leaves none to `optimizer`; or an optimizer clips.
    """
    free = {id(variable): variable for variable in stage.trainable_variables}
    own = []
    for each in own_optimizers:
        modules = stage.modules()
        if each.module not in modules:
            raise ValueError(
                f"An optimizer of its own needs a module of the stage, one of "
                f"{sorted(modules)}; got {each.module!r}."
            )
        variables = modules[each.module].trainable_variables
        taken = [free.pop(id(x)) for x in variables if id(x) in free]
        if not taken:
            raise ValueError(
                f"No trainable variable of {each.module!r} is left for an optimizer of "
                "its own."
            )
        own.append(ParameterGroup(each.optimizer(), taken, each.every))
    if own and not free:
        raise ValueError(
            "Own optimizers must leave variables to the stage's optimizer."
        )
    groups = (ParameterGroup(optimizer, list(free.values())), *own)
    for group in groups:
        _check_clipping(group.optimizer)
        group.optimizer.build(group.variables)
    return groups


def _check_clipping(optimizer: keras.optimizers.Optimizer) -> None:
    clipping = [optimizer.clipnorm, optimizer.clipvalue, optimizer.global_clipnorm]
    if any(clipping):
        raise ValueError(
            "The trainer clips gradients (clip_norm); the optimizer must not, "
            f"got clipnorm, clipvalue, global_clipnorm = {clipping}."
        )
