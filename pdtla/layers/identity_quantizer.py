"""`IdentityQuantizer`: latent actions stay continuous."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pdtla")
class IdentityQuantizer(keras.layers.Layer):
    """Stands in the quantizer's place and quantizes nothing.

    Args:
      dim: width D of the latent.

    Call arguments:
      inputs: float `[B, D]`.

    Returns:
      A dict with `quantized`, float32 `[B, D]`, the inputs, and `loss`, 0. There are
      no codes, hence neither `codes` nor `perplexity`.
    """

    num_codes_per_latent = 0

    def __init__(self, dim: int = 128, **kwargs) -> None:
        super().__init__(autocast=False, **kwargs)
        self.dim = dim
        self.input_dim = dim
        self.output_dim = dim

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != self.dim:
            raise ValueError(
                f"The latent has width {self.dim}, got inputs of shape {input_shape}."
            )
        self.built = True

    def call(self, inputs, training: bool = False):
        del training
        return {
            "quantized": ops.cast(inputs, "float32"),
            "loss": ops.zeros((), "float32"),
        }

    def codes_to_latent(self, codes):
        """Always an error: a continuous latent has no codes."""
        raise ValueError("Latents are continuous here: there are no codes to decode.")

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(dim=self.dim)
        return config
