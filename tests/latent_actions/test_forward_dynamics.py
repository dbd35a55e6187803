"""What the forward model adds to its decoder."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla.latent_actions.forward_dynamics import ForwardDynamics
from pdtla.layers.module_io import load_module, save_module
from pdtla.layers.unet import UNet

_RNG = np.random.default_rng(0)
_CONTEXT = _RNG.integers(0, 256, (3, 2, 8, 8, 3), "uint8")
_LATENT = _RNG.standard_normal((3, 5)).astype("float32")


def make(gain=100.0, **kwargs):
    """A forward model whose decoder's outputs are `gain` times those of a new one."""
    model = ForwardDynamics(UNet(base=4), **kwargs)
    model.build(_CONTEXT.shape, _LATENT.shape)
    output = model.decoder.output_convolution.kernel
    output.assign(gain * output)
    return model


def raw(model):
    return model.decoder(model.frames(_CONTEXT), _LATENT).numpy()


def test_normalized_frames_lie_in_the_range_of_the_inputs():
    model = make(gain=1e4)
    predicted = model(_CONTEXT, _LATENT).numpy()
    np.testing.assert_allclose(predicted, np.tanh(raw(model)) / 2, rtol=1e-5)
    assert np.abs(raw(model)).max() > 1.0
    assert np.abs(predicted).max() <= 0.5


def test_frames_are_left_alone_without_normalisation():
    model = make(gain=1e4, normalize_obs_pred=False)
    predicted = model(_CONTEXT, _LATENT).numpy()
    np.testing.assert_array_equal(predicted, raw(model))
    assert np.abs(predicted).max() > 0.5


@pytest.mark.parametrize("normalize_obs_pred", [True, False])
def test_differences_are_added_to_the_last_frame(normalize_obs_pred):
    model = make(predict="difference", normalize_obs_pred=normalize_obs_pred)
    expected = (_CONTEXT[:, -1] - 127.5) / 255 + raw(model)
    np.testing.assert_allclose(model(_CONTEXT, _LATENT), expected, atol=1e-6)


def test_it_is_saved_whole(tmp_path):
    model = make(predict="difference", normalize_obs_pred=False)
    save_module(model, tmp_path / "fdm")
    loaded = load_module(tmp_path / "fdm")
    assert (loaded.predict, loaded.normalize_obs_pred) == ("difference", False)
    np.testing.assert_array_equal(loaded(_CONTEXT, _LATENT), model(_CONTEXT, _LATENT))


def test_the_last_frame_is_not_rounded_under_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    model = make(gain=0.0, predict="difference")
    predicted = model(_CONTEXT, _LATENT)
    assert predicted.dtype == tf.float32
    copied = (_CONTEXT[:, -1] - 127.5) / 255
    np.testing.assert_allclose(predicted, copied, atol=1e-6)


def test_what_it_predicts_must_be_known():
    with pytest.raises(ValueError, match="'frame' or 'difference', got 'pixels'"):
        ForwardDynamics(UNet(base=4), predict="pixels")
