"""What every quantizer promises, checked on a table of all of them."""

import os
import pathlib
import subprocess
import sys

import backend
import keras
import numpy as np
import pytest
import quantizer_table
import tensorflow as tf
from keras import ops
from quantizer_table import CONTINUOUS, DISCRETE, QUANTIZERS, RESIDUAL, STRAIGHT

from pdtla.layers.module_io import load_module, save_module

_FOLDER = pathlib.Path(__file__).parent
_ALL = pytest.mark.parametrize("name", QUANTIZERS)


def make(name, steps=3):
    """A quantizer that has seen a few batches, and other inputs for it."""
    layer = QUANTIZERS[name]()
    layer.build((None, layer.input_dim))
    rng = np.random.default_rng(0)
    for _ in range(steps):
        layer(_normal(rng, 64, layer), training=True)
    return layer, _normal(rng, 32, layer)


def _normal(rng, batch, layer):
    return rng.standard_normal((batch, layer.input_dim)).astype("float32")


def _state(layer):
    return [np.array(variable) for variable in layer.variables]


@_ALL
@pytest.mark.parametrize("training", [False, True])
def test_shapes_and_types(name, training):
    layer, inputs = make(name)
    outputs = layer(inputs, training=training)
    assert outputs["quantized"].shape == (32, layer.output_dim)
    floats = set(outputs) - {"codes"}
    types = {keras.backend.standardize_dtype(outputs[field].dtype) for field in floats}
    assert types == {"float32"}
    assert outputs["loss"].shape == ()
    assert ("codes" in outputs) == ("perplexity" in outputs) == (name in DISCRETE)
    assert ("levels" in outputs) == (name in RESIDUAL)
    if name in CONTINUOUS:
        assert layer.num_codes_per_latent == 0
        with pytest.raises(ValueError, match="no codes"):
            layer.codes_to_latent(np.zeros((4, 1)))
        return
    codes = np.asarray(outputs["codes"])
    assert codes.shape == (32, layer.num_codes_per_latent)
    assert codes.dtype == "int32"
    assert codes.min() >= 0 and codes.max() < layer.num_codes
    assert 1.0 <= float(outputs["perplexity"]) <= layer.num_codes
    assert outputs["perplexity"].shape == outputs["dead_codes"].shape == ()


@pytest.mark.parametrize("name", DISCRETE)
def test_codes_are_all_there_is(name):
    layer, inputs = make(name)
    outputs = layer(inputs)
    latent = layer.codes_to_latent(outputs["codes"])
    np.testing.assert_allclose(latent, outputs["quantized"], atol=1e-5)
    # In any arrangement, as latents of windows come.
    codes = ops.reshape(outputs["codes"], (4, 8, -1))
    np.testing.assert_allclose(
        layer.codes_to_latent(codes), ops.reshape(latent, (4, 8, -1)), atol=1e-6
    )


@pytest.mark.parametrize("name", RESIDUAL)
def test_levels_are_sums_that_end_in_the_whole(name):
    layer, inputs = make(name)
    outputs = layer(inputs)
    levels = layer.codes_to_levels(outputs["codes"])
    np.testing.assert_allclose(levels, outputs["levels"], atol=1e-5)
    np.testing.assert_array_equal(outputs["levels"][:, -1], outputs["quantized"])
    np.testing.assert_allclose(
        np.mean(outputs["level_perplexity"]), outputs["perplexity"], rtol=1e-6
    )
    assert float(ops.sum(outputs["level_dead_codes"])) == outputs["dead_codes"]


@pytest.mark.parametrize("name", ["residual_vq", "residual_nsvq"])
def test_finer_levels_are_nearer(name):
    layer, inputs = make(name, steps=40)
    levels = np.asarray(layer(inputs)["levels"])
    errors = np.square(levels - inputs[:, None]).mean(axis=(0, 2))
    assert errors[1] < 0.7 * errors[0]


