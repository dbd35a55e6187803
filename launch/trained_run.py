"""A trained run, rebuilt from its workdir to be evaluated."""

import pathlib
from typing import Any, NamedTuple

import gin
import keras

from pdtla import stage as stage_lib
from pdtla.rollouts import evaluator as evaluator_lib
from pdtla.training import checkpoints, configs, parameter_group
from pdtla.training import train as train_lib


class Run(NamedTuple):
    """A trained stage and the configuration it was trained with.

    Attributes:
      stage: with the weights of the last checkpoint.
      step: the update they come from.
      settings: the arguments of `train`.
    """

    stage: stage_lib.Stage
    step: int
    settings: dict[str, Any]


def load_run(run: str, files: list[str], bindings: list[str]) -> Run:
    """Rebuilds the stage of a run and restores its last checkpoint.

    Args:
      run: workdir of the run.
      files: gin files that replace parts of the run's configuration.
      bindings: bindings that do.

    Raises:
      ConfigError: there is no such run, or none that can be restored.
    """
    config = pathlib.Path(run) / "config.gin"
    if not config.is_file():
        raise configs.ConfigError(f"{run} is not the workdir of a run: no config.gin.")
    configs.parse_gin(
        [str(config), *files], bindings, roots=[train_lib.train], base_file=None
    )
    settings = gin.get_bindings(train_lib.train)
    keras.config.set_dtype_policy(settings["precision"])
    stage = settings["stage"]()
    stage.build(settings["dataset"]().element_spec)
    groups = parameter_group.make_groups(
        stage, settings["optimizer"](), settings.get("own_optimizers", ())
    )
    checkpointer = checkpoints.Checkpointer(
        pathlib.Path(run) / "checkpoints", stage, [group.optimizer for group in groups]
    )
    if checkpointer.restore_latest() is None:
        raise configs.ConfigError(f"The run {run} has no checkpoint yet.")
    return Run(stage, int(groups[0].optimizer.iterations.numpy()), settings)


def make_evaluator(run: Run, **overrides: Any) -> evaluator_lib.Evaluator:
    """The evaluator of the run's configuration; overrides that are None do nothing.

    Raises:
      ConfigError: the run has no evaluator, or its stage does not act.
    """
    factory = run.settings.get("evaluator")
    if factory is None:
        raise configs.ConfigError(
            "The run has no EVALUATOR; give the file that has one, for instance "
            "--gin_file=gin/envs/procgen.gin."
        )
    if run.stage.policy() is None:
        raise configs.ConfigError(
            f"A {type(run.stage).__name__} without a policy can't be rolled out."
        )
    given = {name: value for name, value in overrides.items() if value is not None}
    return factory(**given)
