"""Quantizers against `vector-quantize-pytorch`, weights copied across, and NumPy.

The reference's outputs are stored, so that they are compared with everywhere; where it
is installed it is run as well. `quantizer_reference.py` says how to store them.
"""

import functools

import numpy as np
import pytest
import quantizer_reference as reference
import tensorflow as tf

from pdtla.layers.finite_scalar_quantizer import FiniteScalarQuantizer
from pdtla.layers.gaussian_latent import GaussianLatent
from pdtla.layers.noise_substitution_quantizer import NoiseSubstitutionQuantizer
from pdtla.layers.residual_finite_scalar_quantizer import (
    ResidualFiniteScalarQuantizer,
)
from pdtla.layers.residual_quantizer import ResidualQuantizer
from pdtla.layers.vector_quantizer import VectorQuantizer


@functools.cache
def _live():
    pytest.importorskip("vector_quantize_pytorch")
    return reference.compute()


@pytest.fixture(params=["stored", "live"])
def outputs(request):
    """Outputs of the reference for each case."""
    return reference.stored() if request.param == "stored" else _live()


def _vq(**kwargs):
    return VectorQuantizer(
        reference.CODES,
        num_codebooks=1,
        num_latents=1,
        code_dim=reference.DIM,
        restart_threshold=0.0,
        **kwargs,
    )


def test_vq_step_agrees(outputs):
    expected = outputs["vq"]
    layer = _vq(decay=reference.DECAY, commitment=0.25)
    layer.build((None, reference.DIM))
    codes, counts = reference.codebooks()[:1], reference.counts()[None]
    layer.codebook.assign(codes)
    layer.average_count.assign(counts)
    layer.average_sum.assign(codes * counts[..., None])
    layer.updates.assign(1_000_000)
    found = layer(reference.inputs(), training=True)
    np.testing.assert_array_equal(found["codes"][:, 0], expected["codes"])
    np.testing.assert_allclose(found["quantized"], expected["quantized"], atol=1e-5)
    np.testing.assert_allclose(found["loss"], expected["loss"], rtol=1e-5)
    np.testing.assert_allclose(layer.average_count[0], expected["counts"], rtol=1e-5)
    # The reference smooths its counts by 1e-5 of their sum.
    np.testing.assert_allclose(layer.codebook[0], expected["codebook"], atol=1e-4)


@pytest.mark.parametrize("shared", [False, True])
def test_residual_vq_agrees(outputs, shared):
    expected = outputs["residual_vq_shared" if shared else "residual_vq"]
    layer = ResidualQuantizer(_vq(), 3, shared_codebook=shared)
    layer.build((None, reference.DIM))
    for level, codes in zip(layer.quantizers, reference.codebooks(), strict=True):
        level.codebook.assign(reference.codebooks()[:1] if shared else codes[None])
    found = layer(reference.inputs())
    np.testing.assert_array_equal(found["codes"], expected["codes"])
    np.testing.assert_allclose(found["levels"], expected["levels"], atol=1e-5)
    np.testing.assert_allclose(found["quantized"], expected["quantized"], atol=1e-5)


def test_every_level_quantizes_the_residual():
    """A relative fed the input itself to every level, which all found the same."""
    layer = ResidualQuantizer(_vq(), 2)
    inputs = reference.inputs()
    for _ in range(20):
        found = layer(inputs, training=True)
    first, second = layer.quantizers
    found = layer(inputs)
    coarse = first(inputs)
    rest = second(inputs - coarse["quantized"])
    codes = np.concatenate([coarse["codes"], rest["codes"]], axis=1)
    np.testing.assert_array_equal(found["codes"], codes)
    np.testing.assert_allclose(
        found["quantized"], coarse["quantized"] + rest["quantized"], atol=1e-6
    )
    errors = np.square(found["levels"] - inputs[:, None]).mean(axis=(0, 2))
    assert errors[1] < 0.8 * errors[0]


def _set_projections(layer, width):
    into, into_bias, out, out_bias = reference.projections(width)
    layer.projection_in.kernel.assign(into)
    layer.projection_in.bias.assign(into_bias)
    layer.projection_out.kernel.assign(out)
    layer.projection_out.bias.assign(out_bias)


