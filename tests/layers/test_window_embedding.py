"""Patches are those of the image, and tokens hold values, changes and places."""

import numpy as np
import pytest

from pdtla.layers.window_embedding import WindowEmbedding, from_patches, to_patches

_RNG = np.random.default_rng(0)


@pytest.mark.parametrize("shape", [(2, 3, 8, 12, 3), (2, 1, 4, 4, 1), (2, 3, 5)])
def test_patches_are_undone_exactly(shape):
    window = _RNG.standard_normal(shape).astype("float32")
    patches = to_patches(window, 4)
    np.testing.assert_array_equal(from_patches(patches, shape, 4), window)


def test_a_patch_is_a_square_of_its_frame():
    window = _RNG.standard_normal((2, 3, 8, 12, 3)).astype("float32")
    patches = np.array(to_patches(window, 4))
    assert patches.shape == (2, 3, 6, 48)
    for place in range(6):
        row, column = 4 * (place // 3), 4 * (place % 3)
        square = window[:, :, row : row + 4, column : column + 4]
        np.testing.assert_array_equal(patches[:, :, place], square.reshape(2, 3, 48))


def test_tokens_are_values_changes_and_positions():
    embedding = WindowEmbedding(width=7, patch_size=4)
    window = _RNG.standard_normal((2, 3, 5)).astype("float32")
    tokens = embedding(window)
    changes = np.diff(window, axis=1, prepend=window[:, :1])
    kernel = np.array(embedding.projection.kernel)
    expected = window @ kernel[:5] + changes @ kernel[5:]
    expected += np.array(embedding.time_embedding)[:, 0]
    expected += np.array(embedding.space_embedding)[0]
    np.testing.assert_allclose(tokens[:, :, 0], expected, atol=1e-5)


def test_positions_tell_steps_and_places_apart():
    embedding = WindowEmbedding(width=16, patch_size=4)
    tokens = np.array(embedding(np.zeros((1, 3, 8, 8, 3), "float32")))[0].reshape(
        12, 16
    )
    distances = np.abs(tokens[:, None] - tokens[None]).max(-1)
    assert distances[~np.eye(12, dtype=bool)].min() > 1e-3


def test_shorter_windows_are_embedded_and_longer_ones_refused():
    embedding = WindowEmbedding(width=7, patch_size=4)
    window = _RNG.standard_normal((2, 3, 8, 8, 3)).astype("float32")
    whole = embedding(window)
    np.testing.assert_allclose(embedding(window[:, :2]), whole[:, :2], atol=1e-5)
    with pytest.raises(ValueError, match="at most the 3 .* got 4"):
        embedding(np.zeros((2, 4, 8, 8, 3), "float32"))


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        ((None, 3, 8, 10, 3), "multiples of it, got 8 x 10"),
        ((None, 8, 8, 3), r"\[B, T, H, W, C\]"),
    ],
)
def test_other_observations_are_refused(shape, message):
    with pytest.raises(ValueError, match=message):
        WindowEmbedding(width=7, patch_size=4).build(shape)
