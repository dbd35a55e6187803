"""A latent action model that has learnt nothing, for what comes after training."""

import keras

from pdtla.latent_actions.labeller import Labeller
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.module_io import save_module
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.layers.vector_quantizer import VectorQuantizer


def save_random_model(run, seed=0):
    """A model of real frames with codes."""
    keras.utils.set_random_seed(seed)
    encoder = ImpalaCNN(channels=(4,), blocks=1, output_dim=8)
    idm = ObservationNetwork(encoder, 6)
    idm.build((None, 3, 64, 64, 3))
    vq = VectorQuantizer(5, num_codebooks=1, num_latents=2, code_dim=3)
    vq.build((None, 6))
    for name, module in (("idm", idm), ("vq", vq)):
        save_module(module, run / "modules" / name)
    return Labeller(str(run))
