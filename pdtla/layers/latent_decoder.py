"""`LatentDecoder`: from a latent action to a distribution over actions."""

from collections.abc import Sequence

import keras
from keras import ops

from pdtla.layers.action_distributions import ActionDistribution
from pdtla.layers.frame_stack import FrameStack
from pdtla.layers.mlp import MLP
from pdtla.layers.standardize import Standardize


@keras.saving.register_keras_serializable(package="pdtla")
class LatentDecoder(keras.layers.Layer):
    """Decodes z, or z and o, into the parameters of a distribution over actions.

    Computes in float32.

    Args:
      distribution: reads the output as actions.
      hidden: widths of the hidden layers.
      activation: name of the activation after each.
      encoder: encoder of the observation that the decoder sees beside the latent, from
        `[B, H, W, C]` or `[B, D]` to features `[B, F]`; None for the latent alone.
      standardize: what observed states go through first.

    Call arguments:
      latent: float `[B, D]`.
      observation: o_t, uint8 or float `[B, 1, ...]`; of no effect without an encoder.

    Returns:
      float32 `[B, distribution.num_params]`.

    Attributes:
      input_dim: width D of the latent, once built.
    """

    def __init__(
        self,
        distribution: ActionDistribution,
        hidden: Sequence[int] = (128, 128),
        activation: str = "gelu",
        encoder: keras.layers.Layer | None = None,
        standardize: keras.layers.Layer | None = None,
        **kwargs,
    ):
        kwargs["dtype"] = "float32"
        super().__init__(**kwargs)
        self.distribution = distribution
        self.hidden = tuple(hidden)
        self.activation = activation
        self.encoder = encoder
        self.standardize = standardize or Standardize()
        self.output_dim = distribution.num_params
        self.frames = FrameStack(dtype="float32")
        self.autocast = False
        self.network = MLP(
            self.hidden, self.output_dim, activation, name="network", dtype="float32"
        )

    def build(self, latent_shape, observation_shape=None) -> None:
        self.input_dim = width = latent_shape[-1]
        if self.encoder is not None:
            if observation_shape is None:
                raise ValueError("A decoder that sees observations needs their shape.")
            self.standardize.build(observation_shape)
            self.frames.build(observation_shape)
            shape = self.frames.compute_output_shape(observation_shape)
            self.encoder.build(shape)
            width += self.encoder.compute_output_shape(shape)[-1]
        self.network.build((None, width))

    def call(self, latent, observation=None, training: bool = False):
        inputs = ops.cast(latent, "float32")
        if self.encoder is not None:
            frames = self.frames(self.standardize(observation))
            features = self.encoder(frames, training=training)
            inputs = ops.concatenate([inputs, ops.cast(features, "float32")], axis=-1)
        return self.network(inputs, training=training)

    def quiet(self) -> None:
        """Brings the first outputs near 0, as policies learnt online should begin.

        Source: Andrychowicz et al. 2021 (arXiv 2006.05990), section 3.2.
        """
        kernel = self.network.layers[-1].kernel
        kernel.assign(0.01 * kernel)

    def get_config(self) -> dict:
        nested = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in ("distribution", "encoder", "standardize")
        }
        return (
            super().get_config()
            | nested
            | {
                "hidden": self.hidden,
                "activation": self.activation,
            }
        )

    @classmethod
    def from_config(cls, config: dict) -> "LatentDecoder":
        config = dict(config)
        for name in ("distribution", "encoder", "standardize"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
