"""`StepField`, how one field of ours is made from the fields of a foreign dataset."""

import functools

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from pdtla import specs

Feature = tfds.features.FeatureConnector

# Types on disk that no module computes with.
_NARROWED = {
    "float64": "float32",
    "float16": "float32",
    "bfloat16": "float32",
    "int64": "int32",
    "uint32": "int32",
    "uint64": "int32",
}
_VECTORS = (specs.OBSERVATION, specs.ACTION)


class StepField:
    """Decodes a field of the steps of an episode, whole episodes at once if possible.

    Types narrow to float32 and int32. Several paths make one vector of floats, in their
    order, flattened; a lone float becomes a vector of one.

    Args:
      name: of the field of ours.
      features: of a step of the dataset.
      paths: where the dataset has it, as `("observation/image",)`.
      image_size: height and width that images are resized to, antialiased; None keeps
        them as they are.

    Attributes:
      spec: of one step.
      key: names what is decoded: it differs wherever the decoded values would.

    Raises:
      ValueError: no such path, or nothing that an array can be made of; says what there
        is.
    """

    def __init__(
        self,
        name: str,
        features: tfds.features.FeaturesDict,
        paths: tuple[str, ...],
        image_size: tuple[int, int] | None = None,
    ):
        self._paths = paths
        self._features = [_find(features, name, path) for path in paths]
        self._size = image_size if _is_image(self._features) else None
        self.spec = self._make_spec(name)
        self.key = "+".join(paths)
        if self._size:
            self.key += f"@{self._size[0]}x{self._size[1]}"

    def decode(self, steps: dict) -> tf.Tensor:
        """The field of all steps, `[T, ...]`, from what is stored of them."""
        parts = [
            self._decode_part(
                functools.reduce(lambda tree, key: tree[key], path.split("/"), steps),
                feature,
            )
            for path, feature in zip(self._paths, self._features, strict=True)
        ]
        if len(parts) > 1:
            width = [int(np.prod(feature.shape)) for feature in self._features]
            parts = [
                tf.reshape(tf.cast(part, tf.float32), (-1, size))
                for part, size in zip(parts, width, strict=True)
            ]
        array = tf.cast(tf.concat(parts, axis=-1), self.spec.dtype)
        return tf.reshape(array, (-1, *self.spec.shape))

    def _decode_part(self, value: tf.Tensor, feature: Feature) -> tf.Tensor:
        if not self._size or None not in feature.shape[:2]:
            decoded = _decode_steps(value, feature)
            return self._resize(decoded) if self._size else decoded
        # Images of several sizes cannot be stacked before they are resized.
        return tf.map_fn(
            lambda image: self._resize(feature.decode_example(image)),
            value,
            fn_output_signature=tf.TensorSpec(self.spec.shape, tf.uint8),
        )

    def _resize(self, images: tf.Tensor) -> tf.Tensor:
        resized = tf.image.resize(images, self._size, antialias=True)
        return tf.cast(tf.round(tf.clip_by_value(resized, 0.0, 255.0)), tf.uint8)

    def _make_spec(self, name: str) -> specs.ArraySpec:
        shapes = [tuple(feature.shape) for feature in self._features]
        if self._size:
            shapes = [(*self._size, *shape[2:]) for shape in shapes]
        for path, shape in zip(self._paths, shapes, strict=True):
            if 0 in shape:
                raise ValueError(
                    f"Field {path!r} must hold values, its shape is {shape}."
                )
            if None in shape:
                raise ValueError(
                    f"Field {path!r} must have one size, got {shape}; "
                    "image_size makes images of one size."
                )
        if len(shapes) > 1:
            width = sum(int(np.prod(shape)) for shape in shapes)
            return specs.ArraySpec((width,), "float32")
        (feature,) = self._features
        dtype = np.dtype(feature.np_dtype).name
        dtype = _NARROWED.get(dtype, dtype)
        shape = shapes[0]
        if not shape and dtype == "float32" and name in _VECTORS:
            shape = (1,)
        values = getattr(feature, "num_classes", None)
        return specs.ArraySpec(shape, dtype, num_values=values)


def is_array(feature: Feature | None) -> bool:
    """Whether a feature holds numbers or pixels, rather than text, videos or dicts."""
    kinds = tfds.features.Tensor | tfds.features.Image
    return isinstance(feature, kinds) and np.dtype(feature.np_dtype).kind in "fiub"


def leaf_paths(features: tfds.features.FeaturesDict) -> list[str]:
    """Paths of all fields of a step, as `observation/image`."""
    paths = []
    for key, feature in features.items():
        if isinstance(feature, tfds.features.FeaturesDict):
            paths += [f"{key}/{path}" for path in leaf_paths(feature)]
        else:
            paths.append(key)
    return sorted(paths)


def _find(features: tfds.features.FeaturesDict, name: str, path: str) -> Feature:
    feature = features
    for key in path.split("/"):
        if not isinstance(feature, tfds.features.FeaturesDict) or key not in feature:
            feature = None
            break
        feature = feature[key]
    if feature is None or isinstance(feature, tfds.features.FeaturesDict):
        raise ValueError(
            f"field_map[{name!r}] must name some of {leaf_paths(features)}, "
            f"got {path!r}."
        )
    if not is_array(feature):
        raise ValueError(
            f"field_map[{name!r}] must name arrays, {path!r} is "
            f"{type(feature).__name__}."
        )
    return feature


def _is_image(features: list[Feature]) -> bool:
    (feature, *others) = features
    return not others and feature.np_dtype == np.uint8 and len(feature.shape) == 3


def _decode_steps(value: tf.Tensor, feature: Feature) -> tf.Tensor:
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
