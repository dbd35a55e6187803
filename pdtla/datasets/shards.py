"""Plays a dataset file by file, each a pure function of its plan."""

import dataclasses
import json
import os
import pathlib
import pickle
from collections.abc import Iterator, Sequence

import numpy as np

from pdtla.datasets import (
    build_settings,
    rlds_writer,
    running_statistics,
    whole_file,
    worker_pool,
)
from pdtla.environments import levels
from pdtla.experts import collect, expert

SPLITS = ("train", "test")


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
      players: pickled experts; every file begins with fresh copies.
    """

    settings: build_settings.BuildSettings
    split: str
    path: pathlib.Path
    first_episode: int
    slots: int
    episodes_per_slot: int
    levels: levels.LevelRange
    seeds: tuple[int, int]
    players: bytes

    @property
    def num_episodes(self) -> int:
        """The episodes of the file."""
        return self.slots * self.episodes_per_slot


def plan_shards(
    settings: build_settings.BuildSettings,
    directory: str | os.PathLike,
    players: Sequence[expert.Expert] | None = None,
) -> list[ShardPlan]:
    """Plans all files of a dataset, a function of its arguments alone.

    Files of a split have blocks of levels of their own as long as there are enough, so
    that trajectories that are far from each other are on different levels. With
    episodes on each level, its environments are those side by side.

    Args:
      settings: what is played.
      directory: where the files are to be.
      players: who plays, by default those of the settings.

    Raises:
      ValueError: an expert does not pickle.
    """
    pickled = pickle_players(settings.players() if players is None else players)
    plans = []
    for split in SPLITS:
        side_by_side = settings.episodes_per_level or settings.slots
        sizes = _shard_sizes(settings.num_episodes(split), side_by_side)
        lengths = [slots * episodes for slots, episodes in sizes]
        info = rlds_writer.split_info(directory, settings.dataset_name, split, lengths)
        whole = settings.level_range(split)
        blocks = _level_blocks(whole, len(sizes))
        if settings.episodes_per_level is not None:
            blocks = _exact_blocks(whole, [count for _, count in sizes])
        begins = np.cumsum([0, *lengths])
        for index, (slots, episodes) in enumerate(sizes):
            entropy = (settings.seed, SPLITS.index(split), index)
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
                    players=pickled,
                )
            )
    return plans


def pickle_players(players: Sequence[expert.Expert]) -> bytes:
    """The bytes from which every file gets its own copies of the experts.

    Raises:
      ValueError: an expert does not pickle.
    """
    try:
        return pickle.dumps(tuple(players))
    except Exception as error:  # whatever their attributes raise
        raise ValueError(
            f"An expert must pickle, to play in several processes: {error}"
        ) from None


def write_shard(plan: ShardPlan, progress: worker_pool.Progress) -> dict:
    """Plays and writes one file, unless it is there.

    Returns:
      What is known of its episodes: `split`, `first_episode`, `attempts` (episodes
      played), lists `returns`, `lengths`, `levels`, `policies` and `successes`, and
      `statistics` of the fields of floats.

    Raises:
      RuntimeError: too few episodes could be kept.
    """
    known = read_stats(plan)
    if known is not None:
        progress(plan.num_episodes)
        return known
    stats = {
        "split": plan.split,
        "first_episode": plan.first_episode,
        "attempts": 0,
        "returns": [],
        "lengths": [],
        "levels": [],
        "policies": [],
        "successes": [],
    }
    statistics: dict[str, running_statistics.RunningStatistics] = {}

    def episodes() -> Iterator[tuple[str, collect.Episode]]:
        for number, episode in enumerate(_kept(plan, stats), plan.first_episode):
            stats["returns"].append(episode.episode_return)
            stats["lengths"].append(len(episode))
            stats["levels"].append(episode.level_seed)
            stats["policies"].append(episode.policy)
            stats["successes"].append(episode.success)
            for field in ("observation", "action"):
                values = getattr(episode, field)
                if values.dtype.kind == "f":
                    known = statistics.setdefault(
                        field, running_statistics.RunningStatistics()
                    )
                    known.update(values)
            yield f"{plan.split}-{number:06d}", episode
            progress(1)

    plan.path.parent.mkdir(parents=True, exist_ok=True)
    rlds_writer.write_shard(plan.path, episodes())
    stats["statistics"] = {name: s.to_json() for name, s in statistics.items()}
    with whole_file.whole_file(_stats_path(plan)) as temporary:
        temporary.write_text(json.dumps(stats))
    return stats


def read_stats(plan: ShardPlan) -> dict | None:
    """What `write_shard` gave when it wrote the file, None if it has not."""
    if plan.path.exists() and _stats_path(plan).exists():
        return json.loads(_stats_path(plan).read_text())
    return None


def _stats_path(plan: ShardPlan) -> pathlib.Path:
    return plan.path.with_name(f"{plan.path.name}.json")


def _kept(plan: ShardPlan, stats: dict) -> Iterator[collect.Episode]:
    """The episodes to store, and how many were played for them."""
    kept = 0
    for episode in plan.settings.play(
        pickle.loads(plan.players),
        slots=plan.slots,
        episodes_per_slot=plan.episodes_per_slot,
        first_episode=plan.first_episode,
        level_range=plan.levels,
        seeds=plan.seeds,
    ):
        stats["attempts"] += 1
        if plan.settings.keeps(episode):
            yield episode
            kept += 1
            if kept == plan.num_episodes:
                return
    raise RuntimeError(
        f"{plan.path.name} needs {plan.num_episodes} episodes, but only {kept} of the "
        f"{stats['attempts']} played could be kept."
    )


def _shard_sizes(num_trajs: int, slots: int) -> list[tuple[int, int]]:
    """Environments and episodes of each, file by file, `num_trajs` in all.

    Several episodes one after the other keep environments busy that drew short ones.
    """
    per_slot = int(np.clip(num_trajs // (16 * slots), 4, 32))
    full, rest = divmod(num_trajs, slots * per_slot)
    sizes = [(slots, per_slot)] * full
    if rest >= slots:
        sizes.append((slots, rest // slots))
    if rest % slots:
        sizes.append((rest % slots, 1))
    return sizes


def _level_blocks(whole: levels.LevelRange, count: int) -> list[levels.LevelRange]:
    size = whole.num_levels // count
    if size == 0:
        return [whole] * count
    return [
        levels.LevelRange(whole.start_level + index * size, size)
        for index in range(count)
    ]


def _exact_blocks(
    whole: levels.LevelRange, counts: Sequence[int]
) -> list[levels.LevelRange]:
    begins = whole.start_level + np.cumsum([0, *counts])
    return [
        levels.LevelRange(int(begin), count)
        for begin, count in zip(begins, counts, strict=False)
    ]
