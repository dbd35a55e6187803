"""Decodes the steps of RLDS episodes, whole episodes at once where possible."""

import tensorflow as tf
import tensorflow_datasets as tfds

Feature = tfds.features.FeatureConnector


def note_episode(episode: dict, index: dict) -> None:
    """Appends length, id and level of an episode to the lists of `index`."""
    number = len(index["lengths"])
    index["lengths"].append(int(episode["length"]))
    name = episode.get("episode_id", number)
    index["episode_ids"].append(name.decode() if isinstance(name, bytes) else str(name))
    level = episode.get("level_seed", -1)
    index["level_seeds"].append(None if level == -1 else int(level))


def find_feature(features: tfds.features.FeaturesDict, path: str) -> Feature | None:
    """The feature at a path such as `observation/image`, None if there is none."""
    feature = features
    for key in path.split("/"):
        if not isinstance(feature, tfds.features.FeaturesDict) or key not in feature:
            return None
        feature = feature[key]
    return None if isinstance(feature, tfds.features.FeaturesDict) else feature


def decode_steps(value: tf.Tensor, feature: Feature) -> tf.Tensor:
    """Decodes a field of all steps of an episode, `[T]` or more to `[T, ...]`."""
    raw_bytes = (
        isinstance(feature, tfds.features.Tensor)
        and not isinstance(feature, tfds.features.ClassLabel)
        and value.dtype == tf.string
        and feature.to_json_content().encoding == "bytes"
    )
    if raw_bytes:  # one operation an episode; TFDS decodes step by step
        decoded = tf.io.decode_raw(value, feature.tf_dtype)
        return tf.reshape(decoded, (-1, *feature.shape))
    return feature.decode_batch_example(value)
