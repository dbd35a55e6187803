"""`Patched`: runs an image-to-image network on patches instead of pixels."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pdtla")
class Patched(keras.layers.Layer):
    """Folds `size` x `size` pixels into channels around a conditioned network.

    At full resolution a convolution network with few channels spends its time moving
    activations, not computing. On patches the same arithmetic has `size`^2 fewer
    positions and wider products.

    Args:
      network: layer called with (images `[B, H/s, W/s, s*s*C]`, latent `[B, D]`) that
        returns `[B, H/s, W/s, s*s*C']`.
      size: s, the side of a patch in pixels.

    Call arguments:
      frames: float `[B, H, W, C]`, H and W multiples of s.
      latent: float `[B, D]`.

    Returns:
      float `[B, H, W, C']`.
    """

    def __init__(self, network: keras.layers.Layer, size: int = 4, **kwargs):
        super().__init__(**kwargs)
        self.network = network
        self.size = size

    def build(self, frames_shape, latent_shape) -> None:
        batch, height, width, channels = frames_shape
        if height % self.size or width % self.size:
            raise ValueError(
                f"Patches of {self.size} pixels need a height and width that are "
                f"multiples of it, got {height} x {width}."
            )
        patches = (
            batch,
            height // self.size,
            width // self.size,
            channels * self.size**2,
        )
        self.network.build(patches, latent_shape)

    def call(self, frames, latent, training: bool = False):
        size = self.size
        _, height, width, channels = frames.shape
        rows, columns = height // size, width // size
        x = ops.reshape(frames, (-1, rows, size, columns, size, channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        x = ops.reshape(x, (-1, rows, columns, size * size * channels))
        x = self.network(x, latent, training=training)
        out_channels = x.shape[-1] // size**2
        x = ops.reshape(x, (-1, rows, columns, size, size, out_channels))
        x = ops.transpose(x, (0, 1, 3, 2, 4, 5))
        return ops.reshape(x, (-1, height, width, out_channels))

    def get_config(self) -> dict:
        return super().get_config() | {
            "network": keras.saving.serialize_keras_object(self.network),
            "size": self.size,
        }

    @classmethod
    def from_config(cls, config: dict) -> "Patched":
        network = keras.saving.deserialize_keras_object(config["network"])
        return cls(**(config | {"network": network}))
