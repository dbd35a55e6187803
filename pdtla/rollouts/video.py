"""Rollout videos: episodes side by side, as animated GIFs."""

import io
import os
from collections.abc import Sequence

import numpy as np
from PIL import Image

from pdtla.analysis import files

_GAP = 2  # pixels of white between episodes


def side_by_side(
    videos: Sequence[np.ndarray], max_frames: int | None = None
) -> np.ndarray:
    """Joins episodes into one video; those that end early fade and stand still.

    Args:
      videos: uint8 `[T_i, H, W, 3]` each, of one frame size.
      max_frames: cap on the length; the videos are cut there.

    Returns:
      uint8 `[T, H, W', 3]`, T the longest episode.

    Raises:
      ValueError: there are no videos.
    """
    if not len(videos):
        raise ValueError("A video needs at least one recorded episode, got none.")
    length = max(len(video) for video in videos)
    length = length if max_frames is None else min(length, max_frames)
    height = videos[0].shape[1]
    gap = np.full((length, height, _GAP, 3), 255, np.uint8)
    columns = []
    for video in videos:
        columns += [_extend(video[:length], length), gap]
    return np.concatenate(columns[:-1], axis=2)


def encode_gif(frames: np.ndarray, fps: int = 15, scale: int = 2) -> bytes:
    """Encodes uint8 `[T, H, W, 3]` as an endless GIF, pixels enlarged by `scale`."""
    enlarged = frames.repeat(scale, axis=1).repeat(scale, axis=2)
    first, *rest = [Image.fromarray(frame) for frame in enlarged]
    buffer = io.BytesIO()
    first.save(
        buffer,
        format="GIF",
        save_all=True,
        append_images=rest,
        duration=round(1000 / fps),
        loop=0,
    )
    return buffer.getvalue()


def write_gif(
    path: str | os.PathLike,
    videos: Sequence[np.ndarray],
    *,
    fps: int = 15,
    scale: int = 2,
    max_frames: int | None = 500,
) -> None:
    """Writes episodes side by side to a GIF; the file appears only when whole.

    Args:
      path: where to.
      videos: uint8 `[T_i, H, W, 3]` each.
      fps: frames a second.
      scale: enlargement of each pixel.
      max_frames: cap on the length.
    """
    data = encode_gif(side_by_side(videos, max_frames), fps, scale)
    files.write_atomically(path, data)


def _extend(video: np.ndarray, length: int) -> np.ndarray:
    """Holds the last frame, half bright, until `length`."""
    still = np.repeat(video[-1:] // 2, length - len(video), axis=0)
    return np.concatenate([video, still])