@pytest.mark.parametrize("name", STRAIGHT)
@pytest.mark.parametrize("training", [False, True])
def test_gradient_passes_straight_through_once(name, training):
    layer, inputs = make(name)
    direction = _normal(np.random.default_rng(1), len(inputs), layer)

    def parts(inputs):
        outputs = layer(inputs, training=training)
        levels = ops.unstack(outputs["levels"], axis=1) if name in RESIDUAL else []
        return [outputs["quantized"], *levels]

    for index in range(len(parts(inputs))):
        gradient = backend.input_gradient(
            lambda inputs, index=index: ops.sum(parts(inputs)[index] * direction),
            inputs,
        )
        np.testing.assert_allclose(gradient, direction, atol=1e-6)


@_ALL
def test_evaluation_changes_nothing_and_repeats(name):
    layer, inputs = make(name)
    before = _state(layer)
    first, second = layer(inputs), layer(inputs)
    for field in first:
        np.testing.assert_array_equal(first[field], second[field])
    for array, variable in zip(before, layer.variables, strict=True):
        np.testing.assert_array_equal(array, variable)


@pytest.mark.parametrize("name", ["nsvq", "residual_nsvq", "vae"])
def test_training_draws_noise_anew_and_from_the_seed(name):
    (first, inputs), (second, _) = make(name), make(name)
    once, again = (first(inputs, training=True)["quantized"] for _ in range(2))
    assert np.abs(np.asarray(once - again)).max() > 1e-3
    np.testing.assert_array_equal(second(inputs, training=True)["quantized"], once)


@pytest.mark.parametrize("name", DISCRETE)
def test_perplexity_is_that_of_the_codes(name):
    layer, inputs = make(name)
    outputs = layer(inputs)
    groups = len(outputs["level_perplexity"]) if name in RESIDUAL else 1
    if name in ("vq", "residual_vq"):
        groups *= 2  # codebooks
    if name == "residual_vq_shared":
        groups = 6
    found = []
    for codes in np.split(np.asarray(outputs["codes"]), groups, axis=1):
        shares = np.bincount(codes.ravel()) / codes.size
        shares = shares[shares > 0]
        found.append(np.exp(-np.sum(shares * np.log(shares))))
    np.testing.assert_allclose(outputs["perplexity"], np.mean(found), rtol=1e-4)


@_ALL
def test_bfloat16_policy_leaves_everything_float32(name):
    keras.config.set_dtype_policy("mixed_bfloat16")
    try:
        layer, inputs = make(name)
    finally:
        keras.config.set_dtype_policy("float32")
    exact, _ = make(name)
    for source, target in zip(exact.variables, layer.variables, strict=True):
        target.assign(source)
    assert "bfloat16" not in {variable.dtype for variable in layer.variables}
    outputs, expected = layer(inputs), exact(inputs)
    np.testing.assert_array_equal(outputs["quantized"], expected["quantized"])


@_ALL
def test_a_saved_quantizer_goes_on_as_if_never_saved(name, tmp_path):
    layer, inputs = make(name)
    save_module(layer, tmp_path / "module")
    loaded = load_module(tmp_path / "module")
    assert type(loaded) is type(layer)
    for training in (False, True, True):
        expected = layer(inputs, training=training)
        outputs = loaded(inputs, training=training)
        assert set(outputs) == set(expected)
        for field in outputs:
            np.testing.assert_array_equal(outputs[field], expected[field])


@backend.TENSORFLOW
@_ALL
def test_a_checkpoint_holds_every_variable(name, tmp_path):
    layer, _ = make(name)
    path = tf.train.Checkpoint(layer=layer).save(str(tmp_path / "checkpoint"))
    keys = [
        key
        for key, _ in tf.train.list_variables(path)
        if key.startswith("layer/") and key.endswith("VARIABLE_VALUE")
    ]
    # The trainer's checkpoints hold the seeds of layers by themselves.
    seeds = [v for v in layer.variables if "seed_generator" in v.path]
    assert len(keys) == len(layer.variables) - len(seeds)
    other, _ = make(name, steps=0)
    tf.train.Checkpoint(layer=other).restore(path).assert_existing_objects_matched()
    for saved, restored in zip(layer.variables, other.variables, strict=True):
        if "seed_generator" not in saved.path:
            np.testing.assert_array_equal(saved, restored)


