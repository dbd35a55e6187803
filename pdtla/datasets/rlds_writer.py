"""Writes episodes as TFDS files in RLDS form, an episode at a time.

TFDS encodes step by step in Python, some 800 frames of 64 x 64 x 3 a second. Filling
the `tf.train.Example` of a whole episode gives the same bytes 20 times faster; what is
written reads with plain TFDS.
"""

import os
import pathlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from pdtla import specs
from pdtla.datasets import whole_file
from pdtla.experts import collect

LEVEL_SEED = "level_seed"
EPISODE_RETURN = "episode_return"
LENGTH = "length"
EPISODE_ID = "episode_id"
TRUNCATED = "truncated"
POLICY = "policy"
SUCCESS = "success"


def episode_features(
    observation: specs.ArraySpec,
    action: specs.ArraySpec,
    fields: Sequence[str] = (),
) -> tfds.features.FeaturesDict:
    """The TFDS features of episodes with these observations and actions.

    Args:
      observation: of one step.
      action: of one step.
      fields: what the episodes tell beside the rest: of `POLICY` and `SUCCESS`.
    """
    if action.is_discrete:
        action_feature = tfds.features.ClassLabel(num_classes=action.num_values)
    else:
        action_feature = tfds.features.Tensor(
            shape=action.shape, dtype=np.dtype(action.dtype), doc="The action taken."
        )
    steps = {
        specs.OBSERVATION: tfds.features.Tensor(
            shape=observation.shape,
            dtype=np.dtype(observation.dtype),
            encoding=tfds.features.Encoding.BYTES,
            doc="What the agent saw; pixels are 0 to 255.",
        ),
        specs.ACTION: action_feature,
        specs.REWARD: _scalar(np.float32, "Raw reward that followed the action."),
        specs.DISCOUNT: _scalar(np.float32, "0 after a terminal step, else 1."),
        specs.IS_FIRST: _scalar(np.bool_, "Whether the step begins an episode."),
        specs.IS_LAST: _scalar(np.bool_, "Whether the step ends an episode."),
        specs.IS_TERMINAL: _scalar(np.bool_, "Whether the game ended after the step."),
    }
    optional = {
        POLICY: tfds.features.Text(doc="Who played."),
        SUCCESS: _scalar(np.bool_, "Whether any step solved the task."),
    }
    return tfds.features.FeaturesDict(
        {
            specs.STEPS: tfds.features.Dataset(steps),
            LEVEL_SEED: _scalar(np.int64, "The level; -1 if unknown."),
            EPISODE_RETURN: _scalar(np.float32, "Sum of the raw rewards."),
            LENGTH: _scalar(np.int64, "Number of steps."),
            EPISODE_ID: tfds.features.Text(doc="Unique within the dataset."),
            TRUNCATED: _scalar(np.bool_, "Whether a step limit cut the episode."),
        }
        | {name: optional[name] for name in fields}
    )


def encode_episode(episode: collect.Episode, episode_id: str) -> bytes:
    """Serialises an episode, the same bytes for the same episode."""
    length = len(episode)
    example = tf.train.Example()
    feature = example.features.feature
    # Filled in place: assigning finished messages would copy every frame thrice.
    feature["steps/observation"].bytes_list.value.extend(
        [np.ascontiguousarray(frame).tobytes() for frame in episode.observation]
    )
    if episode.action.dtype.kind == "f":
        _add_floats(feature["steps/action"], episode.action)
    else:
        _add_integers(feature["steps/action"], episode.action)
    is_last = np.arange(length) == length - 1
    is_terminal = is_last & episode.terminal
    _add_floats(feature["steps/reward"], episode.reward)
    _add_floats(feature["steps/discount"], 1.0 - is_terminal)
    _add_integers(feature["steps/is_first"], np.arange(length) == 0)
    _add_integers(feature["steps/is_last"], is_last)
    _add_integers(feature["steps/is_terminal"], is_terminal)
    _add_integers(feature[LEVEL_SEED], np.array([episode.level_seed]))
    _add_floats(feature[EPISODE_RETURN], np.array([episode.episode_return]))
    _add_integers(feature[LENGTH], np.array([length]))
    feature[EPISODE_ID].bytes_list.value.append(episode_id.encode())
    _add_integers(feature[TRUNCATED], np.array([not episode.terminal]))
    if episode.policy is not None:
        feature[POLICY].bytes_list.value.append(episode.policy.encode())
    if episode.success is not None:
        _add_integers(feature[SUCCESS], np.array([episode.success]))
    return example.SerializeToString(deterministic=True)


def write_shard(
    path: str | os.PathLike, episodes: Iterable[tuple[str, collect.Episode]]
) -> int:
    """Writes one file of episodes, which appears under its name when it is complete.

    Args:
      path: the file.
      episodes: ids and episodes.

    Returns:
      The number of episodes.
    """
    count = 0
    with (
        whole_file.whole_file(path) as temporary,
        tf.io.TFRecordWriter(str(temporary)) as writer,
    ):
        for episode_id, episode in episodes:
            writer.write(encode_episode(episode, episode_id))
            count += 1
    return count


def split_info(
    directory: str | os.PathLike,
    dataset_name: str,
    split: str,
    shard_lengths: list[int],
) -> tfds.core.SplitInfo:
    """Describes the files of a split that are in a directory.

    Args:
      directory: where the files are or will be.
      dataset_name: TFDS name of the dataset.
      split: name of the split.
      shard_lengths: number of episodes in each file.
    """
    template = tfds.core.ShardedFileTemplate(
        data_dir=pathlib.Path(directory),
        dataset_name=dataset_name,
        split=split,
        filetype_suffix="tfrecord",
    )
    info = tfds.core.SplitInfo(
        name=split,
        shard_lengths=shard_lengths,
        num_bytes=0,
        filename_template=template,
    )
    paths = map(pathlib.Path, info.filepaths)
    size = sum(path.stat().st_size for path in paths if path.exists())
    return info.replace(num_bytes=size)


def write_metadata(
    directory: str | os.PathLike,
    features: tfds.features.FeaturesDict,
    splits: list[tfds.core.SplitInfo],
    metadata: Mapping[str, object],
    description: str,
) -> None:
    """Adds the files that make a directory of shards a TFDS dataset."""
    tfds.folder_dataset.write_metadata(
        data_dir=os.fspath(directory),
        features=features,
        split_infos=splits,
        filename_template=splits[0].filename_template.replace(split=None),
        check_data=False,
        disable_shuffling=True,
        description=description,
        metadata=tfds.core.MetadataDict(metadata),
    )


def _scalar(dtype: type, doc: str) -> tfds.features.Scalar:
    return tfds.features.Scalar(dtype=dtype, doc=doc)


def _add_integers(feature: tf.train.Feature, values: np.ndarray) -> None:
    feature.int64_list.value.extend(values.astype(np.int64).ravel().tolist())


def _add_floats(feature: tf.train.Feature, values: np.ndarray) -> None:
    feature.float_list.value.extend(values.astype(np.float32).ravel().tolist())
