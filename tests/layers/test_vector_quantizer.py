"""The vector quantizer against NumPy, and against the defects of other recipes."""

import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla.layers.identity_quantizer import IdentityQuantizer
from pdtla.layers.vector_quantizer import VectorQuantizer

_ROOT = pathlib.Path(__file__).parents[2]
_SMALL = {"num_codes": 5, "num_codebooks": 2, "num_latents": 3, "code_dim": 4}


def _inputs(batch, dim, seed=0):
    return np.random.default_rng(seed).standard_normal((batch, dim)).astype("float32")


def _chunks(inputs, books, latents, dim):
    """`[B, D]` to `[B, books, latents, dim]`, the documented layout."""
    return inputs.reshape(len(inputs), books, latents, dim)


def _numpy_codes(inputs, codebook, latents):
    books, _, dim = codebook.shape
    chunks = _chunks(inputs, books, latents, dim)
    distances = (
        (chunks[:, :, :, None] - codebook[None, :, None]) ** 2  # [B, G, L, K, d]
    ).sum(axis=-1)
    return distances.argmin(axis=-1)  # [B, G, L]


def _perplexity(codes, num_codes):
    shares = np.bincount(codes.ravel(), minlength=num_codes) / codes.size
    return np.exp(-sum(share * np.log(share) for share in shares if share > 0))


def _trained(layer, batch=64, seed=0):
    inputs = _inputs(batch, layer.input_dim, seed)
    layer(inputs, training=True)
    return inputs


def test_assignment_loss_and_perplexity_equal_numpy():
    layer = VectorQuantizer(**_SMALL, commitment=0.25)
    _trained(layer)
    inputs = _inputs(16, layer.input_dim, seed=1)
    codebook = np.array(layer.codebook)
    codes = _numpy_codes(inputs, codebook, 3)
    nearest = np.stack([codebook[g][codes[:, g]] for g in range(2)], axis=1)
    quantized = nearest.reshape(inputs.shape)

    outputs = layer(inputs)
    np.testing.assert_array_equal(outputs["codes"], codes.reshape(16, 6))
    np.testing.assert_allclose(outputs["quantized"], quantized, atol=1e-6)
    loss = 0.25 * np.mean((inputs - quantized) ** 2)
    np.testing.assert_allclose(outputs["loss"], loss, rtol=1e-5)
    expected = [_perplexity(codes[:, g], 5) for g in range(2)]
    np.testing.assert_allclose(outputs["codebook_perplexity"], expected, rtol=1e-5)
    np.testing.assert_allclose(outputs["perplexity"], np.mean(expected), rtol=1e-5)
    np.testing.assert_allclose(
        layer.codes_to_latent(outputs["codes"]), quantized, atol=1e-6
    )


def test_gradient_passes_straight_through_and_commits():
    layer = VectorQuantizer(**_SMALL, commitment=0.5)
    _trained(layer)
    inputs = tf.constant(_inputs(4, layer.input_dim, seed=2))
    direction = _inputs(4, layer.input_dim, seed=3)
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(inputs)
        outputs = layer(inputs, training=True)
        through = tf.reduce_sum(outputs["quantized"] * direction)
        loss = outputs["loss"]
    np.testing.assert_array_equal(tape.gradient(through, inputs), direction)
    difference = inputs - outputs["quantized"]
    expected = 0.5 * 2.0 * difference / tf.size(inputs, tf.float32)
    np.testing.assert_allclose(tape.gradient(loss, inputs), expected, atol=1e-7)
    assert not layer.trainable_variables


def test_moving_averages_equal_numpy():
    layer = VectorQuantizer(**_SMALL, decay=0.6, restart_threshold=0.0)
    _trained(layer)
    for step in range(1, 20):
        codebook = np.array(layer.codebook)
        count, total = np.array(layer.average_count), np.array(layer.average_sum)
        inputs = _inputs(32, layer.input_dim, seed=step)
        layer(inputs, training=True)
        if step not in (1, 2, 19):  # warming up, warming up, at the full decay
            continue
        codes = _numpy_codes(inputs, codebook, 3)
        one_hot = np.eye(5)[codes]  # [B, G, L, K]
        chunks = _chunks(inputs, 2, 3, 4)
        decay = min(0.6, (1 + step) / (10 + step))
        count = decay * count + (1 - decay) * one_hot.sum(axis=(0, 2))
        sums = np.einsum("bglk,bgld->gkd", one_hot, chunks)
        total = decay * total + (1 - decay) * sums
        np.testing.assert_allclose(layer.average_count, count, rtol=1e-5)
        np.testing.assert_allclose(layer.average_sum, total, rtol=1e-4, atol=1e-5)
        np.testing.assert_allclose(
            layer.codebook, total / count[..., None], rtol=1e-4, atol=1e-5
        )
    assert int(layer.updates.numpy()) == 20


