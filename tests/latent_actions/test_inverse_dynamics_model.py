"""The supervised inverse dynamics model against NumPy."""

import numpy as np
import tensorflow as tf

from pdtla import specs
from pdtla.latent_actions.inverse_dynamics_model import InverseDynamicsModel
from pdtla.layers.frame_stack import FrameStack
from pdtla.layers.impala_cnn import ImpalaCNN

_SPEC = {
    "observation": specs.ArraySpec((3, 8, 8, 3), "uint8"),
    "action": specs.ArraySpec((3,), "int32", num_values=5),
}


def make():
    stage = InverseDynamicsModel(
        ImpalaCNN(channels=(4,), blocks=1, output_dim=7),
        FrameStack("difference"),
        latent_dim=6,
        hidden=(8,),
    )
    stage.build(_SPEC)
    return stage


def make_batch():
    rng = np.random.default_rng(0)
    return {
        "observation": tf.constant(rng.integers(0, 256, (6, 3, 8, 8, 3), "uint8")),
        "action": tf.constant(rng.integers(0, 5, (6, 3), "int32")),
    }


def test_loss_and_accuracy_equal_numpy():
    stage, batch = make(), make_batch()
    losses, metrics = stage(batch, training=True)
    modules = stage.modules()
    logits = modules["decoder"](modules["idm"](batch["observation"])).numpy()
    # Of the frames o_{t-1}, o_t, o_{t+1} the middle one has the action in question.
    action = batch["action"].numpy()[:, 1]
    picked = np.exp(logits)[np.arange(6), action] / np.exp(logits).sum(-1)
    np.testing.assert_allclose(losses["action"], -np.log(picked).mean(), rtol=1e-5)
    expected = (logits.argmax(-1) == action).mean()
    np.testing.assert_allclose(metrics["accuracy"], expected)


def test_every_weight_is_trained_and_saved():
    stage, batch = make(), make_batch()
    with tf.GradientTape() as tape:
        losses, _ = stage(batch, training=True)
    variables = stage.trainable_variables
    for gradient, variable in zip(
        tape.gradient(losses["action"], variables), variables, strict=True
    ):
        assert np.any(gradient), variable.path
    saved = [v.path for m in stage.modules().values() for v in m.variables]
    assert sorted(saved) == sorted(v.path for v in stage.variables)


def test_it_sees_the_future_frame():
    stage, batch = make(), make_batch()
    frames = batch["observation"]
    other = tf.concat([frames[:, :-1], 255 - frames[:, -1:]], axis=1)
    assert np.any(stage.idm(frames).numpy() != stage.idm(other).numpy())
