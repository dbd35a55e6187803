"""One transformer block against NumPy, its masks, and keys and values kept by hand."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla.layers.self_attention import SelfAttention, block_causal_mask
from pdtla.layers.transformer_block import TransformerBlock

_RNG = np.random.default_rng(0)
_ERF = np.vectorize(math.erf)


@pytest.fixture(autouse=True)
def _same_weights():
    keras.utils.set_random_seed(0)


def _block(dtype="float64", **kwargs):
    block = TransformerBlock(num_heads=2, dropout=0.0, dtype=dtype, **kwargs)
    block.build((None, 6, 8))
    for variable in block.trainable_variables:
        variable.assign(variable + 0.3 * _RNG.standard_normal(variable.shape))
    return block


def _norm(x, layer):
    centred = x - x.mean(-1, keepdims=True)
    scaled = centred / np.sqrt(x.var(-1, keepdims=True) + 1e-6)
    return scaled * np.array(layer.gamma) + np.array(layer.beta)


def _dense(x, layer):
    return x @ np.array(layer.kernel) + np.array(layer.bias)


def _numpy_block(block, x, mask):
    """Token by token, head by head."""
    queries, keys, values = np.split(
        _dense(_norm(x, block.attention_norm), block.attention.input_projection), 3, -1
    )
    read, size = np.zeros_like(x), x.shape[-1] // block.num_heads
    for row in range(x.shape[0]):
        for head in range(block.num_heads):
            part = slice(head * size, (head + 1) * size)
            for token in range(x.shape[1]):
                seen = np.flatnonzero(mask[token])
                scores = keys[row, seen, part] @ queries[row, token, part]
                weights = np.exp(scores / np.sqrt(size))
                weights /= weights.sum()
                read[row, token, part] = weights @ values[row, seen, part]
    x = x + _dense(read, block.attention.output_projection)
    hidden = _dense(_norm(x, block.mlp_norm), block.widen)
    hidden = hidden * (1 + _ERF(hidden / np.sqrt(2))) / 2
    return x + _dense(hidden, block.narrow)


@pytest.mark.parametrize("steps", [1, 2, 3, 6])
def test_block_computes_what_numpy_does(steps):
    block, tokens = _block(), _RNG.standard_normal((2, 6, 8))
    mask = block_causal_mask(steps, 6 // steps)
    # The softmax is computed in float32.
    np.testing.assert_allclose(
        block(tokens, mask), _numpy_block(block, tokens, mask), atol=1e-5
    )


def test_block_causal_mask():
    expected = [[1, 1, 0, 0], [1, 1, 0, 0], [1, 1, 1, 1], [1, 1, 1, 1]]
    np.testing.assert_array_equal(block_causal_mask(2, 2), np.array(expected, bool))
    np.testing.assert_array_equal(block_causal_mask(4), np.tri(4, dtype=bool))


def test_without_a_mask_all_see_all():
    block, tokens = _block(), _RNG.standard_normal((2, 6, 8))
    np.testing.assert_array_equal(block(tokens), block(tokens, np.ones((6, 6), bool)))


def test_every_leading_axis_is_a_batch_axis():
    block, tokens = _block("float32"), _RNG.standard_normal((2, 3, 6, 8))
    tokens = tokens.astype("float32")
    apart = [block(tokens[:, place]) for place in range(3)]
    np.testing.assert_allclose(block(tokens), np.stack(apart, 1), atol=1e-5)


def test_kept_keys_and_values_give_the_same_outputs():
    """One token at a time, each projected once, as a rollout does."""
    attention = SelfAttention(num_heads=2)
    tokens = tf.constant(_RNG.standard_normal((3, 5, 8)), "float32")
    whole = attention(tokens, block_causal_mask(5))
    keys, values = [], []
    for step in range(5):
        query, key, value = attention.project(tokens[:, step : step + 1])
        keys.append(key)
        values.append(value)
        read = attention.attend(query, tf.concat(keys, 3), tf.concat(values, 2))
        np.testing.assert_allclose(read[:, 0], whole[:, step], atol=1e-5)


def test_softmax_is_computed_in_float32():
    attention = SelfAttention(num_heads=1, dtype="mixed_bfloat16")
    attention.build((None, 600, 4))
    attention.output_projection.kernel.assign(np.eye(4))
    value = tf.ones((1, 1, 600, 4), "bfloat16")
    key = tf.ones((1, 1, 4, 600), "bfloat16")
    query = tf.cast(_RNG.standard_normal((1, 1, 1, 4)), "bfloat16")
    # bfloat16 cannot count to 600: a sum of weights in it would be far from 1.
    np.testing.assert_allclose(
        tf.cast(attention.attend(query, key, value), "float32"), 1.0, atol=0.01
    )


def test_dropout_acts_in_training_alone_and_by_its_share():
    keras.utils.set_random_seed(0)
    block = TransformerBlock(num_heads=2, dropout=0.25)
    tokens = _RNG.standard_normal((8, 50, 16)).astype("float32")
    np.testing.assert_array_equal(block(tokens), block(tokens))
    added = np.array(block.drop(np.ones((8, 50, 16), "float32"), training=True))
    assert abs(np.mean(added == 0.0) - 0.25) < 0.02
    assert np.abs(block(tokens, training=True) - block(tokens)).max() > 0.01


def test_heads_must_share_the_width():
    with pytest.raises(ValueError, match="multiple of the 3 heads, got 8"):
        SelfAttention(num_heads=3).build((None, 4, 8))
