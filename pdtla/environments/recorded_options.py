"""The options of an environment that the metadata of datasets built here tell."""

from collections.abc import Mapping
from typing import Any

from pdtla.environments import procgen
from pdtla.environments.vector_environment import VectorEnvironment

# Names in the metadata, and of the environments' attributes.
_OPTIONS = (
    "env_id",
    "distribution_mode",
    "use_backgrounds",
    "restrict_themes",
    "max_episode_steps",
    "end_on_success",
    "images",
)
_OF_IMAGES = ("camera",)


def is_recorded(metadata: Mapping[str, Any]) -> bool:
    """Whether a dataset was built here: others name their environments otherwise."""
    return "pdtla_version" in metadata


def differences(metadata: Mapping[str, Any], env: VectorEnvironment) -> str:
    """How an environment differs from that of a dataset, "" if it does not.

    Options that either does not have are not compared.

    Args:
      metadata: of the dataset.
      env: the environment, or several alike.
    """
    names = _OPTIONS + (_OF_IMAGES if metadata.get("images") else ())
    recorded = {name: metadata[name] for name in names if name in metadata}
    if "max_episode_steps" in recorded and isinstance(env, procgen.Procgen):
        limit = recorded["max_episode_steps"]  # None, or more than the game allows
        recorded["max_episode_steps"] = env.step_limit(limit)
    return ", ".join(
        f"{name}={getattr(env, name)!r} (not {value!r})"
        for name, value in recorded.items()
        if getattr(env, name, value) != value
    )