@_ALL
def test_compiled_by_xla_it_is_the_same(name):
    layer, inputs = make(name)
    outputs = backend.compiled(layer)(inputs)
    np.testing.assert_allclose(
        outputs["quantized"], layer(inputs)["quantized"], atol=1e-4
    )


@_ALL
def test_other_widths_are_refused(name):
    layer = QUANTIZERS[name]()
    with pytest.raises(ValueError, match=r"shape \(None, 7\)"):
        layer.build((None, 7))


def _mixture(rng, batch):
    """Points of 6 features around one of 6 centres."""
    centres = 2.0 * np.random.default_rng(7).standard_normal((6, 6))
    points = centres[rng.integers(6, size=batch)] + 0.1 * rng.standard_normal(
        (batch, 6)
    )
    return points.astype("float32")


@_ALL
def test_an_autoencoder_through_it_learns_a_mixture(name):
    keras.utils.set_random_seed(0)
    layer = QUANTIZERS[name]()
    encoder = keras.layers.Dense(layer.input_dim)
    decoder = keras.Sequential([keras.layers.Dense(32, "gelu"), keras.layers.Dense(6)])
    encoder.build((None, 6))
    layer.build((None, layer.input_dim))
    decoder.build((None, layer.output_dim))
    parts = (encoder, layer, decoder)
    optimizer = keras.optimizers.Adam(0.01)
    optimizer.build([v for part in parts for v in part.trainable_variables])

    def loss(batch):
        outputs = layer(encoder(batch), training=True)
        return ops.mean((decoder(outputs["quantized"]) - batch) ** 2) + outputs["loss"]

    step = backend.training_step(loss, parts, optimizer)
    rng = np.random.default_rng(0)
    for _ in range(300):
        step(_mixture(rng, 128))
    test = _mixture(rng, 512)
    outputs = layer(encoder(test))
    error = np.square(np.asarray(decoder(outputs["quantized"])) - test).mean()
    assert error < 0.1 * test.var()


@backend.TENSORFLOW
def test_two_replicas_do_what_one_device_does():
    paths = [str(_FOLDER.parents[1]), str(_FOLDER)]
    done = subprocess.run(
        [sys.executable, str(_FOLDER / "two_replica_quantizers.py")],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(paths)},
        capture_output=True,
        text=True,
        check=False,
    )
    expected = [f"equal: {name}" for name in quantizer_table.QUANTIZERS]
    assert done.stdout.splitlines() == expected, done.stderr[-2000:]


def test_finer_levels_train_on_what_is_left_though_noise_is_given():
    quantizer = QUANTIZERS["residual_nsvq"]()
    inputs = np.random.default_rng(0).normal(size=(64, 4)).astype("float32")
    quantizer(inputs, training=True)  # places the codes
    first, second = (np.array(level.codebook[0]) for level in quantizer.quantizers)
    codes = np.array(quantizer(inputs, training=True)["codes"])
    left = inputs.reshape(-1, 2) - first[codes[:, :2].reshape(-1)]
    distances = np.square(left[:, None] - second).sum(-1)
    np.testing.assert_array_equal(codes[:, 2:].reshape(-1), distances.argmin(-1))


def test_codebooks_are_counted_as_they_are_shared():
    counts = {
        name: make().num_codebooks
        for name, make in QUANTIZERS.items()
        if hasattr(make(), "num_codebooks")
    }
    assert counts == {
        "vq": 2,
        "residual_vq": 4,
        "residual_vq_shared": 6,
        "residual_nsvq": 2,
        "nsvq": 1,
    }
