"""Losses, gradients and information flow of the latent action model."""

import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.latent_actions.latent_action_model import LatentActionModel
from pdtla.layers.identity_quantizer import IdentityQuantizer
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.unet import UNet
from pdtla.layers.vector_quantizer import VectorQuantizer

ACTIONS = 5
_OBSERVATION = specs.ArraySpec((3, 8, 8, 3), "uint8")
_LABELLED = {
    "observation": _OBSERVATION,
    "action": specs.ArraySpec((3,), "int32", num_values=ACTIONS),
}


def make(joint=False, vq=None, **kwargs):
    stage = LatentActionModel(
        encoder=ImpalaCNN(channels=(4,), blocks=1, output_dim=7),
        decoder=UNet(base=4),
        vq=vq or VectorQuantizer(4, num_codebooks=1, num_latents=2, code_dim=3),
        action_hidden=(6,),
        **kwargs,
    )
    stage.build(
        {"observation": _OBSERVATION} | ({"labelled": _LABELLED} if joint else {})
    )
    output = stage.fdm.decoder.output_convolution.kernel
    output.assign(100.0 * output)  # predictions that clearly depend on the inputs
    return stage


def make_batch(joint=False, seed=0):
    rng = np.random.default_rng(seed)
    batch = {"observation": rng.integers(0, 256, (6, 3, 8, 8, 3), "uint8")}
    if joint:
        batch["labelled"] = {
            "observation": rng.integers(0, 256, (4, 3, 8, 8, 3), "uint8"),
            "action": rng.integers(0, ACTIONS, (4, 3), "int32"),
        }
    return tf.nest.map_structure(tf.constant, batch)


def as_float(frames):
    return (frames.numpy().astype("float32") - 127.5) / 255


def one_code(stage):
    """Leaves one code for everything: the latent then carries nothing."""
    stage.vq.codebook.assign(tf.ones_like(stage.vq.codebook))


def test_losses_and_metrics_equal_numpy():
    stage, batch = make(reconstruction_weight=3.0), make_batch()
    stage.vq.codebook.assign(tf.random.normal(stage.vq.codebook.shape, seed=1))
    losses, metrics = stage(batch)
    frames = batch["observation"]
    latent = stage.idm(frames).numpy()
    codebook = stage.vq.codebook.numpy()[0]
    chunks = latent.reshape(-1, 3)
    codes = np.argmin(np.square(chunks[:, None] - codebook).sum(-1), axis=1)
    quantized = codebook[codes].reshape(6, 6)
    predicted = stage.fdm(frames[:, :-1], tf.constant(quantized)).numpy()
    error = np.square(predicted - as_float(frames[:, -1])).mean()
    copied = np.square(as_float(frames[:, -1]) - as_float(frames[:, -2])).mean()
    assert set(losses) == {"reconstruction", "vq"}
    np.testing.assert_allclose(losses["reconstruction"], 3 * error, rtol=1e-5)
    commitment = 0.05 * np.square(latent - quantized).mean()
    np.testing.assert_allclose(losses["vq"], commitment, rtol=1e-5)
    shares = np.bincount(codes, minlength=4) / len(codes)
    entropy = -sum(share * np.log(share) for share in shares if share)
    expected = {
        "copy_frame_ratio": error / copied,
        "copy_frame_error": copied,
        "perplexity": np.exp(entropy),
        "dead_codes": stage.vq(latent)["dead_codes"],
    }
    assert set(metrics) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-5, err_msg=name)


def test_joint_loss_is_that_of_the_labelled_windows():
    stage, batch = make(joint=True, action_loss_weight=2.0), make_batch(joint=True)
    losses, metrics = stage(batch)
    labelled = batch["labelled"]
    # The decoder reads the latent before quantisation, of the transition t -> t+1.
    logits = stage.action_decoder(stage.idm(labelled["observation"])).numpy()
    action = labelled["action"].numpy()[:, -2]
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = -2.0 * log_probabilities[np.arange(4), action].mean()
    np.testing.assert_allclose(losses["action"], expected, rtol=1e-5)
    accuracy = (logits.argmax(-1) == action).mean()
    np.testing.assert_allclose(metrics["labelled_accuracy"], accuracy)


def test_labels_change_nothing_but_the_action_loss():
    stage, batch = make(joint=True), make_batch(joint=True)
    losses, metrics = stage(batch)
    other = batch | {"labelled": make_batch(joint=True, seed=1)["labelled"]}
    other_losses, other_metrics = stage(other)
    for name in ("reconstruction", "vq"):
        np.testing.assert_allclose(losses[name], other_losses[name], rtol=1e-5)
    np.testing.assert_allclose(
        metrics["copy_frame_ratio"], other_metrics["copy_frame_ratio"], rtol=1e-5
    )
    assert losses["action"] != other_losses["action"]


def test_gradient_of_the_labelled_loss_reaches_the_idm_alone():
    stage, batch = make(joint=True), make_batch(joint=True)
    with tf.GradientTape() as tape:
        losses, _ = stage(batch, training=True)
    variables = {
        name: module.trainable_variables for name, module in stage.modules().items()
    }
    gradients = tape.gradient(losses["action"], variables)
    for name in ("idm", "decoder"):
        for gradient, variable in zip(gradients[name], variables[name], strict=True):
            assert np.any(gradient), variable.path
    assert all(gradient is None for gradient in gradients["fdm"])


