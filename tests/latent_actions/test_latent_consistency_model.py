"""LAOM: targets by a moving average, augmentation, what sees what."""

import numpy as np
import pytest
import synthetic
import tensorflow as tf

from pdtla import specs
from pdtla.latent_actions.labeller import Labeller
from pdtla.latent_actions.latent_consistency_model import LatentConsistencyModel
from pdtla.latent_actions.relabel import relabel
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.mlp import MLP
from pdtla.layers.module_io import save_module

_IMAGES = specs.ArraySpec((4, 8, 8, 3), "uint8")
_STATES = specs.ArraySpec((4, 3), "float32", mean=(1.0, 0.0, 2.0), std=(2.0, 1.0, 0.5))
_ACTION = specs.ArraySpec((4, 2), "float32", minimum=-1.0, maximum=1.0)


def make(spec=_STATES, labelled=False, **kwargs):
    image = ImpalaCNN(channels=(4,), blocks=1, output_dim=7)
    stage = LatentConsistencyModel(
        image if spec.is_image else MLP((8,), 7),
        latent_dim=5,
        embedding_dim=6,
        hidden=(8,),
        **kwargs,
    )
    element_spec = {"observation": spec}
    if labelled:
        element_spec["labelled"] = {"observation": spec, "action": _ACTION}
    stage.build(element_spec)
    return stage


def make_batch(spec=_STATES, size=6, seed=0):
    window = np.random.default_rng(seed).uniform(0, 256, (size, *spec.shape))
    return {"observation": tf.constant(window.astype(spec.dtype))}


def test_the_error_is_that_of_the_embedding_of_the_next_observation():
    stage, batch = make(horizon=2), make_batch()
    observation = batch["observation"]
    losses, _ = stage(batch)
    # Of o_{t-1}, o_t, o_{t+1}, o_{t+2} the IDM sees the second and the last.
    now, last = (stage.idm.embedding(observation[:, i : i + 1]) for i in (1, 3))
    latent = stage.idm.head(tf.concat([now, last], axis=-1))
    predicted = stage.fdm(tf.concat([now, latent], axis=-1))
    goal = stage.target(observation[:, 2:3])
    expected = np.square(predicted - goal).mean()
    np.testing.assert_allclose(losses["consistency"], expected, rtol=1e-5)


def test_the_target_follows_and_gets_no_gradient():
    stage, batch = make(target_rate=0.25), make_batch()
    for target in stage.target.variables:
        target.assign_add(tf.ones_like(target))
    before = [target.numpy() for target in stage.target.variables]
    stage(batch)
    for target, old in zip(stage.target.variables, before, strict=True):
        np.testing.assert_array_equal(target, old)  # an evaluation changes nothing
    with tf.GradientTape() as tape:
        losses, _ = stage(batch, training=True)
    for target, old, source in zip(
        stage.target.variables, before, stage.idm.embedding.variables, strict=True
    ):
        np.testing.assert_allclose(target, 0.75 * old + 0.25 * source, atol=1e-5)
    trained = stage.trainable_variables
    assert not any("target" in variable.path for variable in trained)
    for gradient in tape.gradient(losses["consistency"], trained):
        assert np.any(gradient)


def test_a_window_is_shifted_as_a_whole():
    stage = make(_IMAGES, shift=2)
    frame = np.random.default_rng(0).integers(0, 256, (8, 1, 8, 8, 3), "uint8")
    shifted = stage._augment(tf.constant(np.repeat(frame, 4, axis=1)), True).numpy()
    for step in range(1, 4):
        np.testing.assert_array_equal(shifted[:, step], shifted[:, 0])
    padded = np.pad(frame[:, 0], ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    offsets = set()
    for row, image in zip(padded, shifted[:, 0], strict=True):
        found = [
            (y, x)
            for y in range(5)
            for x in range(5)
            if np.array_equal(row[y : y + 8, x : x + 8], image)
        ]
        assert found
        offsets |= set(found)
    assert len(offsets) > 1
    np.testing.assert_array_equal(stage._augment(tf.constant(frame), False), frame)


def test_labels_reach_the_inverse_model():
    stage, batch = make(labelled=True, action_loss_weight=2.0), make_batch()
    action = tf.random.stateless_uniform((4, 4, 2), (0, 1), -1, 1)
    batch["labelled"] = make_batch(size=4, seed=1) | {"action": action}
    with tf.GradientTape() as tape:
        losses, metrics = stage(batch, training=True)
    gradients = tape.gradient(losses["action"], stage.idm.trainable_variables)
    assert all(np.any(gradient) for gradient in gradients)
    decoded = stage.action_decoder(stage.idm(batch["labelled"]["observation"]))
    error = np.square(decoded - action[:, 2]).mean()
    np.testing.assert_allclose(losses["action"], 2.0 * error, rtol=1e-4)
    assert "labelled_action_r2" in metrics


def test_its_latents_can_be_written(tmp_path):
    stage, batch = make(), make_batch()
    save_module(stage.idm, tmp_path / "modules" / "idm")
    labeller = Labeller(str(tmp_path))
    labels = labeller.label(batch["observation"])
    latent = stage.idm(batch["observation"])
    np.testing.assert_allclose(labels["latent_action"], latent, rtol=1e-5)


def test_latents_are_written_beside_the_step_they_explain(tmp_path):
    synthetic.write(tmp_path, [6, 9])
    source = synthetic.reader(tmp_path)
    stage = make(specs.ArraySpec((5, *synthetic.SHAPE), "uint8"), horizon=3)
    save_module(stage.idm, tmp_path / "run" / "modules" / "idm")
    labeller = Labeller(str(tmp_path / "run"))
    latent = relabel(source=source, labeller=labeller, name="laom").read()
    frames = source.array("observation")
    for first, length in zip(source.starts, source.lengths, strict=True):
        for t in range(length - 1):  # o_{t-1}, ..., o_{t+3}: t is the second one
            steps = first + np.clip(np.arange(t - 1, t + 4), 0, length - 1)
            np.testing.assert_allclose(
                latent["latent_action"][first + t],
                stage.idm(frames[steps][None])[0],
                rtol=1e-4,
                atol=1e-5,
            )


def test_a_window_must_reach_the_horizon():
    with pytest.raises(ValueError, match="horizon of 4 needs windows of more"):
        make(horizon=4)


def test_frames_that_it_does_not_read_are_told(caplog):
    make(horizon=3)
    assert not caplog.records
    make(horizon=2)
    assert "what windows of 4 hold before that (CONTEXT_LEN) is of no" in caplog.text
