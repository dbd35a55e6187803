"""Continuous actions and state observations through every stage."""

import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.latent_actions.action_decoder import ActionDecoder
from pdtla.latent_actions.inverse_dynamics_model import InverseDynamicsModel
from pdtla.latent_actions.labeller import Labeller
from pdtla.latent_actions.latent_action_model import LatentActionModel
from pdtla.layers.conditioned_mlp import ConditionedMLP
from pdtla.layers.identity_quantizer import IdentityQuantizer
from pdtla.layers.mlp import MLP
from pdtla.layers.module_io import save_module

_MEAN, _STD = (1.0, -2.0, 5.0), (2.0, 0.5, 4.0)
_OBSERVATION = specs.ArraySpec((3, 3), "float32", mean=_MEAN, std=_STD)
_ACTION = specs.ArraySpec((3, 2), "float32", minimum=-1.0, maximum=1.0)
_SPEC = {"observation": _OBSERVATION, "action": _ACTION}


def make_batch(size=6, seed=0):
    rng = np.random.default_rng(seed)
    return {
        "observation": tf.constant(rng.normal(0, 3, (size, 3, 3)).astype("float32")),
        "action": tf.constant(rng.uniform(-1, 1, (size, 3, 2)).astype("float32")),
    }


def make_lam(**kwargs):
    stage = LatentActionModel(
        MLP((8,), 7), ConditionedMLP((8,)), IdentityQuantizer(4), **kwargs
    )
    stage.build({"observation": _OBSERVATION, "labelled": _SPEC})
    return stage


def joint_batch():
    batch = make_batch()
    return {"observation": batch["observation"], "labelled": make_batch(4, seed=1)}


def test_the_error_is_that_of_standardised_states():
    stage, batch = make_lam(predict="difference"), joint_batch()
    losses, metrics = stage(batch)
    states = (batch["observation"].numpy() - np.array(_MEAN)) / np.array(_STD)
    copied = np.square(states[:, 2] - states[:, 1]).mean()
    np.testing.assert_allclose(metrics["copy_frame_error"], copied, rtol=1e-5)
    latent = stage.idm(batch["observation"])
    predicted = stage.fdm(batch["observation"][:, :-1], latent).numpy()
    error = np.square(predicted - states[:, 2]).mean()
    np.testing.assert_allclose(losses["reconstruction"], error, rtol=1e-5)
    # Nothing squashes a predicted state, however far from the mean.
    assert np.abs(predicted).max() > 1.0


def test_the_labelled_loss_is_the_squared_error_of_the_middle_action():
    stage, batch = make_lam(action_loss_weight=3.0), joint_batch()
    losses, _ = stage(batch)
    decoded = stage.action_decoder(stage.idm(batch["labelled"]["observation"]))
    error = np.square(decoded - batch["labelled"]["action"][:, 1]).mean()
    np.testing.assert_allclose(losses["action"], 3.0 * error, rtol=1e-5)


def test_labels_are_used_every_so_many_updates():
    stage, batch = make_lam(action_loss_every=3), joint_batch()
    used = [float(stage(batch, training=True)[0]["action"]) > 0 for _ in range(7)]
    assert used == [True, False, False, True, False, False, True]
    assert float(stage(batch)[0]["action"]) > 0  # an evaluation always shows it


@pytest.mark.parametrize("sees", [False, True])
def test_a_joint_decoder_may_see_the_observation(sees):
    stage = make_lam(action_encoder=MLP((8,), 5) if sees else None)
    batch, latent = make_batch(), tf.zeros((6, 4))
    outputs = [
        stage.action_decoder(latent, batch["observation"][:, index : index + 1])
        for index in (0, 1)
    ]
    assert np.any(outputs[0].numpy() != outputs[1].numpy()) == sees


@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_vpt_labels_continuous_actions(head, tmp_path):
    stage = InverseDynamicsModel(MLP((8,), 7), hidden=(8,), latent_dim=4, head=head)
    stage.build(_SPEC)
    batch = make_batch()
    losses, metrics = stage(batch, training=True)
    assert np.isfinite(losses["action"]) and metrics["action_r2"] <= 1.0
    for name, module in stage.modules().items():
        save_module(module, tmp_path / "modules" / name)
    labeller = Labeller(str(tmp_path))
    spec = labeller.fields["action"]
    assert (spec.shape, spec.dtype, spec.num_values) == ((2,), "float32", None)
    labels = labeller.label(batch["observation"])["action"].numpy()
    assert labels.shape == (6, 2) and np.abs(labels).max() <= 1.0
    distribution = stage.decoder.distribution
    expected = distribution.mode(stage.decoder(stage.idm(batch["observation"])))
    np.testing.assert_allclose(labels, expected, atol=1e-6)


def test_a_decoder_that_sees_states_standardises_them():
    stage = ActionDecoder(hidden=(8,), encoder=MLP((8,), 5))
    one = specs.ArraySpec((1, 3), "float32", mean=_MEAN, std=_STD)
    action = specs.ArraySpec((1, 2), "float32", minimum=-1.0, maximum=1.0)
    latent = specs.ArraySpec((1, 4), "float32")
    stage.build({"observation": one, "action": action, "latent_action": latent})
    state = make_batch()["observation"][:, :1]
    standard = (state - np.array(_MEAN, "float32")) / np.array(_STD, "float32")
    features = stage.encoder(standard[:, 0])
    z = tf.ones((6, 4))
    expected = stage.decoder.network(tf.concat([z, features], axis=-1))
    np.testing.assert_allclose(stage.decoder(z, state), expected, atol=1e-5)