def test_the_codebook_is_untouched_outside_training():
    layer = VectorQuantizer(**_SMALL)
    _trained(layer)
    before = [np.array(variable) for variable in layer.variables]
    layer(_inputs(8, layer.input_dim, seed=4), training=False)
    for array, variable in zip(before, layer.variables, strict=True):
        np.testing.assert_array_equal(array, variable)


def _published_codebook(batches, num_codes, dim, decay=0.999, epsilon=1e-5):
    """EMA from a count of zero, as LAPO and the code it took it from do."""
    rng = np.random.default_rng(0)
    codebook = rng.uniform(-5 / num_codes, 5 / num_codes, (num_codes, dim))
    count, total = np.zeros(num_codes), codebook.copy()
    for chunks in batches:
        distances = ((chunks[:, None] - codebook) ** 2).sum(axis=-1)
        one_hot = np.eye(num_codes)[distances.argmin(axis=-1)]
        count = decay * count + (1 - decay) * one_hot.sum(axis=0)
        size = count.sum()
        count = (count + epsilon) / (size + num_codes * epsilon) * size
        total = decay * total + (1 - decay) * one_hot.T @ chunks
        codebook = total / count[:, None]
    return codebook


def test_the_first_updates_keep_the_codes_in_use():
    # What a fresh encoder gives: far from the origin, little and correlated variance.
    rng = np.random.default_rng(0)
    mixing, mean = rng.standard_normal((3, 16)) * 0.1, rng.standard_normal(16)
    batches = [mean + rng.standard_normal((512, 3)) @ mixing for _ in range(11)]
    published = _published_codebook(batches[:10], 64, 16)
    assert np.abs(published).max() > 100  # the unused codes were thrown far away
    codes = _numpy_codes(batches[10], published[None], 1)
    assert _perplexity(codes, 64) < 5

    layer = VectorQuantizer(num_codebooks=1, num_latents=1)
    for batch in batches[:10]:
        outputs = layer(batch.astype("float32"), training=True)
    assert np.abs(layer.codebook).max() < 5
    outputs = layer(batches[10].astype("float32"))
    assert float(outputs["perplexity"]) > 40


def test_a_dead_code_is_restarted_beside_the_busiest():
    layer = VectorQuantizer(num_codes=4, num_codebooks=1, num_latents=1, code_dim=2)
    layer.build((None, 2))
    corners = np.array([[0, 0], [4, 0], [0, 4], [900, 900]], "float32")
    layer.codebook.assign(corners[None])
    layer.average_count.assign([[8.0, 8.0, 8.0, 8.0]])
    layer.average_sum.assign(corners[None] * 8)
    layer.usage.assign([[1.0, 1.0, 1.0, 0.0]])
    layer.updates.assign(100_000)
    spread = np.random.default_rng(0).standard_normal((64, 2)).astype("float32")
    centres = corners[np.r_[np.zeros(40, int), np.ones(12, int), np.full(12, 2)]]
    inputs = centres + 0.5 * spread
    outputs = layer(inputs, training=True)
    assert float(outputs["dead_codes"]) == 1.0
    moved, busiest = np.array(layer.codebook)[0, [3, 0]]
    assert 0 < np.linalg.norm(moved - busiest) < 0.3
    shared = np.bincount(np.ravel(layer(inputs)["codes"]), minlength=4)
    assert shared[1] == shared[2] == 12
    assert min(shared[0], shared[3]) >= 8


@pytest.mark.parametrize(("threshold", "low", "high"), [(0.01, 13, 16), (0.0, 1, 12)])
def test_restarts_follow_an_encoder_that_moves_away(threshold, low, high):
    layer = VectorQuantizer(
        num_codes=16,
        num_codebooks=1,
        num_latents=1,
        code_dim=4,
        restart_threshold=threshold,
    )
    update = tf.function(lambda inputs: layer(inputs, training=True)["perplexity"])
    for step in range(140):
        drift = 0.1 * min(step, 60) * np.array([1.0, 0.5, 0.0, -1.0], "float32")
        perplexity = update(_inputs(128, 4, seed=step) + drift)
    assert low < perplexity < high


