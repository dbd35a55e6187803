"""`RldsBuilder`, what the TFDS builders of played episodes share."""

import abc
import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from typing import TYPE_CHECKING

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import dataset_builder
from tqdm import auto as tqdm

from pdtla import version
from pdtla.datasets import (
    beam_pool,
    build_settings,
    rlds_writer,
    running_statistics,
    shards,
    worker_pool,
)
from pdtla.experts import expert as expert_lib

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions


class RldsBuilder(dataset_builder.FileReaderBuilder, skip_registration=True):
    """Plays episodes with an expert and stores them in RLDS form.

    Episodes are stored in the order of their files and numbered in `episode_id`. The
    content depends on the settings alone, not on the number of processes or on whether
    they are those of an Apache Beam pipeline, which `beam_options` of TFDS asks for. A
    build that was killed leaves files that no reader looks at; the same build takes
    them up.

    Args:
      settings: what is played; by default that of the config with default settings.
      expert: plays in place of the best expert there is.
      num_workers: processes that play.
      **kwargs: of the TFDS builder: `data_dir`, `config`, `version`.
    """

    DESCRIPTION: str
    HOMEPAGE: str

    def __init__(
        self,
        *,
        settings: build_settings.BuildSettings | None = None,
        expert: expert_lib.Expert | None = None,
        num_workers: int = os.cpu_count() or 1,
        **kwargs,
    ):
        self._given_settings = settings
        self._expert = expert
        self._num_workers = num_workers
        super().__init__(**kwargs)

    @abc.abstractmethod
    def default_settings(self) -> build_settings.BuildSettings:
        """What the config plays unless told otherwise."""

    @property
    def settings(self) -> build_settings.BuildSettings:
        """What is played."""
        return self._given_settings or self.default_settings()

    @property
    def players(self) -> tuple[expert_lib.Expert, ...]:
        """Who plays."""
        return self.settings.players(self._expert)

    def recorded_settings(self) -> dict:
        """What the metadata says about how the dataset was made."""
        return {
            **dataclasses.asdict(self.settings),
            "expert": ", ".join(player.name for player in self.players),
            "expert_settings": [player.settings() for player in self.players],
            "pdtla_version": version.__version__,
        }

    def _info(self) -> tfds.core.DatasetInfo:
        settings = self.settings
        return tfds.core.DatasetInfo(
            builder=self,
            description=self.DESCRIPTION,
            features=rlds_writer.episode_features(
                settings.observation_spec,
                settings.action_spec,
                settings.episode_fields,
            ),
            homepage=self.HOMEPAGE,
            # Readers rely on the stored order: files, then episodes within them.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(self.recorded_settings()),
        )

    def _download_and_prepare(self, dl_manager, download_config) -> None:
        """TFDS calls this with a temporary `data_dir`, which it renames after."""
        del dl_manager
        staging = self._staging()
        plans = shards.plan_shards(self.settings, staging, self.players)
        if download_config.beam_options is None:
            stats = self._write_shards(plans)
        else:
            stats = _write_shards_with_beam(plans, download_config.beam_options)
        for plan in plans:
            os.replace(plan.path, pathlib.Path(self.data_dir) / plan.path.name)
        splits = []
        for split in shards.SPLITS:
            lengths = [plan.num_episodes for plan in plans if plan.split == split]
            splits.append(
                rlds_writer.split_info(self.data_dir, self.name, split, lengths)
            )
        self.info.set_splits(tfds.core.SplitDict(splits))
        self.info.metadata.update(_summarize(stats))
        shutil.rmtree(staging)

    def _staging(self) -> pathlib.Path:
        """Keeps finished files of this very build across restarts."""
        asked = json.dumps(self.recorded_settings()).encode()
        players = shards.pickle_players(self.players)
        digest = hashlib.sha256(asked + players).hexdigest()
        return pathlib.Path(self.data_dir).parent / f"incomplete.build-{digest[:16]}"

    def _write_shards(self, plans: list[shards.ShardPlan]) -> list[dict]:
        """Returns what is known of the files, in their order."""
        total = sum(plan.num_episodes for plan in plans)
        with tqdm.tqdm(
            total=total, desc=self.settings.config_name, unit="ep", disable=None
        ) as bar:
            stats = worker_pool.run_tasks(
                shards.write_shard, plans, self._num_workers, bar.update
            )
            return sorted(stats, key=lambda s: (s["split"], s["first_episode"]))


def _write_shards_with_beam(
    plans: list[shards.ShardPlan], options: "PipelineOptions"
) -> list[dict]:
    """Returns what is known of the files, in their order."""
    beam_pool.run_tasks(shards.write_shard, plans, options)
    stats = [shards.read_stats(plan) for plan in plans]
    if None in stats:
        raise RuntimeError(
            f"The pipeline did not leave {plans[stats.index(None)].path}: its workers "
            "must share the data directory with this process."
        )
    return stats


def _summarize(stats: list[dict]) -> dict:
    """What was measured of the episodes; checks that splits share no level."""
    train = _join([s for s in stats if s["split"] == "train"])
    test = _join([s for s in stats if s["split"] == "test"])
    shared = np.intersect1d(train["levels"], test["levels"])
    if len(shared):
        raise AssertionError(f"Levels {shared[:5]} are in both train and test.")
    summary = {
        **_returns(train["returns"]),
        "length_mean": float(train["lengths"].mean()),
        "num_steps": int(train["lengths"].sum()),
        "test_return_mean": float(test["returns"].mean()),
    }
    if None not in train["policies"]:
        summary["policies"] = {
            name: {
                "episodes": int(np.sum(train["policies"] == name)),
                **_returns(train["returns"][train["policies"] == name]),
            }
            for name in sorted(set(train["policies"]))
        }
    if None not in train["successes"]:
        summary["success_rate"] = float(train["successes"].mean())
        summary["attempts"] = train["attempts"]
    if train["statistics"]:
        summary["statistics"] = train["statistics"]
    return summary


def _join(stats: list[dict]) -> dict:
    """The episodes of several files as one."""
    lists = ("returns", "lengths", "levels", "policies", "successes")
    joined = {key: np.concatenate([s[key] for s in stats]) for key in lists}
    joined["attempts"] = sum(s["attempts"] for s in stats)
    joined["statistics"] = {}
    for field in stats[0]["statistics"]:
        statistics = running_statistics.RunningStatistics()
        for stat in stats:
            statistics.update_json(stat["statistics"][field])
        joined["statistics"][field] = statistics.to_json()
    return joined


def _returns(returns: np.ndarray) -> dict[str, float]:
    spread = returns.std(ddof=min(1, len(returns) - 1))
    return {
        "return_mean": float(returns.mean()),
        "return_error": float(spread) / len(returns) ** 0.5,
    }
