"""RLDS datasets as nobody should write them: fields missing, of other types, ragged."""

import pathlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from pdtla.datasets import rlds_reader, rlds_writer

NAME = "fuzzed"
LENGTHS = (9, 7, 12, 8, 10)
STATES = {
    "observation": ((3,), "float32"),
    "action": ((2,), "float32"),
    "reward": ((), "float32"),
    "discount": ((), "float32"),
    "is_first": ((), "bool"),
    "is_last": ((), "bool"),
    "is_terminal": ((), "bool"),
}
IMAGES = STATES | {"observation": ((64, 64, 3), "uint8")}
DECODED = ("index.json", "is_first.raw", "action.json", "action.raw")
FILES = ("features.json", "dataset_info.json", "shard", *DECODED)
HARMS = ("cut", "empty", "missing", "garbage", "directory")


def write(
    data_dir: str,
    images: bool = False,
    lengths: list[int] | None = None,
    fields: Mapping[str, Any] | None = None,
    values: Mapping[str, Any] | None = None,
    harm: tuple[str, str] | None = None,
) -> None:
    """Writes a dataset of random steps.

    Args:
      data_dir: where to.
      images: observations are images rather than states.
      lengths: of the episodes.
      fields: replaces fields of a step, name to (shape, dtype); None for no such field.
      values: what some field has in one step of every episode, as text: "nan", "5".
      harm: which file is harmed afterwards, and how; see `FILES` and `HARMS`.
    """
    root = pathlib.Path(data_dir) / NAME / "1.0.0"
    root.mkdir(parents=True)
    layout = dict(IMAGES if images else STATES) | dict(fields or {})
    layout = {name: made for name, made in layout.items() if made is not None}
    lengths = list(LENGTHS if lengths is None else lengths)
    steps = {name: _feature(*made) for name, made in layout.items()}
    features = tfds.features.FeaturesDict({"steps": tfds.features.Dataset(steps)})
    info = rlds_writer.split_info(root, NAME, "train", [len(lengths)])
    rng = np.random.default_rng(0)
    with tf.io.TFRecordWriter(str(info.filepaths[0])) as writer:
        for length in lengths:
            episode = [
                {
                    name: _value(rng, name, *made, t, length)
                    for name, made in layout.items()
                }
                for t in range(length)
            ]
            for name, value in (values or {}).items():
                if episode and isinstance(episode[0].get(name), np.ndarray):
                    step = episode[length // 2]
                    kind = step[name].dtype
                    step[name] = np.full_like(
                        step[name], np.array(float(value)).astype(kind)
                    )
            writer.write(features.serialize_example({"steps": episode}))
    info = rlds_writer.split_info(root, NAME, "train", [len(lengths)])
    rlds_writer.write_metadata(root, features, [info], {}, "Made to be refused.")
    if harm:
        _harm(root, *harm)


def _feature(shape: list[int | None], dtype: str) -> Any:
    if dtype == "png":
        return tfds.features.Image(shape=tuple(shape), encoding_format="png")
    if dtype == "text":
        return tfds.features.Text()
    if dtype.startswith("label"):
        return tfds.features.ClassLabel(num_classes=int(dtype[len("label") :]))
    if None in shape:
        return tfds.features.Sequence(np.dtype(dtype))
    return tfds.features.Tensor(shape=tuple(shape), dtype=np.dtype(dtype))


def _value(
    rng: np.random.Generator,
    name: str,
    shape: list[int | None],
    dtype: str,
    t: int,
    length: int,
) -> Any:
    if dtype == "text":
        return "words"
    if dtype.startswith("label"):
        return int(rng.integers(int(dtype[len("label") :])))
    if name.startswith("is_"):
        value = {"is_first": t == 0}.get(name, t == length - 1)
        return np.full(shape, value).astype(dtype)
    shape = [t % 3 + 1 if size is None else size for size in shape]
    if dtype in ("uint8", "png"):
        return rng.integers(256, size=shape).astype(np.uint8)
    if np.dtype(dtype).kind in "iub":
        return rng.integers(2, size=shape).astype(dtype)
    return rng.uniform(-1, 1, shape).astype(dtype)


def _harm(root: pathlib.Path, file: str, how: str) -> None:
    path = root / file
    if file == "shard":
        path = next(root.glob("*.tfrecord-*"))
    elif file in DECODED:
        try:
            rlds_reader.RldsReader(dataset_name=NAME, data_dir=str(root.parents[1]))
        except (OSError, ValueError):
            return  # it is refused as it is
        found = list(root.glob(f"decoded/*/{file}"))
        if not found:
            return
        path = found[0]
    content = path.read_bytes()
    path.unlink()
    if how == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "garbage":
        path.write_bytes(b"\xff{\x00" + content[::-1])
    elif how == "directory":
        path.mkdir()
