"""Skill and behaviour: what each level predicts, and what each loss trains."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.latent_actions.hierarchical_latent_action_model import (
    HierarchicalLatentActionModel,
)
from pdtla.layers.conditioned_mlp import ConditionedMLP
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.mlp import MLP
from pdtla.layers.module_io import load_module, save_module
from pdtla.layers.residual_finite_scalar_quantizer import (
    ResidualFiniteScalarQuantizer,
)
from pdtla.layers.residual_quantizer import ResidualQuantizer
from pdtla.layers.unet import UNet
from pdtla.layers.vector_quantizer import VectorQuantizer

PAST, FUTURE, WIDTH = 2, 4, 3
MEAN, STD = (1.0, -2.0, 0.5), (2.0, 0.5, 3.0)
STATES = specs.ArraySpec((PAST + FUTURE, WIDTH), "float32", mean=MEAN, std=STD)
IMAGES = specs.ArraySpec((3, 8, 8, 3), "uint8")


def residual(codes=8, dim=4, levels=2):
    vq = VectorQuantizer(codes, num_codebooks=1, num_latents=1, code_dim=dim)
    return ResidualQuantizer(vq, levels)


def make(spec=STATES, vq=None, **kwargs):
    keras.utils.set_random_seed(0)
    decoder = functools.partial(ConditionedMLP, (16,))
    encoder = MLP((16,), 16)
    if spec.is_image:
        encoder = ImpalaCNN(channels=(4,), blocks=1, output_dim=7)
        decoder = functools.partial(UNet, base=4)
    stage = HierarchicalLatentActionModel(
        encoder, decoder(), decoder(), vq or residual(), **kwargs
    )
    stage.build({"observation": spec})
    for network in (stage.skill, stage.fdm.fdm):
        kernel = (
            network.decoder.output_convolution.kernel
            if spec.is_image
            else network.decoder.network.layers[-1].kernel
        )
        kernel.assign(100.0 * kernel)  # predictions that clearly depend on the inputs
    return stage


def windows(size=32, seed=0):
    """Masses on springs: a window is its start and the push that lasts through it."""
    rng = np.random.default_rng(seed)
    state = rng.standard_normal((size, WIDTH))
    velocity = 0.3 * rng.standard_normal((size, WIDTH))
    push = rng.choice([-0.3, 0.0, 0.3], (size, WIDTH))
    steps = []
    for index in range(PAST + FUTURE):
        steps.append(state)
        velocity = velocity - 0.1 * state + (push if index >= PAST - 1 else 0.0)
        state = state + velocity
    raw = np.stack(steps, axis=1) * STD + MEAN
    return {"observation": tf.constant(raw, tf.float32)}


def standardised(batch):
    return (batch["observation"].numpy() - MEAN) / np.array(STD)


def test_losses_and_metrics_equal_numpy():
    stage, batch = make(k_step_preds=FUTURE, skill_weight=3.0), windows()
    for step in range(3):
        stage(windows(seed=step), training=True)
    losses, metrics = stage(batch)
    observation = batch["observation"]
    code = stage.vq(stage.idm(observation))
    context = observation[:, :PAST]
    skill = stage.skill(context, code["levels"][:, 0]).numpy()
    behavior = stage.fdm(context, code["levels"][:, 1]).numpy()
    assert behavior.shape == (32, FUTURE, WIDTH)
    frames = standardised(batch)
    now, future = frames[:, PAST - 1], frames[:, PAST:]
    skill_error = np.square(skill - future[:, -1]).mean()
    behavior_error = np.square(behavior - future).mean()
    expected = {"skill": 3 * skill_error, "behavior": behavior_error}
    expected["vq"] = code["loss"]
    assert set(losses) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(losses[name], value, rtol=1e-4, err_msg=name)
    skill_copy = np.square(now - future[:, -1]).mean()
    behavior_copy = np.square(now[:, None] - future).mean()
    expected = {
        "skill_copy_ratio": skill_error / skill_copy,
        "behavior_copy_ratio": behavior_error / behavior_copy,
        "skill_copy_error": skill_copy,
        "behavior_copy_error": behavior_copy,
        "perplexity": code["perplexity"],
        "dead_codes": code["dead_codes"],
        "perplexity_level_1": code["level_perplexity"][0],
        "perplexity_level_2": code["level_perplexity"][1],
        "dead_codes_level_1": code["level_dead_codes"][0],
        "dead_codes_level_2": code["level_dead_codes"][1],
    }
    assert set(metrics) == set(expected)
    for name, value in expected.items():
        np.testing.assert_allclose(metrics[name], value, rtol=1e-4, err_msg=name)


@pytest.mark.parametrize("spec", [STATES, IMAGES])
def test_each_loss_trains_its_own_parts_and_the_idm(spec):
    """A relative's loss ignored the predictions of the behaviour."""
    future = FUTURE if spec is STATES else 2
    stage = make(spec, k_step_preds=future)
    rng = np.random.default_rng(0)
    batch = windows()
    if spec is IMAGES:
        pixels = rng.integers(0, 256, (6, *spec.shape), "uint8")
        batch = {"observation": tf.constant(pixels)}
    with tf.GradientTape(persistent=True) as tape:
        losses, _ = stage(batch, training=True)
    for loss, (own, other) in {
        "skill": (stage.skill, stage.fdm),
        "behavior": (stage.fdm, stage.skill),
    }.items():
        for part in (own, stage.idm):
            gradients = tape.gradient(losses[loss], part.trainable_variables)
            for gradient, variable in zip(
                gradients, part.trainable_variables, strict=True
            ):
                assert np.any(gradient), (loss, variable.path)
        gradients = tape.gradient(losses[loss], other.trainable_variables)
        assert all(gradient is None for gradient in gradients)


