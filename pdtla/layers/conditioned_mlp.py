"""`ConditionedMLP`: the forward model's network for state observations."""

from collections.abc import Sequence

import keras
from keras import ops

from pdtla.layers.mlp import MLP

_INITIAL_GAIN = 1e-2


@keras.saving.register_keras_serializable(package="pdtla")
class ConditionedMLP(keras.layers.Layer):
    """Predicts a state from past states and a latent, both at the input.

    Args:
      hidden: widths of the hidden layers.
      activation: name of the activation after each.
      output_dim: D; None leaves it to `ForwardDynamics`, which knows the observation.

    Call arguments:
      frames: float `[B, T*D]`.
      latent: float `[B, Z]`.

    Returns:
      float `[B, D]`, near 0 at first, so that a predicted difference begins as none.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (256, 256),
        activation: str = "gelu",
        output_dim: int | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden = tuple(hidden)
        self.activation = activation
        self.output_dim = output_dim

    def build(self, frames_shape, latent_shape) -> None:
        if len(frames_shape) != 2:
            raise ValueError(
                f"ConditionedMLP predicts states [B, T*D], got shape {frames_shape}."
            )
        width = frames_shape[-1] + latent_shape[-1]
        self.network = MLP(
            self.hidden,
            self.output_dim,
            self.activation,
            name="network",
            dtype=self.dtype_policy,
        )
        self.network.build((None, width))
        kernel = self.network.layers[-1].kernel
        kernel.assign(_INITIAL_GAIN * kernel)

    def call(self, frames, latent, training: bool = False):
        latent = ops.cast(latent, frames.dtype)
        inputs = ops.concatenate([frames, latent], axis=-1)
        return self.network(inputs, training=training)

    def get_config(self) -> dict:
        return super().get_config() | {
            "hidden": self.hidden,
            "activation": self.activation,
            "output_dim": self.output_dim,
        }
