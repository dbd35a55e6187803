"""`build_procgen_dataset`, what `launch.build_dataset` configures and calls."""

import dataclasses
import os
import pathlib
import tempfile

import tensorflow_datasets as tfds
from absl import logging

from pdtla.datasets import procgen_shards
from pdtla.datasets.procgen_dataset import procgen_dataset_dataset_builder
from pdtla.environments import levels
from pdtla.experts import expert as expert_lib


def build_procgen_dataset(
    *,
    env_id: str,
    data_dir: str,
    num_trajs: int = 500,
    num_test_trajs: int = 50,
    expert: expert_lib.Expert | None = None,
    epsilon: float = 0.0,
    distribution_mode: str = "easy",
    start_level: int = 0,
    num_levels: int = levels.EVALUATION_START,
    test_start_level: int = levels.EVALUATION_START,
    num_test_levels: int = levels.ALL_SEEDS - levels.EVALUATION_START,
    use_backgrounds: bool = True,
    restrict_themes: bool = False,
    max_episode_steps: int | None = None,
    seed: int = 0,
    num_workers: int | None = None,
    overwrite: bool = False,
) -> pathlib.Path:
    """Builds `procgen_dataset/<env_id>` unless it is there with the same settings.

    Args:
      env_id: one of the 16 games.
      data_dir: the directory that TFDS datasets are under.
      num_trajs: episodes of the split `train`.
      num_test_trajs: episodes of the split `test`, on other levels.
      expert: who plays, by default the best expert there is for the game.
      epsilon: probability of a uniformly random action instead of the expert's.
      distribution_mode: Procgen's difficulty.
      start_level: first level seed of `train`.
      num_levels: number of levels of `train`.
      test_start_level: first level seed of `test`.
      num_test_levels: number of levels of `test`.
      use_backgrounds: draw background images.
      restrict_themes: draw each kind of object with one image only.
      max_episode_steps: step limit, None for the game's own.
      seed: seeds levels, noise and the default expert.
      num_workers: processes that play, by default one a core; of no effect on the data.
      overwrite: replace a dataset that was built with other settings, and all latents
        beside it.

    Returns:
      The directory of the dataset.

    Raises:
      ValueError: settings that cannot be, or a dataset with other settings is there.
    """
    settings = procgen_shards.ProcgenSettings(
        env_id=env_id,
        num_trajs=num_trajs,
        num_test_trajs=num_test_trajs,
        distribution_mode=distribution_mode,
        start_level=start_level,
        num_levels=num_levels,
        test_start_level=test_start_level,
        num_test_levels=num_test_levels,
        use_backgrounds=use_backgrounds,
        restrict_themes=restrict_themes,
        max_episode_steps=max_episode_steps,
        epsilon=epsilon,
        seed=seed,
    )
    builder = procgen_dataset_dataset_builder.Builder(
        settings=settings,
        player=expert,
        num_workers=num_workers or os.cpu_count() or 1,
        config=env_id,
        data_dir=str(pathlib.Path(data_dir).expanduser()),
    )
    directory = pathlib.Path(builder.data_dir)
    mode = tfds.GenerateMode.REUSE_DATASET_IF_EXISTS
    if builder.is_prepared():
        differences = _differences(builder)
        if not differences:
            logging.info("%s is there.", directory)
            return directory
        if not overwrite:
            raise ValueError(
                f"{directory} was built with {differences}: "
                "give another data_dir, or overwrite=True."
            )
        mode = tfds.GenerateMode.REUSE_CACHE_IF_EXISTS
    with tempfile.TemporaryDirectory() as unused:  # TFDS wants to download something
        builder.download_and_prepare(
            download_dir=unused,
            download_config=tfds.download.DownloadConfig(download_mode=mode),
        )
    metadata = builder.info.metadata
    logging.info(
        "%s: %d episodes, %d steps, return %.2f (standard error %.2f) of %s.",
        directory,
        settings.num_trajs,
        metadata["num_steps"],
        metadata["return_mean"],
        metadata["return_error"],
        metadata["expert"],
    )
    return directory


def _differences(builder: procgen_dataset_dataset_builder.Builder) -> str:
    """How a dataset's settings differ from those asked for, "" if they do not."""
    asked = builder.recorded_settings()
    there = builder.info.metadata
    compared = [*(f.name for f in dataclasses.fields(builder.settings)), "expert"]
    return ", ".join(
        f"{name}={there.get(name)!r} (not {asked[name]!r})"
        for name in compared
        if there.get(name) != asked[name]
    )
