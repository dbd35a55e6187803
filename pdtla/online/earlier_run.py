"""Modules of earlier runs that a latent agent starts from."""

import pathlib

from pdtla import specs
from pdtla.analysis import results as results_lib
from pdtla.environments import names
from pdtla.layers import latent_decoder, module_io, observation_network
from pdtla.policies import latent_behavioral_cloning

# Of the specs of actions, what a decoder and an environment must agree in.
_SHARED = ("shape", "num_values", "minimum", "maximum")


def load_trunk(
    run: str, env_id: str, observation_spec: specs.ArraySpec
) -> observation_network.ObservationNetwork:
    """The latent policy of a finished run of stage la_bc.

    Raises:
      ValueError: the run is unfinished, of another stage or of another environment, or
        its policy takes other observations.
    """
    stage = latent_behavioral_cloning.LatentBehavioralCloning.__name__
    found = _read_results(run, env_id)["stage"]
    if found != stage:
        raise ValueError(
            f"START_RUN must be a run of stage la_bc ({stage}); {run} is of {found}."
        )
    trunk = module_io.load_module(f"{run}/modules/policy")
    shape = tuple(trunk.get_build_config()["input_shape"])
    if shape[1:] != (1, *observation_spec.shape):
        raise ValueError(
            f"The policy of {run} takes windows of shape {shape[1:]}; {env_id} shows "
            f"{observation_spec.shape}."
        )
    return trunk


def load_head(
    run: str, env_id: str, latent_dim: int, action_spec: specs.ArraySpec
) -> latent_decoder.LatentDecoder:
    """The action decoder of a finished run, to be trained further.

    Raises:
      ValueError: the run is unfinished, has no decoder, is of another environment, or
        its decoder takes other latents or gives other actions.
    """
    _read_results(run, env_id)
    head = latent_behavioral_cloning.load_decoder(run, latent_dim)
    found = head.distribution.action_spec()
    if any(getattr(found, each) != getattr(action_spec, each) for each in _SHARED):
        raise ValueError(
            f"The decoder of {run} gives actions {found}; {env_id} takes {action_spec}."
        )
    head.trainable = True
    return head


def labels(run: str) -> int | None:
    """Labelled steps that a run has seen; None for all there are."""
    return results_lib.read_results(pathlib.Path(run) / results_lib.FILE_NAME)["labels"]


def _read_results(run: str, env_id: str) -> results_lib.Results:
    path = pathlib.Path(run) / results_lib.FILE_NAME
    if not path.is_file():
        raise ValueError(f"{run} is not a finished run: no {path.name}.")
    results = results_lib.read_results(path)
    if _task(results["env_id"]) != _task(env_id):
        raise ValueError(
            f"The run {run} is of {results['env_id']}, this one of {env_id}."
        )
    return results


def _task(env_id: str) -> str:
    """One name for all of a task's."""
    try:
        return names.locomotion(env_id)
    except ValueError:
        return env_id
