"""Reads Minari datasets of the local storage."""

import functools
from collections.abc import Iterator, Sequence

import gymnasium
import minari
import numpy as np

from pdtla import specs
from pdtla.datasets import imported_dataset, rlds_reader
from pdtla.experts import collect

DATASET_NAME = "minari"
_NO_LEVEL = -1


def minari_dataset(
    *, minari_id: str, observation_keys: Sequence[str] = ()
) -> imported_dataset.ImportedDataset:
    """The dataset `minari/<id>`, the id with `-` in place of `/`.

    Minari keeps the observation after the last action. It becomes a last step of its
    own, whose action and reward are 0 and not valid.

    Args:
      minari_id: of a dataset in Minari's local storage.
      observation_keys: for observations that are dicts, the paths of those to take, as
        `achieved_goal`; several are joined into a vector.

    Raises:
      FileNotFoundError: no such dataset.
      ValueError: spaces that are not arrays.
    """
    try:
        dataset = minari.load_dataset(minari_id, download=False)
    except (FileNotFoundError, ValueError, ImportError) as error:
        raise FileNotFoundError(
            f"Minari cannot open {minari_id!r} ({str(error).splitlines()[0]}); "
            f"it has {sorted(minari.list_local_datasets())}."
        ) from None
    spaces = [_choose(dataset.observation_space, key) for key in observation_keys]
    return imported_dataset.ImportedDataset(
        name=f"{DATASET_NAME}/{minari_id.replace('/', '-')}",
        observation=_observation_spec(spaces or [dataset.observation_space]),
        action=_action_spec(dataset.action_space),
        splits={
            "train": functools.partial(_episodes, dataset, tuple(observation_keys))
        },
        metadata={
            "env_id": dataset.env_spec.id if dataset.env_spec else minari_id,
            "minari_id": minari_id,
            rlds_reader.LAST_STEP_VALID: False,
        },
        description=f"Imported from Minari: {minari_id}.",
    )


def _episodes(
    dataset: minari.MinariDataset, keys: tuple[str, ...]
) -> Iterator[collect.Episode]:
    for episode in dataset.iterate_episodes():
        parts = [_choose(episode.observations, key) for key in keys]
        parts = parts or [episode.observations]
        if len(parts) > 1:
            parts = [
                np.concatenate([part.reshape(len(part), -1) for part in parts], axis=-1)
            ]
        action = np.asarray(episode.actions)
        nothing = np.zeros((1, *action.shape[1:]), action.dtype)
        yield collect.Episode(
            observation=parts[0],
            action=np.concatenate([action, nothing]),
            reward=np.append(episode.rewards, 0.0).astype(np.float32),
            terminal=bool(episode.terminations[-1]),
            level_seed=_NO_LEVEL,
            episode_return=float(np.sum(episode.rewards, dtype=np.float64)),
        )


def _choose(
    tree: gymnasium.Space | np.ndarray | dict, path: str
) -> gymnasium.Space | np.ndarray | dict:
    """The space or the array at a path of nested dicts."""
    for key in path.split("/"):
        # Of a space, `in` asks for its points.
        nested = isinstance(tree, dict | gymnasium.spaces.Dict)
        keys = sorted(tree.keys()) if nested else []
        if key not in keys:
            raise ValueError(
                f"observation_keys must name some of {keys}, got {path!r}."
            )
        tree = tree[key]
    return tree


def _observation_spec(spaces: Sequence[gymnasium.Space]) -> specs.ArraySpec:
    for space in spaces:
        if not isinstance(space, gymnasium.spaces.Box):
            raise ValueError(
                f"Observations must be arrays, got {space}; observation_keys choose "
                "from a dict."
            )
    if len(spaces) > 1:
        return specs.ArraySpec((sum(int(np.prod(s.shape)) for s in spaces),), "float32")
    dtype = "uint8" if spaces[0].dtype == np.uint8 else "float32"
    return specs.ArraySpec(spaces[0].shape, dtype)


def _action_spec(space: gymnasium.Space) -> specs.ArraySpec:
    if isinstance(space, gymnasium.spaces.Discrete):
        if space.start:
            raise ValueError(f"Actions must start at 0, got {space}.")
        return specs.ArraySpec((), "int32", num_values=int(space.n))
    if isinstance(space, gymnasium.spaces.Box) and len(space.shape) == 1:
        low, high = float(space.low.min()), float(space.high.max())
        return specs.ArraySpec(space.shape, "float32", minimum=low, maximum=high)
    raise ValueError(f"Actions must be Discrete or a Box of vectors, got {space}.")
