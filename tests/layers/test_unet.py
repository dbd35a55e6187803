"""The U-Net computes what the plain way of writing it does, and uses its latent."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from benchmarks.reference_step import PlainUNet
from pdtla.layers.unet import UNet

_RNG = np.random.default_rng(0)
_FRAMES = _RNG.uniform(-0.5, 0.5, (3, 16, 16, 6)).astype("float32")
_LATENT = _RNG.standard_normal((3, 5)).astype("float32")


def _pair(normalization=None):
    # float64: the two differ by rounding alone, also where a ReLU is about to switch.
    kwargs = {"base": 4, "normalization": normalization, "dtype": "float64"}
    fast, plain = UNet(**kwargs), PlainUNet(**kwargs)
    for network in (fast, plain):
        network.build(_FRAMES.shape, _LATENT.shape)
    for source, target in zip(fast.variables, plain.variables, strict=True):
        value = source + 0.1 * _RNG.standard_normal(source.shape)
        source.assign(value)
        target.assign(value)
    return fast, plain


@pytest.mark.parametrize("normalization", [None, "batch", "group"])
def test_fast_and_plain_forms_agree(normalization):
    results = []
    for network in _pair(normalization):
        frames, latent = (
            tf.constant(_FRAMES, "float64"),
            tf.constant(_LATENT, "float64"),
        )
        with tf.GradientTape() as tape:
            tape.watch([frames, latent])
            outputs = network(frames, latent, training=True)
            loss = tf.reduce_mean(outputs**2)
        watched = [frames, latent, *network.trainable_variables]
        results.append([outputs, *tape.gradient(loss, watched)])
    for fast, plain in zip(*results, strict=True):
        scale = np.abs(plain).max()
        np.testing.assert_allclose(fast, plain, atol=1e-6 * scale + 1e-12)


def _latent_gradient(network):
    latent = tf.constant(_LATENT)
    with tf.GradientTape() as tape:
        tape.watch(latent)
        loss = tf.reduce_sum(network(_FRAMES, latent) ** 2)
    return np.abs(tape.gradient(loss, latent)).max()


def test_the_latent_enters_at_the_input_and_at_the_bottleneck():
    keras.utils.set_random_seed(0)
    network = UNet(base=4)
    network.build(_FRAMES.shape, _LATENT.shape)
    at_input, at_bottleneck = network.input_latent, network.up[0][0].kernel
    initial = np.array(at_input)
    at_input.assign(np.zeros_like(initial))
    assert _latent_gradient(network) > 1e-3
    from_features = np.array(at_bottleneck)
    from_features[:, :, -_LATENT.shape[-1] :] = 0.0
    at_bottleneck.assign(from_features)
    assert _latent_gradient(network) == 0.0
    at_input.assign(initial)
    assert _latent_gradient(network) > 1e-3


def test_lapo_size():
    network = UNet(base=24)
    network.build((None, 64, 64, 6), (None, 128))
    # LAPO's world model has 7,814,139 with BatchNorm's scales and offsets, 3,024.
    assert network.count_params() == 7_811_115


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"normalization": "layer"}, "one of"), ({"normalization": "Batch"}, "'Batch'")],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        UNet(**arguments)


@pytest.mark.parametrize("shape", [(2, 64, 32, 3), (2, 48, 48, 3), (2, 4, 4, 3)])
def test_wrong_image_sizes_are_refused(shape):
    with pytest.raises(ValueError, match="power of two"):
        UNet(base=4).build(shape, (2, 5))
