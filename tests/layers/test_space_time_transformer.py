"""Transformers over windows: nothing sees its future, and all it may see it uses."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla.layers.self_attention import block_causal_mask
from pdtla.layers.space_time_blocks import SpaceTimeBlocks
from pdtla.layers.space_time_decoder import SpaceTimeDecoder
from pdtla.layers.space_time_encoder import SpaceTimeEncoder

_RNG = np.random.default_rng(0)
_STEPS, _LATENT = 5, 3
_SIZES = {"width": 16, "num_layers": 2, "num_heads": 2, "patch_size": 4}
# kind of network: its attention, and the shape of an observation
KINDS = {
    "vit": ("joint", (8, 8, 3)),
    "space_time": ("factorised", (8, 8, 3)),
    "temporal": ("joint", (6,)),
}


def _normal(*shape):
    return _RNG.standard_normal(shape).astype("float32")


@pytest.fixture(autouse=True)
def _same_weights():
    keras.utils.set_random_seed(0)


def _encoder(kind, policy="float32"):
    attention, shape = KINDS[kind]
    encoder = SpaceTimeEncoder(**_SIZES, attention=attention, dtype=policy)
    window = _normal(2, _STEPS, *shape)
    encoder.build(window.shape)
    return encoder, window


def _decoder(kind, policy="float32"):
    attention, shape = KINDS[kind]
    decoder = SpaceTimeDecoder(**_SIZES, attention=attention, dtype=policy)
    context, latent = _normal(2, _STEPS, *shape), _normal(2, _STEPS, _LATENT)
    decoder.build(context.shape, latent.shape)
    kernel = decoder.output_projection.kernel
    kernel.assign(_normal(*kernel.shape))  # it begins near 0, where all is equal
    return decoder, context, latent


def _changed(values, step):
    """The same until a step, and other noise at it."""
    values = values.copy()
    values[:, step] = _normal(*values[:, step].shape)
    return values


def _differences(before, after):
    """The largest difference at each step, `[steps]`."""
    difference = np.abs(tf.cast(before, "float32") - tf.cast(after, "float32"))
    return difference.max(axis=(0, *range(2, difference.ndim)))


def _check_only_from(step, differences):
    """Nothing before the step changes by a bit, and everything from it on changes."""
    np.testing.assert_array_equal(differences[:step], 0.0)
    assert differences[step:].min() > 1e-4


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_features_do_not_see_their_future(kind, policy):
    """Feature s explains o_s -> o_{s+1}: it sees o_{s+1}, and nothing after it."""
    encoder, window = _encoder(kind, policy)
    features = encoder(window)
    assert features.shape == (2, _STEPS - 1, 16)
    for step in range(_STEPS):
        after = encoder(_changed(window, step))
        _check_only_from(max(step - 1, 0), _differences(features, after))


@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
@pytest.mark.parametrize("kind", KINDS)
def test_predictions_do_not_see_the_frame_they_predict(kind, policy):
    """Against the leak of the future frame.

    A forward model that is fed the encoder's embeddings, or attends to later steps,
    has seen the frame that it predicts, and then the latent need not say anything.
    Here prediction s, of o_{s+1}, is the same to the bit whatever o_{s+1} and z_{s+1}
    and all after them are, and depends on all of o_0 .. o_s and z_0 .. z_s.
    """
    decoder, context, latent = _decoder(kind, policy)
    predictions = decoder(context, latent)
    assert predictions.shape == context.shape
    for step in range(_STEPS):
        after = decoder(_changed(context, step), latent)
        _check_only_from(step, _differences(predictions, after))
        after = decoder(context, _changed(latent, step))
        _check_only_from(step, _differences(predictions, after))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_reach_the_past_alone(kind):
    encoder, window = _encoder(kind)
    decoder, context, latent = _decoder(kind)

    @tf.function
    def gradients(window, context, latent, step):
        with tf.GradientTape() as tape:
            tape.watch([window, context, latent])
            # Squares of some: all of a normalised token would add up to a constant.
            feature = tf.reduce_sum(encoder(window)[:, step, ::2] ** 2)
            prediction = tf.reduce_sum(decoder(context, latent)[:, step] ** 2)
            total = feature + prediction
        return tape.gradient(total, [window, context, latent])

    for step in range(_STEPS - 1):
        values = [tf.constant(each) for each in (window, context, latent)]
        reached = [
            _differences(each, tf.zeros_like(each)) > 0
            for each in gradients(*values, tf.constant(step))
        ]
        steps = np.arange(_STEPS)
        np.testing.assert_array_equal(reached[0], steps <= step + 1)
        np.testing.assert_array_equal(reached[1], steps <= step)
        np.testing.assert_array_equal(reached[2], steps <= step)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shorter_window_gives_the_same_features(kind):
    encoder, window = _encoder(kind)
    np.testing.assert_allclose(
        encoder(window[:, :3]), encoder(window)[:, :2], rtol=1e-5, atol=1e-5
    )


def test_factorised_attention_is_joint_attention_under_two_masks():
    steps, places = 3, 4
    blocks = SpaceTimeBlocks(2, 2, "factorised", dropout=0.0)
    tokens = _normal(2, steps, places, 8)
    expected = blocks(tokens)
    step, place = np.divmod(np.arange(steps * places), places)
    space = step[:, None] == step[None]
    time = (place[:, None] == place[None]) & block_causal_mask(steps, places)
    hidden = tokens.reshape(2, steps * places, 8)
    for block, mask in zip(blocks.blocks, [space, time] * 2, strict=True):
        hidden = block(hidden, mask)
    hidden = blocks.norm(hidden)
    np.testing.assert_allclose(tf.reshape(hidden, tokens.shape), expected, atol=1e-5)


@pytest.mark.parametrize("kind", ["vit", "space_time"])
def test_any_place_of_the_past_is_seen_from_any_place(kind):
    """Also under factorised attention, whose two blocks see one axis each."""
    decoder, context, latent = _decoder(kind)
    changed = context.copy()
    changed[:, 0, :4, :4] = 0.0
    difference = np.abs(decoder(context, latent) - decoder(changed, latent))[:, -1]
    squares = difference.reshape(2, 2, 4, 2, 4, 3).max(axis=(0, 2, 4, 5))
    assert squares.min() > 1e-4


def test_predictions_begin_near_zero():
    decoder = SpaceTimeDecoder(**_SIZES)
    predictions = decoder(_normal(2, 3, 8, 8, 3), _normal(2, 3, _LATENT))
    assert 0.0 < np.abs(predictions).max() < 0.1


def test_paper_size():
    encoder, decoder = SpaceTimeEncoder(), SpaceTimeDecoder()
    encoder.build((None, 18, 64, 64, 3))
    decoder.build((None, 17, 64, 64, 3), (None, 17, 128))
    # A block of width W has 12 W^2 + 13 W; then the last norm, patches and positions.
    width, patch = 256, 8 * 8 * 3
    trunk = 6 * (12 * width**2 + 13 * width) + 2 * width + 64 * width
    embedded = trunk + (2 * patch + 1) * width
    assert encoder.count_params() == embedded + 18 * width
    ends = (128 + 1) * width + (width + 1) * patch
    assert decoder.count_params() == embedded + 17 * width + ends


def test_unknown_attention_is_refused():
    with pytest.raises(ValueError, match="'factorized'"):
        SpaceTimeEncoder(attention="factorized")
