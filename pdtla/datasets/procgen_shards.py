"""Plays Procgen episodes file by file, each a pure function of its plan."""

import dataclasses
import json
import os
import pathlib
import pickle
from collections.abc import Iterator

import numpy as np

from pdtla.datasets import rlds_writer, worker_pool
from pdtla.environments import levels, procgen
from pdtla.experts import collect, default_expert, expert

_SLOTS = 8
_SPLITS = ("train", "test")


@dataclasses.dataclass(frozen=True)
class ProcgenSettings:
    """What is played and by whom; the metadata of the dataset.

    Attributes:
      env_id: one of the 16 games.
      num_trajs: episodes of the split `train`.
      num_test_trajs: episodes of the split `test`, on other levels.
      distribution_mode: Procgen's difficulty.
      start_level: first level seed of `train`.
      num_levels: number of levels of `train`.
      test_start_level: first level seed of `test`.
      num_test_levels: number of levels of `test`.
      use_backgrounds: whether background images are drawn.
      restrict_themes: whether each kind of object has one image only.
      max_episode_steps: step limit, None for the game's own.
      epsilon: probability of a uniformly random action instead of the expert's.
      seed: seeds levels, noise and the default expert.
    """

    env_id: str
    num_trajs: int = 500
    num_test_trajs: int = 50
    distribution_mode: str = "easy"
    start_level: int = 0
    num_levels: int = levels.EVALUATION_START
    test_start_level: int = levels.EVALUATION_START
    num_test_levels: int = levels.ALL_SEEDS - levels.EVALUATION_START
    use_backgrounds: bool = True
    restrict_themes: bool = False
    max_episode_steps: int | None = None
    epsilon: float = 0.0
    seed: int = 0

    def __post_init__(self):
        procgen.check_game(self.env_id, self.distribution_mode)
        for name in ("num_trajs", "num_test_trajs", "num_levels", "num_test_levels"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"{name} must be at least 1, got {getattr(self, name)}."
                )
        if not 0.0 <= self.epsilon <= 1.0:
            raise ValueError(f"epsilon must be 0 to 1, got {self.epsilon}.")
        train = self.level_range("train")
        levels.assert_disjoint_levels(train, self.level_range("test"))
        levels.assert_disjoint_levels(train, levels.evaluation_levels())

    def level_range(self, split: str) -> levels.LevelRange:
        """The levels of a split."""
        if split == "train":
            return levels.LevelRange(self.start_level, self.num_levels)
        return levels.LevelRange(self.test_start_level, self.num_test_levels)


@dataclasses.dataclass(frozen=True)
class ShardPlan:
    """One file of a dataset.

    Attributes:
      settings: what is played.
      split: name of the split.
      path: the file.
      first_episode: number of its first episode in the split.
      slots: environments side by side.
      episodes_per_slot: episodes of each.
      levels: the levels it draws from.
      seeds: of the order of levels and of the noise.
      expert: pickled expert; every file begins with a fresh copy.
    """

    settings: ProcgenSettings
    split: str
    path: pathlib.Path
    first_episode: int
    slots: int
    episodes_per_slot: int
    levels: levels.LevelRange
    seeds: tuple[int, int]
    expert: bytes


