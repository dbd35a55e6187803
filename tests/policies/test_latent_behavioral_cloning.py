"""Cloning latent actions, and acting through a decoder of another run."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.layers.action_distributions import Categorical
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.latent_decoder import LatentDecoder
from pdtla.layers.module_io import save_module
from pdtla.policies.latent_behavioral_cloning import LatentBehavioralCloning

_SPEC = {
    "observation": specs.ArraySpec((1, 8, 8, 3), "uint8"),
    "latent_action": specs.ArraySpec((1, 7), "float32"),
}


def make(**kwargs):
    encoder = ImpalaCNN(channels=(4,), blocks=1, output_dim=6)
    stage = LatentBehavioralCloning(encoder, **kwargs)
    stage.build(_SPEC)
    return stage


def make_batch():
    rng = np.random.default_rng(0)
    frames = rng.integers(0, 256, (6, 1, 8, 8, 3), "uint8")
    latent = rng.standard_normal((6, 1, 7)).astype("float32")
    return {"observation": tf.constant(frames), "latent_action": tf.constant(latent)}


def save_decoder(run, input_dim=7):
    decoder = LatentDecoder(Categorical(5), (8,))
    decoder.build((None, input_dim))
    save_module(decoder, run / "modules" / "decoder")
    return decoder


def test_loss_and_metric_equal_numpy():
    stage, batch = make(), make_batch()
    losses, metrics = stage(batch, training=True)
    predicted = stage.modules()["policy"](batch["observation"]).numpy()
    target = batch["latent_action"].numpy()[:, 0]
    error = np.square(predicted - target).mean()
    np.testing.assert_allclose(losses["latent"], error, rtol=1e-5)
    spread = target.var(axis=0).mean()
    np.testing.assert_allclose(
        metrics["unexplained_variance"], error / spread, rtol=1e-5
    )


def test_it_acts_through_the_decoder(tmp_path):
    keras.utils.set_random_seed(0)
    decoder = save_decoder(tmp_path)
    stage, batch = make(decoder_run=str(tmp_path)), make_batch()
    policy = stage.modules()["policy"]
    # Latents that differ by more than by their size decode to different actions.
    policy.head.bias.assign(-tf.reduce_mean(policy(batch["observation"]), axis=0))
    policy.head.kernel.assign(100.0 * policy.head.kernel)
    policy.head.bias.assign(100.0 * policy.head.bias)
    latent = policy(batch["observation"])
    expected = decoder(latent).numpy()
    assert len(set(expected.argmax(-1))) > 1
    policy = stage.policy(greedy=True)
    state = policy.initial_state(6)
    frames, is_first = batch["observation"][:, 0], tf.zeros(6, bool)
    action, _ = policy.step(frames, is_first, state)
    np.testing.assert_array_equal(action, expected.argmax(-1))


def test_the_decoder_stays_frozen(tmp_path):
    save_decoder(tmp_path)
    stage, batch = make(decoder_run=str(tmp_path)), make_batch()
    with tf.GradientTape() as tape:
        losses, _ = stage(batch, training=True)
    trained = stage.trainable_variables
    policy = stage.modules()["policy"]
    assert [v.path for v in trained] == [v.path for v in policy.trainable_variables]
    for gradient in tape.gradient(losses["latent"], trained):
        assert np.any(gradient)


def test_without_a_decoder_it_does_not_act():
    assert make().policy() is None


def test_a_decoder_of_another_width_is_refused(tmp_path):
    save_decoder(tmp_path, input_dim=128)
    with pytest.raises(ValueError, match="of width 128; those here have width 7"):
        make(decoder_run=str(tmp_path))


def test_a_run_without_decoder_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no saved module in"):
        make(decoder_run=str(tmp_path))


@pytest.mark.parametrize("missing", ["observation", "latent_action"])
def test_missing_fields_are_refused(missing):
    element_spec = {name: spec for name, spec in _SPEC.items() if name != missing}
    with pytest.raises(ValueError, match=f"also needs \\['{missing}'\\]"):
        LatentBehavioralCloning(ImpalaCNN()).build(element_spec)