def test_gradient_of_the_reconstruction_passes_the_quantizer_to_the_idm():
    stage, batch = make(), make_batch()
    with tf.GradientTape() as tape:
        losses, _ = stage(batch, training=True)
    gradients = tape.gradient(losses["reconstruction"], stage.trainable_variables)
    for gradient, variable in zip(gradients, stage.trainable_variables, strict=True):
        assert gradient is not None and np.any(gradient), variable.path


def test_modules():
    assert set(make().modules()) == {"idm", "vq", "fdm"}
    joint = make(joint=True)
    assert joint.modules()["decoder"] is joint.action_decoder
    assert joint.action_decoder.input_dim == joint.vq.input_dim
    assert joint.action_decoder.output_dim == ACTIONS
    found = [v.path for m in joint.modules().values() for v in m.variables]
    assert sorted(found) == sorted(v.path for v in joint.variables)


def test_the_prediction_depends_on_the_future_through_the_code_alone():
    stage, batch = make(), make_batch()
    one_code(stage)
    frames = batch["observation"]
    future = tf.concat([frames[:, :-1], 255 - frames[:, -1:]], axis=1)
    past = tf.concat([255 - frames[:, :-1], frames[:, -1:]], axis=1)
    predicted, same, other = (
        stage.images({"observation": x})["current_next_predicted"][:, :, 16:].numpy()
        for x in (frames, future, past)
    )
    np.testing.assert_array_equal(predicted, same)
    assert np.any(predicted != other)
    losses, _ = stage({"observation": future})
    prediction = stage.fdm(frames[:, :-1], tf.ones((6, 6))).numpy()
    error = np.square(prediction - as_float(future[:, -1])).mean()
    np.testing.assert_allclose(losses["reconstruction"], error, rtol=1e-5)


def test_the_forward_model_is_given_codes():
    """A relative's `apply_quantization=False` left its codebook without effect."""
    stage, batch = make(), make_batch()
    stage.vq.codebook.assign(tf.random.normal(stage.vq.codebook.shape, seed=1))
    before = stage(batch)[0]["reconstruction"]
    stage.vq.codebook.assign(-2.0 * stage.vq.codebook)
    assert stage(batch)[0]["reconstruction"] != before
    codes = stage.vq(stage.idm(batch["observation"]))["codes"]
    latent = stage.vq.codes_to_latent(codes)
    predicted = stage.fdm(batch["observation"][:, :-1], latent)
    error = np.square(predicted - as_float(batch["observation"][:, -1])).mean()
    losses, _ = stage(batch)
    np.testing.assert_allclose(losses["reconstruction"], error, rtol=1e-5)


def test_training_moves_the_codebook_and_evaluation_does_not():
    stage, batch = make(), make_batch()
    before = stage.vq.codebook.numpy()
    stage(batch)
    np.testing.assert_array_equal(stage.vq.codebook, before)
    stage(batch, training=True)
    assert np.any(stage.vq.codebook.numpy() != before)


@pytest.mark.parametrize(
    ("vq", "width"),
    [
        (lambda: VectorQuantizer(4, num_codebooks=3, num_latents=1, code_dim=5), 15),
        (lambda: VectorQuantizer(64, num_codebooks=1, num_latents=1, code_dim=64), 64),
        (lambda: IdentityQuantizer(dim=9), 9),
    ],
)
def test_every_width_follows_the_quantizer(vq, width):
    """In a relative the latent was 8 wide and the codes 64."""
    stage, batch = make(joint=True, vq=vq()), make_batch(joint=True)
    losses, metrics = stage(batch)
    assert stage.idm(batch["observation"]).shape == (6, width)
    assert stage.action_decoder.input_dim == width
    assert all(np.isfinite(loss) for loss in losses.values())
    assert ("perplexity" in metrics) == (width != 9)


def test_pictures_are_current_next_and_predicted():
    stage, batch = make(), make_batch()
    (picture,) = stage.images(batch).values()
    frames = batch["observation"].numpy()
    assert picture.shape == (6, 8, 24, 3) and picture.dtype == tf.uint8
    np.testing.assert_array_equal(picture[:, :, :8], frames[:, -2])
    np.testing.assert_array_equal(picture[:, :, 8:16], frames[:, -1])
    quantized = stage.vq(stage.idm(frames))["quantized"]
    predicted = stage.fdm(frames[:, :-1], quantized).numpy()
    expected = np.clip(255 * (predicted + 0.5), 0, 255).astype("uint8")
    np.testing.assert_array_equal(picture[:, :, 16:], expected)


def test_it_does_not_act():
    assert make().policy() is None


@pytest.mark.parametrize(
    ("element_spec", "message"),
    [
        ({"action": _LABELLED["action"]}, r"also needs \['observation'\]"),
        (
            {"observation": specs.ArraySpec((1, 8, 8, 3), "uint8")},
            r"at least 2 observations \(DATA_TYPE lapo or n_step\), got 1",
        ),
        (
            {"observation": _OBSERVATION, "labelled": {"observation": _OBSERVATION}},
            r"also needs \['action'\]",
        ),
    ],
)
def test_data_that_does_not_fit_is_refused(element_spec, message):
    stage = LatentActionModel(ImpalaCNN(), UNet(), VectorQuantizer())
    with pytest.raises(ValueError, match=message):
        stage.build(element_spec)


def test_labels_must_be_actions():
    stage = LatentActionModel(ImpalaCNN(), UNet(), VectorQuantizer())
    action = specs.ArraySpec((3,), "int32")
    labelled = {"observation": _OBSERVATION, "action": action}
    with pytest.raises(ValueError, match="must be categories or float vectors"):
        stage.build({"observation": _OBSERVATION, "labelled": labelled})