def plan_shards(
    settings: ProcgenSettings,
    directory: str | os.PathLike,
    dataset_name: str,
    player: expert.Expert | None = None,
) -> list[ShardPlan]:
    """Plans all files of a dataset, a function of its arguments alone.

    Files of a split have blocks of levels of their own as long as there are enough, so
    that trajectories that are far from each other are on different levels.

    Args:
      settings: what is played.
      directory: where the files are to be.
      dataset_name: TFDS name of the dataset.
      player: the expert, by default the best there is for the game.

    Raises:
      ValueError: the expert does not pickle.
    """
    pickled = pickle_expert(
        player or default_expert.default_expert(settings.env_id, settings.seed)
    )
    plans = []
    for split in _SPLITS:
        count = settings.num_trajs if split == "train" else settings.num_test_trajs
        sizes = _shard_sizes(count)
        lengths = [slots * episodes for slots, episodes in sizes]
        info = rlds_writer.split_info(directory, dataset_name, split, lengths)
        blocks = _level_blocks(settings.level_range(split), len(sizes))
        begins = np.cumsum([0, *lengths])
        for index, (slots, episodes) in enumerate(sizes):
            entropy = (settings.seed, _SPLITS.index(split), index)
            seeds = np.random.SeedSequence(entropy).generate_state(2) >> 1
            plans.append(
                ShardPlan(
                    settings=settings,
                    split=split,
                    path=pathlib.Path(info.filepaths[index]),
                    first_episode=int(begins[index]),
                    slots=slots,
                    episodes_per_slot=episodes,
                    levels=blocks[index],
                    seeds=(int(seeds[0]), int(seeds[1])),
                    expert=pickled,
                )
            )
    return plans


def pickle_expert(player: expert.Expert) -> bytes:
    """The bytes from which every file gets its own copy of an expert.

    Raises:
      ValueError: the expert does not pickle.
    """
    try:
        return pickle.dumps(player)
    except Exception as error:  # whatever its attributes raise
        raise ValueError(
            f"An expert must pickle, to play in several processes: {error}"
        ) from None


def write_shard(plan: ShardPlan, progress: worker_pool.Progress) -> dict:
    """Plays and writes one file, unless it is there; returns its `stats`."""
    stats_path = plan.path.with_name(f"{plan.path.name}.json")
    if plan.path.exists() and stats_path.exists():
        progress(plan.slots * plan.episodes_per_slot)
        return json.loads(stats_path.read_text())
    stats = {"split": plan.split, "returns": [], "lengths": [], "levels": []}

    def episodes() -> Iterator[tuple[str, collect.Episode]]:
        for number, episode in enumerate(_play(plan), plan.first_episode):
            stats["returns"].append(episode.episode_return)
            stats["lengths"].append(len(episode))
            stats["levels"].append(episode.level_seed)
            yield f"{plan.split}-{number:06d}", episode
            progress(1)

    plan.path.parent.mkdir(parents=True, exist_ok=True)
    rlds_writer.write_shard(plan.path, episodes())
    temporary = stats_path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(stats))
    os.replace(temporary, stats_path)
    return stats


def _play(plan: ShardPlan) -> Iterator[collect.Episode]:
    settings = plan.settings
    env = procgen.Procgen(
        env_id=settings.env_id,
        num_envs=plan.slots,
        start_level=plan.levels.start_level,
        num_levels=plan.levels.num_levels,
        distribution_mode=settings.distribution_mode,
        use_backgrounds=settings.use_backgrounds,
        restrict_themes=settings.restrict_themes,
        max_episode_steps=settings.max_episode_steps,
        seed=plan.seeds[0],
    )
    player = pickle.loads(plan.expert)
    player.reseed(plan.seeds[1])
    yield from collect.collect_episodes(
        env,
        player,
        episodes_per_slot=plan.episodes_per_slot,
        epsilon=settings.epsilon,
        seed=plan.seeds[1],
    )
    env.close()


def _shard_sizes(num_trajs: int) -> list[tuple[int, int]]:
    """Environments and episodes of each, file by file, `num_trajs` in all.

    Several episodes one after the other keep environments busy that drew short ones.
    """
    per_slot = int(np.clip(num_trajs // (16 * _SLOTS), 4, 32))
    full, rest = divmod(num_trajs, _SLOTS * per_slot)
    sizes = [(_SLOTS, per_slot)] * full
    if rest >= _SLOTS:
        sizes.append((_SLOTS, rest // _SLOTS))
    if rest % _SLOTS:
        sizes.append((rest % _SLOTS, 1))
    return sizes


def _level_blocks(whole: levels.LevelRange, count: int) -> list[levels.LevelRange]:
    size = whole.num_levels // count
    if size == 0:
        return [whole] * count
    return [
        levels.LevelRange(whole.start_level + index * size, size)
        for index in range(count)
    ]
