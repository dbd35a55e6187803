"""Observations in a few numbers."""

import numpy as np

_COMPONENTS = 16
_SIDE = 16  # images are averaged to about this many pixels a side first


def compress(
    observations: np.ndarray, test_observations: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The first principal components of observations.

    Args:
      observations: uint8 `[N, H, W, C]` or float `[N, D]`, which the components are of.
      test_observations: more of them.

    Returns:
      float32 `[N, P]` and `[L, P]`, P at most 16. States are standardised first;
      images are averaged over squares of pixels.
    """
    x, test_x = (_flat(each) for each in (observations, test_observations))
    mean = x.mean(axis=0)
    x, test_x = x - mean, test_x - mean
    if observations.dtype != np.uint8:
        scale = np.maximum(x.std(axis=0), 1e-6)
        x, test_x = x / scale, test_x / scale
    components = principal(x, _COMPONENTS)
    return x @ components, test_x @ components


def principal(x: np.ndarray, number: int) -> np.ndarray:
    """Directions `[D, P]` of the most variance of centred rows `[N, D]`."""
    _, vectors = np.linalg.eigh(x.T @ x / len(x))
    return np.ascontiguousarray(vectors[:, ::-1][:, :number]).astype("float32")


def _flat(observations: np.ndarray) -> np.ndarray:
    if observations.dtype != np.uint8:
        return observations.reshape(len(observations), -1).astype("float32")
    number, height, width, channels = observations.shape
    step = max(1, min(height, width) // _SIDE)
    rows, columns = height // step, width // step
    cut = observations[:, : rows * step, : columns * step]
    squares = cut.reshape(number, rows, step, columns, step, channels)
    return (squares.mean(axis=(2, 4)) / 255.0).reshape(number, -1).astype("float32")