@pytest.mark.parametrize("case", ["fsq", "fsq_plain"])
def test_fsq_and_its_gradient_agree(outputs, case):
    expected = outputs[case]
    levels = reference.LEVELS if case == "fsq_plain" else reference.LEVELS[:2]
    layer = FiniteScalarQuantizer(levels, reference.DIM, num_latents=2)
    layer.build((None, reference.DIM))
    if case == "fsq":
        _set_projections(layer, 2 * len(levels))
    inputs = tf.constant(reference.inputs())
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        found = layer(inputs, training=True)
        total = tf.reduce_sum(found["quantized"])
    np.testing.assert_array_equal(found["codes"], expected["codes"])
    np.testing.assert_allclose(found["quantized"], expected["quantized"], atol=1e-5)
    gradient = tape.gradient(total, inputs)
    np.testing.assert_allclose(gradient, expected["gradient"], rtol=1e-3, atol=1e-5)


def test_residual_fsq_agrees(outputs):
    expected = outputs["residual_fsq"]
    layer = ResidualFiniteScalarQuantizer(reference.LEVELS, 3, reference.DIM)
    layer.build((None, reference.DIM))
    _set_projections(layer, len(reference.LEVELS))
    found = layer(reference.inputs())
    np.testing.assert_array_equal(found["codes"], expected["codes"])
    np.testing.assert_allclose(found["quantized"], expected["quantized"], atol=1e-5)


def test_every_fsq_code_is_decoded_and_found_again():
    layer = FiniteScalarQuantizer((8, 6, 5))
    codes = np.arange(layer.num_codes)[:, None]
    grid = np.asarray(layer.codes_to_latent(codes))
    assert len(np.unique(grid, axis=0)) == 8 * 6 * 5
    assert grid.min() == -1.0 and grid.max() == 1.0
    # Zero lies on a level for even and odd numbers alike: the half-shift.
    assert any((row == 0.0).all() for row in grid)
    half = np.array([4.0, 3.0, 2.0])
    extent = (np.array([8, 6, 5]) - 1) * 1.001 / 2
    offset = np.array([0.5, 0.5, 0.0])
    inputs = np.arctanh((grid * half + offset) / extent) - np.arctanh(offset / extent)
    np.testing.assert_array_equal(layer(inputs.astype("float32"))["codes"], codes)


def test_nsvq_is_the_closed_form():
    layer = NoiseSubstitutionQuantizer(num_codes=5, num_latents=2, code_dim=3)
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((64, 6)).astype("float32")
    for _ in range(3):
        layer(inputs, training=True)
    codebook = layer.codebook[0].numpy()
    chunks = inputs.reshape(-1, 3)
    distances = np.linalg.norm(chunks[:, None] - codebook, axis=-1)
    with tf.GradientTape() as tape:
        outputs = layer(inputs, training=True)
        weights = rng.standard_normal((128, 3)).astype("float32")
        total = tf.reduce_sum(tf.reshape(outputs["quantized"], (-1, 3)) * weights)
    codes = outputs["codes"].numpy().ravel()
    np.testing.assert_array_equal(codes, distances.argmin(axis=1))
    noise = outputs["quantized"].numpy().reshape(-1, 3) - chunks
    # As long as the error, of any direction.
    lengths = np.linalg.norm(noise, axis=1)
    np.testing.assert_allclose(lengths, distances.min(axis=1), rtol=1e-4)
    directions = noise / lengths[:, None]
    assert np.abs(directions.mean(axis=0)).max() < 0.25
    # d|x - e| / de = (e - x) / |x - e|, times the direction.
    gradient = np.zeros_like(codebook)
    along = (directions * weights).sum(axis=1) / lengths
    np.add.at(gradient, codes, along[:, None] * (codebook[codes] - chunks))
    found = tape.gradient(total, layer.codebook.value)
    np.testing.assert_allclose(tf.convert_to_tensor(found)[0], gradient, atol=1e-3)
    quantized = layer(inputs)["quantized"]
    np.testing.assert_allclose(quantized, codebook[codes].reshape(64, 6), atol=1e-6)


def test_nsvq_moves_unused_codes_beside_the_busiest():
    layer = NoiseSubstitutionQuantizer(num_codes=4, num_latents=1, code_dim=2)
    layer.build((None, 2))
    layer.codebook.assign([[[0, 0], [4, 0], [0, 4], [900, 900]]])
    layer.usage.usage.assign([[1.0, 1.0, 1.0, 0.0105]])
    layer.updates.assign(1000)
    rng = np.random.default_rng(0)
    centres = np.repeat([[0, 0], [4, 0], [0, 4]], [40, 12, 12], axis=0)
    inputs = (centres + 0.5 * rng.standard_normal((64, 2))).astype("float32")
    outputs = layer(inputs, training=True)
    assert float(outputs["dead_codes"]) == 1.0
    moved, busiest = layer.codebook[0].numpy()[[3, 0]]
    assert 0 < np.linalg.norm(moved - busiest) < 0.3
    assert float(layer(inputs, training=True)["dead_codes"]) == 0.0