def test_without_restarts_an_unused_code_stays_where_it_is():
    layer = VectorQuantizer(**_SMALL, restart_threshold=0.0, decay=0.1)
    _trained(layer)
    far = np.array(layer.codebook)
    far[:, 0] = 1000.0
    layer.codebook.assign(far)
    layer.average_sum.assign(far * np.array(layer.average_count)[..., None])
    for step in range(60):  # long enough for the count to vanish
        layer(_inputs(16, layer.input_dim, seed=step), training=True)
    np.testing.assert_allclose(np.array(layer.codebook)[:, 0], 1000.0, rtol=1e-3)
    assert np.isfinite(layer.codebook).all()


def test_statistics_stay_float32_under_bfloat16():
    layer = VectorQuantizer(**_SMALL, dtype="mixed_bfloat16")
    exact = VectorQuantizer(**_SMALL)
    inputs = _inputs(32, layer.input_dim)
    for _ in range(3):
        rounded, expected = (q(inputs, training=True) for q in (layer, exact))
    assert {v.dtype for v in layer.variables} == {"float32", "int64"}
    np.testing.assert_array_equal(rounded["quantized"], expected["quantized"])
    np.testing.assert_array_equal(layer.codebook, exact.codebook)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [({"num_codes": 0}, "at least 1"), ({"decay": 1.0}, r"decay lies in \[0, 1\)")],
)
def test_wrong_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        VectorQuantizer(**arguments)


def test_wrong_widths_are_refused():
    with pytest.raises(ValueError, match="= 24 features"):
        VectorQuantizer(**_SMALL).build((None, 23))
    with pytest.raises(ValueError, match="width 5"):
        IdentityQuantizer(5).build((None, 4))


def test_identity_passes_values_and_gradients():
    layer = IdentityQuantizer(3)
    inputs = keras.ops.convert_to_tensor(_inputs(4, 3))
    outputs = layer(inputs, training=True)
    np.testing.assert_array_equal(outputs["quantized"], inputs)
    assert float(outputs["loss"]) == 0.0
    assert outputs.get("codes") is None
    with pytest.raises(ValueError, match="no codes"):
        layer.codes_to_latent(np.zeros((4, 1)))


_TWO_REPLICAS = """
import pdtla  # noqa: F401
import numpy as np
import tensorflow as tf
from pdtla.layers.vector_quantizer import VectorQuantizer

cpu = tf.config.list_physical_devices("CPU")[0]
two = [tf.config.LogicalDeviceConfiguration()] * 2
tf.config.set_logical_device_configuration(cpu, two)
strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
kwargs = dict(num_codes=8, num_codebooks=2, num_latents=2, code_dim=4)
with strategy.scope():
    replicated = VectorQuantizer(**kwargs)
    replicated.build((None, 16))
single = VectorQuantizer(**kwargs)

@tf.function
def step(batch):
    return strategy.run(lambda x: replicated(x, training=True)["perplexity"], (batch,))

rng = np.random.default_rng(0)
for _ in range(30):
    # Multiples of 1/16: their sums are exact in float32 in whatever order.
    batch = np.round(rng.standard_normal((16, 16)) * 16).astype("float32") / 16
    halves = strategy.experimental_distribute_values_from_function(
        lambda context: tf.constant(
            np.split(batch, 2)[context.replica_id_in_sync_group]
        )
    )
    perplexity = strategy.experimental_local_results(step(halves))
    expected = single(batch, training=True)["perplexity"]
    assert all(float(value) == float(expected) for value in perplexity)
for mirrored, variable in zip(replicated.variables, single.variables, strict=True):
    for copy in strategy.experimental_local_results(mirrored.value):
        np.testing.assert_array_equal(copy.numpy(), variable.numpy())
print("equal on", strategy.num_replicas_in_sync)
"""


def test_two_replicas_keep_the_codebook_of_one_device():
    done = subprocess.run(
        [sys.executable, "-c", _TWO_REPLICAS],
        cwd=_ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "equal on 2" in done.stdout, done.stderr[-2000:]
