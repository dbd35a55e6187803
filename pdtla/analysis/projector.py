"""Latents for TensorBoard's projector, which maps them by PCA, t-SNE or UMAP."""

import io
import pathlib

import numpy as np
from PIL import Image
from tensorboard.plugins import projector

from pdtla.analysis import files

_POINTS = 2000
_SIDE = 32  # pixels of a thumbnail


def write_projector(
    directory: pathlib.Path, latents: np.ndarray, actions: np.ndarray, now: np.ndarray
) -> None:
    """Writes latents with their actions, and o_t as thumbnails where it is an image.

    Args:
      directory: a folder of TensorBoard events.
      latents: float `[N, D]`; the first 2,000 are shown.
      actions: int `[N]` or float `[N, A]`.
      now: o_t, `[N, ...]`.
    """
    latents, actions, now = (each[:_POINTS] for each in (latents, actions, now))
    files.write_atomically(directory / "latents.tsv", _table(latents, "%.5g"))
    columns = actions.reshape(len(actions), -1)
    header = "\t".join(f"action_{index}" for index in range(columns.shape[-1]))
    lines = _table(columns, "%.5g")
    if columns.shape[-1] > 1:  # one column goes without a name
        lines = header.encode() + b"\n" + lines
    files.write_atomically(directory / "actions.tsv", lines)
    config = projector.ProjectorConfig()
    embedding = config.embeddings.add(
        tensor_name="latents", tensor_path="latents.tsv", metadata_path="actions.tsv"
    )
    if now.dtype == np.uint8:
        files.write_atomically(directory / "frames.png", _sprite(now))
        embedding.sprite.image_path = "frames.png"
        embedding.sprite.single_image_dim.extend([_SIDE, _SIDE])
    text = str(config).encode()
    files.write_atomically(directory / "projector_config.pbtxt", text)


def _table(values: np.ndarray, form: str) -> bytes:
    text = io.BytesIO()
    np.savetxt(text, values, fmt=form, delimiter="\t")
    return text.getvalue()


def _sprite(frames: np.ndarray) -> bytes:
    """Thumbnails row by row in one square picture."""
    side = int(np.ceil(np.sqrt(len(frames))))
    sheet = Image.new("RGB", (side * _SIDE, side * _SIDE))
    for index, frame in enumerate(frames):
        row, column = divmod(index, side)
        small = Image.fromarray(frame).resize((_SIDE, _SIDE))
        sheet.paste(small, (column * _SIDE, row * _SIDE))
    buffer = io.BytesIO()
    sheet.save(buffer, format="PNG")
    return buffer.getvalue()
