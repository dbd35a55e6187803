"""Values and order of stacked frames and of differences."""

import numpy as np
import pytest
import tensorflow as tf

from pdtla.layers.frame_stack import FrameStack, to_float

_FRAMES = np.random.default_rng(0).integers(0, 256, (2, 3, 4, 5, 3), dtype="uint8")
_EXACT = _FRAMES.astype("float64") / 255.0 - 0.5


def test_stack_keeps_the_order_of_time():
    stacked = FrameStack("stack")(_FRAMES)
    expected = np.concatenate([_EXACT[:, 0], _EXACT[:, 1], _EXACT[:, 2]], axis=-1)
    assert stacked.shape == (2, 4, 5, 9)
    np.testing.assert_allclose(stacked, expected, atol=1e-6)


def test_differences_run_back_from_the_last_transition():
    stacked = FrameStack("difference", gain=3.0)(_FRAMES)
    before, now, after = (_EXACT[:, t] for t in range(3))
    expected = np.concatenate([now, 3.0 * (after - now), 3.0 * (now - before)], axis=-1)
    np.testing.assert_allclose(stacked, expected, atol=1e-6)


@pytest.mark.parametrize("mode", ["stack", "difference"])
def test_one_frame_is_returned_normalised(mode):
    stacked = FrameStack(mode)(_FRAMES[:, :1])
    np.testing.assert_allclose(stacked, _EXACT[:, 0], atol=1e-6)


def test_floats_are_taken_as_they_are():
    frames = np.float32(_EXACT)
    np.testing.assert_array_equal(to_float(frames), frames)
    stacked = FrameStack("stack")(frames)
    np.testing.assert_array_equal(stacked[..., 3:6], frames[:, 1])


def test_bfloat16_pixels_are_rounded_once():
    pixels = np.arange(256, dtype="uint8")
    values = to_float(tf.constant(pixels), "bfloat16")
    exact = (pixels.astype("float64") - 127.5) / 255.0
    error = np.abs(tf.cast(values, "float64") - exact) / np.abs(exact)
    assert error.max() <= 2**-8


def test_wrong_arguments_are_refused():
    with pytest.raises(ValueError, match="'diff'"):
        FrameStack("diff")
    with pytest.raises(ValueError, match=r"\[B, T, H, W, C\]"):
        FrameStack()(_FRAMES[:, 0])


def test_small_changes_of_states_survive_bfloat16():
    states = np.random.default_rng(0).standard_normal((64, 1, 8)).astype("float32")
    states = np.concatenate([states, states + 0.02], axis=1)
    stack = FrameStack("difference", gain=1.0, dtype="mixed_bfloat16")
    stacked = stack(tf.constant(states))
    assert stacked.dtype == tf.bfloat16
    np.testing.assert_allclose(
        tf.cast(stacked[..., 8:], "float32"), states[:, 1] - states[:, 0], rtol=2**-8
    )