def test_kl_and_samples_equal_the_closed_form():
    layer = GaussianLatent(3, kl_weight=0.5)
    layer.build((None, 3))
    rng = np.random.default_rng(0)
    layer.log_variance.kernel.assign(0.3 * rng.standard_normal((3, 3)))
    layer.log_variance.bias.assign([-1.0, 0.0, -2.0])
    inputs = rng.standard_normal((5, 3)).astype("float32")
    log_variance = inputs @ layer.log_variance.kernel.numpy() + [-1.0, 0.0, -2.0]
    terms = inputs**2 + np.exp(log_variance) - 1 - log_variance
    expected = 0.5 * terms.sum(axis=1).mean()
    outputs = layer(inputs)
    np.testing.assert_allclose(outputs["kl"], expected, rtol=1e-5)
    np.testing.assert_allclose(outputs["loss"], 0.5 * expected, rtol=1e-5)
    np.testing.assert_array_equal(outputs["quantized"], inputs)
    many, spread = inputs[:1].repeat(20_000, 0), np.exp(0.5 * log_variance[0])
    samples = layer(many, training=True)["quantized"].numpy()
    np.testing.assert_allclose(samples.mean(axis=0), inputs[0], atol=0.03)
    np.testing.assert_allclose(samples.std(axis=0), spread, rtol=0.02)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: FiniteScalarQuantizer((8, 2)), r"at least 3 levels, got \(8, 2\)"),
        (lambda: FiniteScalarQuantizer((5,), num_latents=0), "num_latents is at least"),
        (lambda: ResidualFiniteScalarQuantizer((1,)), "at least 2 levels"),
        (lambda: ResidualFiniteScalarQuantizer((3,), 0), "num_quantizers is at least"),
        (lambda: ResidualQuantizer(_vq(), 0), "num_quantizers is at least 1, got 0"),
        (lambda: ResidualQuantizer(GaussianLatent(3)), "a quantizer with codes"),
        (lambda: NoiseSubstitutionQuantizer(num_codes=0), "at least 1"),
        (lambda: GaussianLatent(3, kl_weight=-1.0), "must not be negative, got -1.0"),
    ],
)
def test_wrong_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_noise_of_the_finer_levels_is_that_of_their_own_error():
    """The sum in training is the input and noise as large as what is left over."""
    layer = ResidualQuantizer(
        NoiseSubstitutionQuantizer(num_codes=16, num_latents=1, code_dim=4), 3
    )
    layer.build((None, 4))
    inputs = np.random.default_rng(0).standard_normal((4096, 4)).astype("float32")
    for _ in range(200):
        with tf.GradientTape() as tape:
            levels = layer(tf.constant(inputs[:512]), training=True)["levels"]
            loss = tf.reduce_mean(tf.square(levels - inputs[:512, None]))
        grads = tape.gradient(loss, layer.trainable_variables)
        for variable, grad in zip(layer.trainable_variables, grads, strict=True):
            variable.assign_sub(2.0 * grad)

    def errors(training):
        levels = np.array(layer(inputs, training=training)["levels"])
        return np.square(levels - inputs[:, None]).mean(axis=(0, 2))

    exact = errors(training=False)
    assert exact[0] > 2 * exact[1] > 4 * exact[2]
    np.testing.assert_allclose(errors(training=True), exact, rtol=0.1)


def test_the_gradient_of_a_noisy_sum_reaches_the_input_once():
    layer = ResidualQuantizer(
        NoiseSubstitutionQuantizer(num_codes=4, num_latents=1, code_dim=2), 2
    )
    layer.build((None, 2))
    inputs = tf.Variable(tf.random.stateless_normal((4096, 2), (0, 1)))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layer(inputs, training=True)["quantized"])
    # Noise has no direction on average.
    found = tape.gradient(total, inputs).numpy().mean(axis=0)
    np.testing.assert_allclose(found, 1.0, atol=0.1)
