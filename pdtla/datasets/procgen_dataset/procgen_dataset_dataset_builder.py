"""TFDS builder of Procgen episodes, a config per game.

    pip install -r requirements-beam.txt
    cd pdtla/datasets/procgen_dataset && tfds build --config=maze --data_dir=...

builds with the default settings (every `tfds build` needs apache-beam);
`launch.build_dataset` sets others.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil

import numpy as np
import tensorflow_datasets as tfds
from tensorflow_datasets.core import dataset_builder
from tqdm import auto as tqdm

from pdtla import specs, version
from pdtla.datasets import procgen_shards, rlds_writer, worker_pool
from pdtla.environments import procgen
from pdtla.experts import default_expert, expert


class Builder(dataset_builder.FileReaderBuilder):
    """Plays a game with an expert and stores the episodes in RLDS form.

    Episodes are stored in the order of their files and numbered in `episode_id`. The
    content depends on the settings alone, not on the number of processes. A build that
    was killed leaves files that no reader looks at; the same build takes them up.

    Args:
      settings: what is played; by default the config's game with default settings.
      player: the expert, by default the best there is for the game.
      num_workers: processes that play.
      **kwargs: of the TFDS builder: `data_dir`, `config`, `version`.
    """

    VERSION = tfds.core.Version("1.0.0")
    RELEASE_NOTES = {"1.0.0": "First version."}
    BUILDER_CONFIGS = [
        tfds.core.BuilderConfig(name=game, description=f"Episodes of {game}.")
        for game in procgen.GAMES
    ]

    def __init__(
        self,
        *,
        settings: procgen_shards.ProcgenSettings | None = None,
        player: expert.Expert | None = None,
        num_workers: int = os.cpu_count() or 1,
        **kwargs,
    ):
        self._given_settings = settings
        self._given_player = player
        self._num_workers = num_workers
        super().__init__(**kwargs)

    @property
    def settings(self) -> procgen_shards.ProcgenSettings:
        """What is played."""
        return self._given_settings or procgen_shards.ProcgenSettings(
            env_id=self.builder_config.name
        )

    @property
    def player(self) -> expert.Expert:
        """The expert."""
        settings = self.settings
        return self._given_player or default_expert.default_expert(
            settings.env_id, settings.seed
        )

    def _info(self) -> tfds.core.DatasetInfo:
        return tfds.core.DatasetInfo(
            builder=self,
            description="Procgen (Cobbe et al. 2020) played by an expert, RLDS form.",
            features=rlds_writer.episode_features(
                specs.ArraySpec((64, 64, 3), "uint8"),
                specs.ArraySpec((), "int32", num_values=procgen.NUM_ACTIONS),
            ),
            homepage="https://github.com/openai/procgen",
            # Readers rely on the stored order: files, then episodes within them.
            disable_shuffling=True,
            metadata=tfds.core.MetadataDict(self.recorded_settings()),
        )

    def recorded_settings(self) -> dict:
        """What the metadata says about how the dataset was made."""
        return {
            **dataclasses.asdict(self.settings),
            "expert": self.player.name,
            "pdtla_version": version.__version__,
        }

    def _download_and_prepare(self, dl_manager, download_config) -> None:
        """TFDS calls this with a temporary `data_dir`, which it renames after."""
        del dl_manager, download_config
        staging = self._staging()
        plans = procgen_shards.plan_shards(
            self.settings, staging, self.name, self.player
        )
        stats = self._write_shards(plans)
        for plan in plans:
            os.replace(plan.path, pathlib.Path(self.data_dir) / plan.path.name)
        splits = []
        for split in ("train", "test"):
            lengths = [
                plan.slots * plan.episodes_per_slot
                for plan in plans
                if plan.split == split
            ]
            splits.append(
                rlds_writer.split_info(self.data_dir, self.name, split, lengths)
            )
        self.info.set_splits(tfds.core.SplitDict(splits))
        self.info.metadata.update(_summarize(stats))
        shutil.rmtree(staging)

    def _staging(self) -> pathlib.Path:
        """Keeps finished files of this very build across restarts."""
        asked = json.dumps(self.recorded_settings()).encode()
        player = procgen_shards.pickle_expert(self.player)
        digest = hashlib.sha256(asked + player).hexdigest()
        return pathlib.Path(self.data_dir).parent / f"incomplete.build-{digest[:16]}"

    def _write_shards(self, plans: list[procgen_shards.ShardPlan]) -> list[dict]:
        total = sum(plan.slots * plan.episodes_per_slot for plan in plans)
        with tqdm.tqdm(
            total=total, desc=self.settings.env_id, unit="ep", disable=None
        ) as bar:
            return list(
                worker_pool.run_tasks(
                    procgen_shards.write_shard, plans, self._num_workers, bar.update
                )
            )


def _summarize(stats: list[dict]) -> dict:
    """Measured returns and lengths; checks that splits share no level."""
    joined = {
        (split, key): np.concatenate([s[key] for s in stats if s["split"] == split])
        for split in ("train", "test")
        for key in ("returns", "lengths", "levels")
    }
    shared = np.intersect1d(joined["train", "levels"], joined["test", "levels"])
    if len(shared):
        raise AssertionError(f"Levels {shared[:5]} are in both train and test.")
    returns, lengths = joined["train", "returns"], joined["train", "lengths"]
    return {
        "return_mean": float(returns.mean()),
        "return_error": float(returns.std(ddof=min(1, len(returns) - 1)))
        / len(returns) ** 0.5,
        "length_mean": float(lengths.mean()),
        "num_steps": int(lengths.sum()),
        "test_return_mean": float(joined["test", "returns"].mean()),
    }