def test_the_skill_depends_on_the_first_code_alone():
    stage, batch = make(k_step_preds=FUTURE), windows()
    for step in range(3):
        stage(windows(seed=step), training=True)
    losses, _ = stage(batch)
    finer = stage.vq.quantizers[1]
    finer.codebook.assign(-3.0 * finer.codebook)
    changed, _ = stage(batch)
    np.testing.assert_array_equal(changed["skill"], losses["skill"])
    assert changed["behavior"] != losses["behavior"]
    coarse = stage.vq.quantizers[0]
    coarse.codebook.assign(-3.0 * coarse.codebook)
    assert stage(batch)[0]["skill"] != losses["skill"]


def test_gradient_of_the_skill_reaches_the_latent_through_the_first_level_once():
    stage, batch = make(k_step_preds=FUTURE), windows()
    stage(batch, training=True)
    context = batch["observation"][:, :PAST]
    latent = stage.idm(batch["observation"])
    with tf.GradientTape(persistent=True) as tape:
        tape.watch(latent)
        levels = stage.vq(latent)["levels"]
        first, whole = levels[:, 0], levels[:, 1]
        skill = tf.reduce_sum(stage.skill(context, first) ** 2)
        behavior = tf.reduce_sum(stage.fdm(context, whole) ** 2)
    for loss, level in ((skill, first), (behavior, whole)):
        expected = tape.gradient(loss, level)
        assert np.abs(expected).max() > 0
        np.testing.assert_allclose(
            tape.gradient(loss, latent), expected, rtol=1e-4, atol=1e-5
        )
    assert tape.gradient(skill, whole) is None


def test_predictions_see_the_future_through_the_codes_alone():
    stage, batch = make(k_step_preds=FUTURE), windows()
    for quantizer in stage.vq.quantizers:
        quantizer.codebook.assign(tf.zeros_like(quantizer.codebook))
    observation = batch["observation"]
    future = tf.concat([observation[:, :PAST], -observation[:, PAST:]], axis=1)
    past = tf.concat([-observation[:, :PAST], observation[:, PAST:]], axis=1)
    levels = tf.zeros((32, 2, 4))
    true, same, other = (stage._predict(x, levels) for x in (observation, future, past))
    for index in range(2):
        np.testing.assert_array_equal(true[index], same[index])
        assert np.any(true[index] != other[index])


