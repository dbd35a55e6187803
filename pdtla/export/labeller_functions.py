"""What a trained labeller infers, as a function of tensors alone."""

import tensorflow as tf

from pdtla import specs
from pdtla.export.saved_functions import Functions
from pdtla.latent_actions.labeller import Labeller


def labeller_functions(labeller: Labeller) -> Functions:
    """`label(observation)`: windows `[B, T, ...]` to what `Labeller.label` returns."""
    window = tf.TensorSpec([None, *labeller.window.shape], labeller.window.dtype)

    def label(observation):
        return labeller.label(observation)

    function = tf.function(label)
    return {"label": function.get_concrete_function(**{specs.OBSERVATION: window})}
