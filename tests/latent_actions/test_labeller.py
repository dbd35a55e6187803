"""What a labeller infers, against the modules it was given."""

import numpy as np
import pytest
import tensorflow as tf

from pdtla.latent_actions.labeller import Labeller
from pdtla.layers.action_distributions import Categorical
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.latent_decoder import LatentDecoder
from pdtla.layers.module_io import save_module
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.layers.vector_quantizer import VectorQuantizer

FRAMES = np.random.default_rng(0).integers(0, 256, (6, 3, 8, 8, 3), "uint8")


def make_idm():
    encoder = ImpalaCNN(channels=(4,), blocks=1, output_dim=7)
    idm = ObservationNetwork(encoder, 6)
    idm.build((None, 3, 8, 8, 3))
    return idm


def make_vq():
    vq = VectorQuantizer(5, num_codebooks=1, num_latents=2, code_dim=3)
    vq.build((None, 6))
    vq.codebook.assign(tf.random.normal(vq.codebook.shape, seed=1))
    return vq


def make_decoder(input_dim=6):
    decoder = LatentDecoder(Categorical(15), (8,))
    decoder.build((None, input_dim))
    return decoder


def save(run, **modules):
    for name, module in modules.items():
        save_module(module, run / "modules" / name)
    return str(run)


def test_labels_are_those_of_the_modules(tmp_path):
    idm, vq, decoder = make_idm(), make_vq(), make_decoder()
    run = save(tmp_path, idm=idm, vq=vq, decoder=decoder)
    latent = idm(FRAMES).numpy()
    chunks = latent.reshape(6, 2, 1, 3)
    codebook = vq.codebook.numpy()[0]
    codes = np.argmin(np.square(chunks - codebook).sum(-1), axis=-1)
    quantized = codebook[codes].reshape(6, 6)
    for form, expected in (("continuous", latent), ("quantized", quantized)):
        labeller = Labeller(run, latent=form)
        labels = labeller.label(tf.constant(FRAMES))
        assert set(labels) == {"latent_action", "latent_code", "action"}
        np.testing.assert_allclose(labels["latent_action"], expected, atol=1e-5)
        np.testing.assert_array_equal(labels["latent_code"], codes)
        # The decoder reads the very form that is stored and that policies imitate.
        action = decoder(expected).numpy().argmax(-1)
        np.testing.assert_array_equal(labels["action"], action)


def test_specs_describe_the_labels(tmp_path):
    run = save(tmp_path, idm=make_idm(), vq=make_vq(), decoder=make_decoder())
    labeller = Labeller(run)
    assert labeller.num_frames == 3
    labels = labeller.label(tf.constant(FRAMES))
    assert set(labeller.fields) == set(labels)
    for name, spec in labeller.fields.items():
        assert labels[name].shape[1:] == spec.shape
        assert labels[name].dtype.name == spec.dtype
    assert labeller.fields["action"].num_values == 15


def test_a_decoder_of_another_run(tmp_path):
    run = save(tmp_path / "lam", idm=make_idm(), vq=make_vq())
    assert set(Labeller(run).fields) == {"latent_action", "latent_code"}
    decoder = make_decoder()
    other = save(tmp_path / "decoder", decoder=decoder)
    labeller = Labeller(run, other)
    labels = labeller.label(tf.constant(FRAMES))
    action = decoder(labels["latent_action"]).numpy().argmax(-1)
    np.testing.assert_array_equal(labels["action"], action)


def test_a_supervised_idm_has_no_codes(tmp_path):
    run = save(tmp_path, idm=make_idm(), decoder=make_decoder())
    assert set(Labeller(run).fields) == {"latent_action", "action"}


def test_the_fingerprint_is_that_of_weights_and_settings(tmp_path):
    idm, vq, decoder = make_idm(), make_vq(), make_decoder()
    run = save(tmp_path / "a", idm=idm, vq=vq)
    same = save(tmp_path / "b", idm=idm, vq=vq)
    with_decoder = save(tmp_path / "c", idm=idm, vq=vq, decoder=decoder)
    labeller = Labeller(run)
    assert labeller.fingerprint == Labeller(same).fingerprint
    vq.codebook.assign_add(tf.ones_like(vq.codebook))
    other = save(tmp_path / "d", idm=idm, vq=vq)
    different = [
        Labeller(other),
        Labeller(run, latent="quantized"),
        Labeller(with_decoder),
    ]
    found = {each.fingerprint for each in (labeller, *different)}
    assert len(found) == 4


def test_what_cannot_label_is_refused(tmp_path):
    save(tmp_path / "lam", idm=make_idm(), vq=make_vq())
    save(tmp_path / "wide", decoder=make_decoder(128))
    lam, wide = str(tmp_path / "lam"), str(tmp_path / "wide")
    for arguments, message in (
        ((lam, wide), "takes latents of width 128; this IDM's have 6"),
        ((lam, str(tmp_path / "none")), "no saved module in .*none/modules/decoder"),
        ((str(tmp_path / "none"),), "no saved module in .*none/modules/idm"),
        ((lam, None, "codes"), r"one of \('continuous', 'quantized'\), got 'codes'"),
    ):
        with pytest.raises(ValueError, match=message):
            Labeller(*arguments)
