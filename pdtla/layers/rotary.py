"""Rotary positions: scores of queries and keys depend on their distance in time."""

import numpy as np
from keras import ops

_LONGEST_WAVE = 10_000.0


def rotate(vectors, positions):
    """Turns pairs of components by angles that grow with the position.

    Args:
      vectors: float `[B, heads, L, D]`, D even.
      positions: int32 `[B, L]`.

    Returns:
      float `[B, heads, L, D]`, of the same lengths.

    Raises:
      ValueError: an odd width.

    Reference: Su et al. 2021, RoFormer (arXiv 2104.09864), equation 34.
    """
    size = vectors.shape[-1]
    if size % 2:
        raise ValueError(f"Rotary positions need heads of even width, got {size}.")
    wave = np.asarray(_LONGEST_WAVE ** (-2.0 * np.arange(size // 2) / size), "float32")
    angle = ops.cast(positions, "float32")[:, None, :, None] * wave
    cosine, sine = ops.cos(angle), ops.sin(angle)
    first, second = ops.split(ops.cast(vectors, "float32"), 2, axis=-1)
    turned = [first * cosine - second * sine, first * sine + second * cosine]
    return ops.cast(ops.concatenate(turned, axis=-1), vectors.dtype)
