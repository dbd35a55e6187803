"""Health of latent action models whose behaviour is known by construction."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla.analysis import latent_health
from pdtla.layers.identity_quantizer import IdentityQuantizer
from pdtla.layers.vector_quantizer import VectorQuantizer

NUM_ACTIONS = 3


def batches(num=4, size=50, seed=0, actions=True):
    """Grey frames [B, 3, 4, 4, 3]: the action a_t adds 10 * a_t to the brightness."""
    rng = np.random.default_rng(seed)
    for _ in range(num):
        action = rng.integers(NUM_ACTIONS, size=(size, 3))
        start = rng.integers(100, 150, size=size)
        level = np.stack([start, start + 10 * action[:, 0]], axis=1)
        level = np.append(level, level[:, 1:] + 10 * action[:, 1:2], axis=1)
        frames = np.broadcast_to(level[:, :, None, None, None], (size, 3, 4, 4, 3))
        batch = {"observation": tf.constant(frames.astype(np.uint8))}
        if actions:
            batch["action"] = tf.constant(action, tf.int32)
        yield batch


class BrightnessGain(keras.layers.Layer):
    """An IDM that infers the true change, in every one of four features."""

    def call(self, frames):
        frames = tf.cast(frames, tf.float32) / 255.0
        gain = tf.reduce_mean(frames[:, -1] - frames[:, -2], axis=(1, 2, 3))
        return tf.tile(gain[:, None], [1, 4])


class AddGain(keras.layers.Layer):
    """An FDM that applies the latent, or ignores it."""

    def __init__(self, use_latent=True):
        super().__init__()
        self.use_latent = use_latent

    def call(self, context, latent):
        last = tf.cast(context[:, -1], tf.float32) / 255.0 - 0.5
        gain = tf.reduce_mean(latent, axis=-1)[:, None, None, None]
        return last + gain if self.use_latent else last


def test_a_model_that_is_right():
    report = latent_health.latent_health(
        BrightnessGain(),
        IdentityQuantizer(dim=4),
        AddGain(),
        batches(),
        num_actions=NUM_ACTIONS,
        few_labels=20,
    )
    assert report["windows"] == 200
    assert report["copy_frame_ratio"] < 1e-6
    assert report["swap_gap"] > 0.5
    assert report["probe_linear"] == report["probe_mlp"] == 1.0
    assert report["probe_majority"] < 0.5
    assert "perplexity" not in report
    assert all(type(value) is float for value in report.values())


def test_a_model_that_ignores_its_latent():
    report = latent_health.latent_health(
        BrightnessGain(), IdentityQuantizer(dim=4), AddGain(False), batches()
    )
    np.testing.assert_allclose(report["copy_frame_ratio"], 1.0, rtol=1e-5)
    assert report["swap_gap"] == 0.0
    # Changes of 0, 10, 20 grey levels, equally often.
    np.testing.assert_allclose(
        report["copy_frame_error"], (100 + 400) / 3 / 255**2, rtol=0.15
    )
    assert not any(name.startswith("probe") for name in report)


def test_codes():
    vq = VectorQuantizer(num_codes=8, num_codebooks=1, num_latents=1, code_dim=4)
    vq.build((None, 4))
    gains = np.zeros((1, 8, 4), np.float32)
    gains[0] = 5.0  # five codes that no gain comes near to
    gains[0, :3] = np.array([0, 10, 20])[:, None] / 255.0
    vq.codebook.assign(gains)
    report = latent_health.latent_health(
        BrightnessGain(), vq, AddGain(), batches(), num_actions=NUM_ACTIONS
    )
    np.testing.assert_allclose(report["perplexity"], 3.0, atol=0.05)
    assert report["dead_codes"] == 5 / 8
    assert report["nmi"] == pytest.approx(1.0)
    assert report["copy_frame_ratio"] < 1e-6


def test_codebook_report_by_hand():
    counts = np.array([[4, 4, 0, 0], [8, 0, 0, 0]])
    report = latent_health.codebook_report(counts)
    assert report == {"perplexity": pytest.approx(1.5), "dead_codes": 5 / 8}


def test_limits_and_missing_data():
    found = latent_health.infer(
        BrightnessGain(),
        IdentityQuantizer(dim=4),
        AddGain(),
        batches(actions=False),
        max_windows=60,
    )
    assert found.latents.shape == (100, 4)
    assert found.actions is None and found.codes is None
    with pytest.raises(ValueError, match="got none"):
        latent_health.infer(None, IdentityQuantizer(dim=4), None, [])
