"""Figures of a tiny real latent action model."""

import io

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pdtla import specs
from pdtla.analysis import latent_figures
from pdtla.analysis.latent_model import LatentModel
from pdtla.latent_actions.latent_action_model import LatentActionModel
from pdtla.layers.identity_quantizer import IdentityQuantizer
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.unet import UNet
from pdtla.layers.vector_quantizer import VectorQuantizer


def model(vq):
    stage = LatentActionModel(
        ImpalaCNN(channels=(4,), blocks=1, output_dim=7), UNet(base=4), vq
    )
    stage.build({specs.OBSERVATION: specs.ArraySpec((3, 8, 8, 3), "uint8")})
    return LatentModel.of(stage.modules())


@pytest.fixture
def observation():
    return np.random.default_rng(0).integers(0, 256, (20, 3, 8, 8, 3), "uint8")


def test_all_figures_with_codes(observation):
    found = model(VectorQuantizer(4, num_codebooks=1, num_latents=2, code_dim=3))
    _, codes = found.quantize(found.idm(observation))
    figures = latent_figures.latent_figures(found, observation, codes.numpy())
    assert set(figures) == {
        latent_figures.FRAMES,
        latent_figures.USAGE,
        latent_figures.EFFECTS,
    }
    for data in figures.values():
        assert min(Image.open(io.BytesIO(data)).size) > 100


def test_continuous_latents_have_no_codes_to_show(observation):
    figures = latent_figures.latent_figures(
        model(IdentityQuantizer(dim=4)), observation, None
    )
    assert set(figures) == {latent_figures.FRAMES}


def test_windows_that_change_most_are_shown():
    frames = np.zeros((5, 3, 2, 2, 3), np.uint8)
    frames[3, -1], frames[1, -1] = 200, 100
    chosen = latent_figures._most_changing(frames, 2)
    np.testing.assert_array_equal(chosen[:, -1, 0, 0, 0], [200, 100])
    assert tf.convert_to_tensor(chosen).dtype == tf.uint8


def test_only_codes_that_occur_are_shown():
    counts = np.array([0, 3, 9, 0, 3])
    assert latent_figures._frequent(counts, 4) == [2, 1, 4]
    assert latent_figures._frequent(counts, 1) == [2]
