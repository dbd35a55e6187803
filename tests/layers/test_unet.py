"""The U-Net computes what the plain way of writing it does, and uses its latent."""

import numpy as np
import pytest
import tensorflow as tf

from benchmarks.reference_step import PlainUNet
from pdtla.layers.unet import UNet

_RNG = np.random.default_rng(0)
_FRAMES = _RNG.uniform(-0.5, 0.5, (3, 16, 16, 6)).astype("float32")
_LATENT = _RNG.standard_normal((3, 5)).astype("float32")


def _pair(normalization=None):
    fast = UNet(base=4, normalization=normalization)
    plain = PlainUNet(base=4, normalization=normalization)
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
        frames, latent = tf.constant(_FRAMES), tf.constant(_LATENT)
        with tf.GradientTape() as tape:
            tape.watch([frames, latent])
            outputs = network(frames, latent, training=True)
            loss = tf.reduce_mean(outputs**2)
        watched = [frames, latent, *network.trainable_variables]
        results.append([outputs, *tape.gradient(loss, watched)])
    for fast, plain in zip(*results, strict=True):
        scale = np.abs(plain).max()
        np.testing.assert_allclose(fast, plain, atol=2e-4 * scale + 1e-7)


def test_the_latent_enters_at_the_input_and_at_the_bottleneck():
    network, _ = _pair()
    network.input_latent.assign(tf.zeros_like(network.input_latent))
    for closed in ("bottleneck", "input"):
        latent = tf.constant(_LATENT)
        with tf.GradientTape() as tape:
            tape.watch(latent)
            loss = tf.reduce_sum(network(_FRAMES, latent) ** 2)
        assert np.abs(tape.gradient(loss, latent)).max() > 1e-4, closed
        kernel = network.up[0][0].kernel
        open_input = np.ones(network.input_latent.shape, "float32")
        network.input_latent.assign(open_input * 0.1)
        without_latent = np.array(kernel)
        without_latent[:, :, -_LATENT.shape[-1] :] = 0.0
        kernel.assign(without_latent)


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
