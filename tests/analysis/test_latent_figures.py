"""Figures of a tiny real latent action model."""

import io

import numpy as np
import tensorflow as tf
from PIL import Image
from test_latent_health import AddGain, BrightnessGain, batches

from pdtla.analysis import latent_figures
from pdtla.layers.identity_quantizer import IdentityQuantizer
from pdtla.layers.vector_quantizer import VectorQuantizer


def test_all_figures_with_codes():
    vq = VectorQuantizer(num_codes=8, num_codebooks=1, num_latents=2, code_dim=2)
    vq.build((None, 4))
    figures = latent_figures.latent_figures(BrightnessGain(), vq, AddGain(), batches())
    assert set(figures) == {
        latent_figures.FRAMES,
        latent_figures.USAGE,
        latent_figures.EFFECTS,
    }
    for data in figures.values():
        assert min(Image.open(io.BytesIO(data)).size) > 100


def test_continuous_latents_have_no_codes_to_show():
    figures = latent_figures.latent_figures(
        BrightnessGain(), IdentityQuantizer(dim=4), AddGain(), batches()
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
