"""Every quantizer within a latent action model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.latent_actions.latent_action_model import LatentActionModel
from pdtla.layers.conditioned_mlp import ConditionedMLP
from pdtla.layers.finite_scalar_quantizer import FiniteScalarQuantizer
from pdtla.layers.gaussian_latent import GaussianLatent
from pdtla.layers.identity_quantizer import IdentityQuantizer
from pdtla.layers.mlp import MLP
from pdtla.layers.noise_substitution_quantizer import NoiseSubstitutionQuantizer
from pdtla.layers.residual_finite_scalar_quantizer import (
    ResidualFiniteScalarQuantizer,
)
from pdtla.layers.residual_quantizer import ResidualQuantizer
from pdtla.layers.vector_quantizer import VectorQuantizer

_STATES = specs.ArraySpec((3, 5), "float32", mean=(1.0,) * 5, std=(2.0,) * 5)


def _vq():
    return VectorQuantizer(4, num_codebooks=1, num_latents=2, code_dim=3)


# name: quantizer and the width of its latent
QUANTIZERS = {
    "vq": (_vq, 6),
    "residual_vq": (lambda: ResidualQuantizer(_vq(), 2), 6),
    "fsq": (lambda: FiniteScalarQuantizer((5, 3), input_dim=7), 7),
    "fsq_plain": (lambda: FiniteScalarQuantizer((5, 3)), 2),
    "residual_fsq": (lambda: ResidualFiniteScalarQuantizer((3, 3), input_dim=7), 7),
    "nsvq": (lambda: NoiseSubstitutionQuantizer(4, num_latents=2, code_dim=4), 8),
    "vae": (lambda: GaussianLatent(7), 7),
    "none": (lambda: IdentityQuantizer(7), 7),
}


def make(name):
    keras.utils.set_random_seed(0)
    stage = LatentActionModel(MLP((8,), 8), ConditionedMLP((8,)), QUANTIZERS[name][0]())
    stage.build({"observation": _STATES})
    kernel = stage.fdm.decoder.network.layers[-1].kernel
    kernel.assign(100.0 * kernel)  # predictions that clearly depend on the latent
    return stage


def make_batch(seed=0):
    rng = np.random.default_rng(seed)
    frames = 1.0 + 2.0 * rng.standard_normal((32, *_STATES.shape))
    return {"observation": tf.constant(frames, tf.float32)}


@pytest.mark.parametrize("name", QUANTIZERS)
def test_every_width_follows_the_quantizer(name):
    """In a relative the latent was 8 wide and the codes 64."""
    stage, batch = make(name), make_batch()
    losses, metrics = stage(batch, training=True)
    assert all(np.isfinite(loss) for loss in losses.values())
    assert stage.idm(batch["observation"]).shape == (32, QUANTIZERS[name][1])
    assert ("perplexity" in metrics) == (name not in ("vae", "none"))
    assert ("kl" in metrics) == (name == "vae")


@pytest.mark.parametrize("name", QUANTIZERS)
def test_the_forward_model_is_given_what_the_quantizer_leaves(name):
    """In a relative the choice of a quantizer had no effect by default."""
    stage, batch = make(name), make_batch()
    for step in range(3):
        stage(make_batch(step), training=True)
    observation = batch["observation"]
    latent = stage.idm(observation)
    if name not in ("vae", "none"):
        codes = stage.vq(latent)["codes"]
        assert len(np.unique(codes, axis=0)) > 1
        latent = stage.vq.codes_to_latent(codes)
    predicted = stage.fdm(observation[:, :-1], latent)
    target = (observation[:, -1] - 1.0) / 2.0
    losses, _ = stage(batch)
    error = np.square(predicted - target).mean()
    np.testing.assert_allclose(losses["reconstruction"], error, rtol=1e-4)


@pytest.mark.parametrize("name", QUANTIZERS)
def test_every_weight_learns(name):
    stage, batch = make(name), make_batch()
    stage(make_batch(1), training=True)
    with tf.GradientTape() as tape:
        losses, _ = stage(batch, training=True)
        total = tf.add_n(list(losses.values()))
    variables = stage.trainable_variables
    for gradient, variable in zip(
        tape.gradient(total, variables), variables, strict=True
    ):
        assert gradient is not None and np.any(gradient), variable.path
