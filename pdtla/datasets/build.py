"""`build`, what `launch.build_dataset` configures and calls."""

import dataclasses
import importlib
import os
import pathlib
import tempfile
from collections.abc import Callable
from typing import TYPE_CHECKING

import tensorflow_datasets as tfds
from absl import logging

from pdtla.datasets import build_settings, rlds_builder
from pdtla.experts import expert as expert_lib

if TYPE_CHECKING:
    from apache_beam.options.pipeline_options import PipelineOptions


def build(
    *,
    env_id: str,
    data_dir: str,
    settings: Callable[..., build_settings.BuildSettings],
    num_trajs: int = 500,
    num_test_trajs: int = 50,
    expert: expert_lib.Expert | None = None,
    seed: int = 0,
    num_workers: int | None = None,
    beam_options: "PipelineOptions | None" = None,
    overwrite: bool = False,
) -> pathlib.Path:
    """Builds the dataset of an environment unless it is there with the same settings.

    Args:
      env_id: the game or task.
      data_dir: the directory that TFDS datasets are under.
      settings: makes the settings of the environment's family from `env_id`,
        `num_trajs`, `num_test_trajs` and `seed`.
      num_trajs: episodes of the split `train`.
      num_test_trajs: episodes of the split `test`, on other levels.
      expert: who plays, by default the best expert there is.
      seed: seeds levels, noise and experts.
      num_workers: processes that play, by default one a core; of no effect on the data.
      beam_options: of an Apache Beam pipeline that plays instead of local processes,
        see `beam_pool.pipeline_options`; of no effect on the data.
      overwrite: replace a dataset that was built with other settings, and all latents
        beside it.

    Returns:
      The directory of the dataset.

    Raises:
      ValueError: settings that cannot be, or a dataset with other settings is there.
    """
    made = settings(
        env_id=env_id, num_trajs=num_trajs, num_test_trajs=num_test_trajs, seed=seed
    )
    builder = _builder_class(made)(
        settings=made,
        expert=expert,
        num_workers=num_workers or os.cpu_count() or 1,
        config=made.config_name,
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
            download_config=tfds.download.DownloadConfig(
                download_mode=mode, beam_options=beam_options
            ),
        )
    _report(builder)
    return directory


def _builder_class(
    settings: build_settings.BuildSettings,
) -> type[rlds_builder.RldsBuilder]:
    """Found by its name, so that only one family's simulator is imported."""
    name = settings.dataset_name
    return importlib.import_module(
        f"pdtla.datasets.{name}.{name}_dataset_builder"
    ).Builder


def _differences(builder: rlds_builder.RldsBuilder) -> str:
    """How a dataset's settings differ from those asked for, "" if they do not."""
    asked = builder.recorded_settings()
    there = builder.info.metadata
    compared = [*(f.name for f in dataclasses.fields(builder.settings)), "expert"]
    if "expert_settings" in there:  # older datasets do not tell
        compared.append("expert_settings")
    return ", ".join(
        f"{name}={there.get(name)!r} (not {asked[name]!r})"
        for name in compared
        if there.get(name) != asked[name]
    )


def _report(builder: rlds_builder.RldsBuilder) -> None:
    metadata = builder.info.metadata
    logging.info(
        "%s: %d episodes, %d steps, return %.2f (standard error %.2f) of %s.",
        builder.data_dir,
        builder.settings.num_trajs,
        metadata["num_steps"],
        metadata["return_mean"],
        metadata["return_error"],
        metadata["expert"],
    )
    for name, measured in metadata.get("policies", {}).items():
        logging.info(
            "%s: %d episodes, return %.2f (standard error %.2f).",
            name,
            measured["episodes"],
            measured["return_mean"],
            measured["return_error"],
        )
    if "attempts" in metadata:
        logging.info(
            "%d episodes played, success in %.0f%% of those kept.",
            metadata["attempts"],
            100 * metadata["success_rate"],
        )
