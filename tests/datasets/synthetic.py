"""Datasets whose frames and actions encode which step they are."""

import pathlib

import numpy as np

from pdtla import specs
from pdtla.datasets import rlds_reader, rlds_writer
from pdtla.experts import collect

NAME = "synthetic"
SHAPE = (4, 4, 3)
ACTIONS = 15


def frame(episode: int, t: int) -> np.ndarray:
    """Carries the episode in one channel and the step in another."""
    image = np.zeros(SHAPE, np.uint8)
    image[..., 0], image[..., 1] = episode, t
    return image


def make_episode(number: int, length: int, level: int | None = None) -> collect.Episode:
    steps = np.arange(length)
    return collect.Episode(
        observation=np.stack([frame(number, t) for t in steps]),
        action=((7 * number + steps) % ACTIONS).astype(np.int32),
        reward=(100 * number + steps).astype(np.float32),
        terminal=number % 2 == 0,
        level_seed=1000 + number if level is None else level,
        episode_return=float(np.sum(100 * number + steps)),
    )


def write(
    data_dir: str | pathlib.Path,
    lengths: list[int],
    num_shards: int = 2,
    levels: list[int] | None = None,
    name: str = NAME,
) -> pathlib.Path:
    """Writes a dataset with episodes of these lengths, returns its directory."""
    directory = pathlib.Path(data_dir) / name / "1.0.0"
    directory.mkdir(parents=True)
    parts = np.array_split(np.arange(len(lengths)), num_shards)
    counts = [len(part) for part in parts]
    paths = rlds_writer.split_info(directory, name, "train", counts).filepaths
    for path, part in zip(paths, parts, strict=True):
        rlds_writer.write_shard(
            path,
            (
                (f"e{n}", make_episode(n, lengths[n], levels[n] if levels else None))
                for n in part
            ),
        )
    rlds_writer.write_metadata(
        directory,
        rlds_writer.episode_features(
            specs.ArraySpec(SHAPE, "uint8"),
            specs.ArraySpec((), "int32", num_values=ACTIONS),
        ),
        [rlds_writer.split_info(directory, name, "train", counts)],
        {"made_by": "tests"},
        "Frames that encode their own index.",
    )
    return directory


def reader(data_dir: str | pathlib.Path, **kwargs) -> rlds_reader.RldsReader:
    kwargs = {"dataset_name": NAME, **kwargs}
    return rlds_reader.RldsReader(data_dir=str(data_dir), **kwargs)


def write_states(
    data_dir: str | pathlib.Path, lengths: list[int], poison: int | None = None
) -> dict[str, np.ndarray]:
    """Writes a dataset of states and continuous actions, returns all its steps.

    States are drawn with a mean and a spread of their own in two components; the third
    is 5 throughout. Episodes from number `poison` on are far from the others.
    """
    directory = pathlib.Path(data_dir) / NAME / "1.0.0"
    directory.mkdir(parents=True)
    rng = np.random.default_rng(0)
    episodes = []
    for number, length in enumerate(lengths):
        state = rng.standard_normal((length, 3)) * (2, 0.1, 0) + (100, -1, 5)
        if poison is not None and number >= poison:
            state *= 1e6
        episodes.append(
            collect.Episode(
                observation=state.astype(np.float32),
                action=rng.uniform(-1, 1, (length, 2)).astype(np.float32),
                reward=np.zeros(length, np.float32),
                terminal=True,
                level_seed=number,
                episode_return=0.0,
            )
        )
    info = rlds_writer.split_info(directory, NAME, "train", [len(lengths)])
    rlds_writer.write_shard(
        info.filepaths[0], ((f"e{n}", episode) for n, episode in enumerate(episodes))
    )
    rlds_writer.write_metadata(
        directory,
        rlds_writer.episode_features(
            specs.ArraySpec((3,), "float32"), specs.ArraySpec((2,), "float32")
        ),
        [rlds_writer.split_info(directory, NAME, "train", [len(lengths)])],
        {},
        "States.",
    )
    return {
        field: np.concatenate([getattr(each, field) for each in episodes])
        for field in (specs.OBSERVATION, specs.ACTION)
    }
