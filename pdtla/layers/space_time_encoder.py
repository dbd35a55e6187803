"""`SpaceTimeEncoder`, a transformer that encodes the transitions of a window."""

import keras
from keras import ops

from pdtla.layers.space_time_transformer import SpaceTimeTransformer


@keras.saving.register_keras_serializable(package="pdtla")
class SpaceTimeEncoder(SpaceTimeTransformer):
    """Encodes each transition of a window, and nothing after it.

    Feature s is the maximum over the places of step s + 1: what happened, wherever it
    did. A mean would dilute the one place that something happened in by all others.
    For the arguments and errors see `SpaceTimeTransformer`.

    Call arguments:
      observation: float `[B, T, H, W, C]` or `[B, T, D]`, normalised.

    Returns:
      float `[B, T-1, width]`; feature s is of o_s -> o_{s+1}, from o_0 .. o_{s+1}.
    """

    def build(self, observation_shape: tuple[int | None, ...]) -> None:
        self.embedding.build(observation_shape)
        self.blocks.build(self.embedding.compute_output_shape(observation_shape))
        self.built = True

    def call(self, observation, training: bool = False):
        tokens = self.blocks(self.embedding(observation), training=training)
        return ops.max(tokens[:, 1:], axis=2)

    def compute_output_shape(self, observation_shape):
        return (observation_shape[0], observation_shape[1] - 1, self.width)
