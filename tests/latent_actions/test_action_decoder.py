"""The action decoder against NumPy."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.latent_actions.action_decoder import ActionDecoder

_ACTION = specs.ArraySpec((1,), "int32", num_values=5)
_LATENT = specs.ArraySpec((1, 7), "float32")


def test_loss_and_accuracy_equal_numpy():
    rng = np.random.default_rng(0)
    latent = rng.standard_normal((6, 1, 7)).astype("float32")
    action = rng.integers(0, 5, (6, 1), "int32")
    stage = ActionDecoder(hidden=(8,))
    stage.build({"latent_action": _LATENT, "action": _ACTION})
    batch = {"latent_action": tf.constant(latent), "action": tf.constant(action)}
    losses, metrics = stage(batch, training=True)
    (decoder,) = stage.modules().values()
    logits = decoder(latent[:, 0]).numpy()
    picked = np.exp(logits)[np.arange(6), action[:, 0]] / np.exp(logits).sum(-1)
    assert set(losses) == {"action"} and set(metrics) == {"accuracy"}
    np.testing.assert_allclose(losses["action"], -np.log(picked).mean(), rtol=1e-5)
    expected = (logits.argmax(-1) == action[:, 0]).mean()
    np.testing.assert_allclose(metrics["accuracy"], expected)


def test_widths_follow_the_data():
    """A relative built its decoder for the width of actions, and for 8 latents."""
    stage = ActionDecoder()
    stage.build({"latent_action": _LATENT, "action": _ACTION})
    decoder = stage.modules()["decoder"]
    assert (decoder.input_dim, decoder.output_dim) == (7, 5)


def test_it_keeps_float32_under_bfloat16():
    keras.config.set_dtype_policy("mixed_bfloat16")
    stage = ActionDecoder(hidden=(8,))
    stage.build({"latent_action": _LATENT, "action": _ACTION})
    decoder = stage.modules()["decoder"]
    assert decoder(tf.ones((2, 7))).dtype == tf.float32


@pytest.mark.parametrize(
    ("element_spec", "message"),
    [
        ({"action": _ACTION}, r"also needs \['latent_action'\]"),
        ({"latent_action": _LATENT}, r"also needs \['action'\]"),
        (
            {"latent_action": _LATENT, "action": specs.ArraySpec((1,), "int32")},
            "must be categories or float vectors",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused(element_spec, message):
    with pytest.raises(ValueError, match=message):
        ActionDecoder().build(element_spec)
