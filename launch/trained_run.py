"""A trained run, rebuilt from its workdir to be evaluated."""

import pathlib
from typing import Any, NamedTuple

import gin
import keras

from pdtla import stage as stage_lib
from pdtla.policies import latent_behavioral_cloning
from pdtla.rollouts import evaluator as evaluator_lib
from pdtla.training import checkpoints, configs, parameter_group, set_up, workdir
from pdtla.training import train as train_lib


class Run(NamedTuple):
    """A stage and the configuration it is trained with.

    Attributes:
      stage: built.
      settings: the arguments of `train`.
      dataset: what it was trained on.
      checkpointer: restores its weights.
      iterations: counts the updates that they come from.
    """

    stage: stage_lib.Stage
    settings: dict[str, Any]
    dataset: set_up.Dataset
    checkpointer: checkpoints.Checkpointer
    iterations: keras.Variable

    @property
    def step(self) -> int:
        """The update that the weights come from."""
        return int(self.iterations.numpy())


class Decoded(NamedTuple):
    """A latent policy that acts through the decoder of another run.

    Attributes:
      stage: a latent policy.
      decoder: its decoder.
    """

    stage: latent_behavioral_cloning.LatentBehavioralCloning
    decoder: keras.layers.Layer

    def policy(self, greedy: bool = True) -> stage_lib.Policy:
        """The latent policy's."""
        return self.stage.policy(greedy, self.decoder)


def with_decoder(run: Run, decoder_run: str) -> Run:
    """The run of a latent policy, acting through the decoder of another run.

    Raises:
      ConfigError: its policy is no latent one.
      ValueError: there is no such decoder, or it is of other latents.
    """
    if not isinstance(run.stage, latent_behavioral_cloning.LatentBehavioralCloning):
        raise configs.ConfigError(
            "--decoder_run is for a latent policy (la_bc), the run has a "
            f"{type(run.stage).__name__}."
        )
    decoder = latent_behavioral_cloning.load_decoder(
        decoder_run, run.stage.network.output_dim
    )
    return run._replace(stage=Decoded(run.stage, decoder))


def load_run(run: str, files: list[str], bindings: list[str]) -> Run:
    """Rebuilds the stage of a run and restores its last checkpoint.

    Args:
      run: workdir of the run.
      files: gin files that replace parts of the run's configuration.
      bindings: bindings that do.

    Raises:
      ConfigError: there is no such run, or none that can be restored.
    """
    return restore_latest(build_run(run, read_settings(run, files, bindings)))


def read_settings(run: str, files: list[str], bindings: list[str]) -> dict[str, Any]:
    """The arguments of `train` that a run was given; see `load_run`."""
    config = pathlib.Path(run) / "config.gin"
    if not config.is_file():
        raise configs.ConfigError(f"{run} is not the workdir of a run: no config.gin.")
    configs.parse_gin(
        [str(config), *files], bindings, roots=[train_lib.train], base_file=None
    )
    return gin.get_bindings(train_lib.train)


def build_run(run: str, settings: dict[str, Any]) -> Run:
    """Rebuilds the stage of a run, with fresh weights.

    Raises:
      ConfigError: it would see its observations, or scale its actions, otherwise.
    """
    keras.config.set_dtype_policy(settings["precision"])
    stage = settings["stage"]()
    dataset = settings["dataset"]()
    facts = workdir.data_facts(dataset.fingerprint, dataset.element_spec)
    workdir.check_data(pathlib.Path(run), facts, resumes=False)
    stage.build(dataset.element_spec)
    groups = parameter_group.make_groups(
        stage, settings["optimizer"](), settings.get("own_optimizers", ())
    )
    checkpointer = checkpoints.Checkpointer(
        pathlib.Path(run) / "checkpoints", stage, [group.optimizer for group in groups]
    )
    iterations = groups[0].optimizer.iterations
    return Run(stage, settings, dataset, checkpointer, iterations)


def restore_latest(run: Run) -> Run:
    """Restores the last checkpoint of a rebuilt run.

    Raises:
      ConfigError: there is none yet.
      ValueError: there are, but none can be restored.
    """
    if run.checkpointer.restore_latest() is None:
        raise configs.ConfigError(
            f"The run has no checkpoint yet: {run.checkpointer.directory}."
        )
    return run


def make_evaluator(run: Run, **overrides: Any) -> evaluator_lib.Evaluator:
    """The evaluator of the run's configuration; overrides that are None do nothing.

    Raises:
      ConfigError: the run has no evaluator, or its stage does not act.
      ValueError: its environments are not those of the data.
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
    evaluator = factory(**given)
    evaluator.check_data(set_up.metadata_of_data(run.dataset))
    return evaluator