@pytest.mark.parametrize("vq", ["residual_vq", "residual_fsq"])
def test_training_brings_both_levels_below_copying(vq):
    quantizer = (
        residual(codes=32, dim=8)
        if vq == "residual_vq"
        else ResidualFiniteScalarQuantizer((5, 5, 5), 2, input_dim=8)
    )
    stage = make(vq=quantizer, k_step_preds=FUTURE)
    optimizer = keras.optimizers.Adam(3e-3)
    optimizer.build(stage.trainable_variables)

    @tf.function
    def update(batch):
        with tf.GradientTape() as tape:
            losses, _ = stage(batch, training=True)
            total = tf.add_n(list(losses.values()))
        gradients = tape.gradient(total, stage.trainable_variables)
        assert all(gradient is not None for gradient in gradients)
        optimizer.apply(gradients, stage.trainable_variables)

    for step in range(400):
        update(windows(128, seed=step))
    test = windows(512, seed=9999)
    _, metrics = stage(test)
    # With one code for everything, 0.7 is what is left of either.
    assert metrics["skill_copy_ratio"] < 0.15
    assert metrics["behavior_copy_ratio"] < 0.15
    assert min(float(metrics[f"perplexity_level_{i}"]) for i in (1, 2)) > 4
    # Within a behaviour the steps are told apart.
    levels = stage.vq(stage.idm(test["observation"]))["levels"]
    steps = stage.fdm(test["observation"][:, :PAST], levels[:, -1]).numpy()
    errors = np.square(steps - standardised(test)[:, PAST:]).mean(axis=(0, 2))
    moved = np.square(np.diff(steps, axis=1)).mean()
    assert moved > 0.02 and np.all(errors < 0.3 * standardised(test).var())
    # The finer level serves the behaviour.
    coarse = stage.fdm(test["observation"][:, :PAST], levels[:, 0]).numpy()
    assert np.square(coarse - standardised(test)[:, PAST:]).mean() > errors.mean()


def test_modules_are_saved_and_loaded(tmp_path):
    stage, batch = make(k_step_preds=FUTURE), windows()
    stage(batch, training=True)
    loaded = {}
    for name, module in stage.modules().items():
        save_module(module, tmp_path / name)
        loaded[name] = load_module(tmp_path / name)
    assert set(loaded) == {"idm", "vq", "fdm", "skill"}
    assert loaded["idm"].future == FUTURE
    context = batch["observation"][:, :PAST]
    code = loaded["vq"](loaded["idm"](batch["observation"]))
    expected = stage.vq(stage.idm(batch["observation"]))
    np.testing.assert_array_equal(code["codes"], expected["codes"])
    assert code["codes"].shape == (32, 2)
    for name, level in (("skill", 0), ("fdm", 1)):
        np.testing.assert_array_equal(
            loaded[name](context, code["levels"][:, level]),
            stage.modules()[name](context, expected["levels"][:, level]),
        )
    found = [v.path for m in stage.modules().values() for v in m.variables]
    assert sorted(found) == sorted(v.path for v in stage.variables)


def test_pictures_show_both_predictions():
    stage = make(IMAGES, k_step_preds=2)
    pixels = np.random.default_rng(0).integers(0, 256, (9, *IMAGES.shape), "uint8")
    (picture,) = stage.images({"observation": tf.constant(pixels)}).values()
    assert picture.shape == (8, 8, 32, 3) and picture.dtype == tf.uint8
    np.testing.assert_array_equal(picture[:, :, :8], pixels[:8, 0])
    np.testing.assert_array_equal(picture[:, :, 8:16], pixels[:8, 2])
    assert make(k_step_preds=FUTURE).images(windows()) == {}


def test_what_does_not_fit_is_refused():
    flat = VectorQuantizer(4, num_codebooks=1, num_latents=1, code_dim=4)
    with pytest.raises(ValueError, match="residual quantizer.*got VectorQuantizer"):
        make(vq=flat)
    with pytest.raises(ValueError, match="k_step_preds must be at least 1, got 0"):
        make(k_step_preds=0)
    with pytest.raises(ValueError, match="the 6 observations after it .* got 6"):
        make(k_step_preds=6)
