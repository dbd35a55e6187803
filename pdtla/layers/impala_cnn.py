"""`ImpalaCNN`, the convolutional encoder of Procgen agents."""

from collections.abc import Sequence

import keras

from pdtla.layers.residual_block import ResidualBlock

_POOLINGS = ("flatten", "max", "mean")


@keras.saving.register_keras_serializable(package="pdtla")
class ImpalaCNN(keras.layers.Layer):
    """Encodes images into vectors: convolutions, pooling, residual blocks, dense.

    A sequence is a 3x3 convolution, a 3x3 max pool of stride 2 and `blocks` residual
    blocks; the last map is reduced to a vector and passed through a dense layer. There
    is no normalisation, as in the published agents.

    Args:
      channels: channels of each sequence; a sequence halves height and width.
      scale: multiplies `channels`. LAPO uses 4.
      blocks: residual blocks in a sequence.
      output_dim: width of the embedding.
      pooling: "flatten" keeps where things are, as the published agents do; "max" and
        "mean" over positions keep only what there is, which an inverse model can do
        with: how something moved does not depend on where.

    Call arguments:
      inputs: float `[B, H, W, C]`, about in [-0.5, 0.5].

    Returns:
      float `[B, output_dim]`, after a ReLU.

    Raises:
      ValueError: an unknown pooling, or inputs that are not `[B, H, W, C]`.

    Reference: Espeholt et al. 2018, "IMPALA" (arXiv 1802.01561), figure 3 right.
    """

    def __init__(
        self,
        channels: Sequence[int] = (16, 32, 32),
        scale: int = 1,
        blocks: int = 2,
        output_dim: int = 256,
        pooling: str = "flatten",
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if pooling not in _POOLINGS:
            raise ValueError(f"pooling must be one of {_POOLINGS}, got {pooling!r}.")
        self.channels = tuple(channels)
        self.scale = scale
        self.blocks = blocks
        self.output_dim = output_dim
        self.pooling = pooling

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = tuple(input_shape)
        if len(shape) != 4 or None in shape[1:]:
            raise ValueError(f"ImpalaCNN takes images [B, H, W, C], got shape {shape}.")
        kwargs = {"dtype": self.dtype_policy}
        convolutions, residuals = [], []
        for index, channels in enumerate(self.channels):
            width = channels * self.scale
            convolution = keras.layers.Conv2D(
                width,
                3,
                padding="same",
                kernel_initializer="lecun_uniform",
                name=f"convolution_{index}",
                **kwargs,
            )
            convolution.build(shape)
            shape = (shape[0], -(-shape[1] // 2), -(-shape[2] // 2), width)
            blocks = []
            for block in range(self.blocks):
                blocks.append(ResidualBlock(name=f"residual_{index}_{block}", **kwargs))
                blocks[-1].build(shape)
            convolutions.append(convolution)
            residuals.append(tuple(blocks))
        # Tuples: tf.train.Checkpoint does not see layers in lists.
        self.convolutions = tuple(convolutions)
        self.residuals = tuple(residuals)
        self.pool = keras.layers.MaxPooling2D(3, 2, padding="same", **kwargs)
        self.dense = keras.layers.Dense(
            self.output_dim, kernel_initializer="lecun_uniform", name="dense", **kwargs
        )
        positions = shape[1] * shape[2] if self.pooling == "flatten" else 1
        self.dense.build((shape[0], positions * shape[3]))
        self.built = True

    def call(self, inputs):
        hidden = inputs
        for convolution, blocks in zip(self.convolutions, self.residuals, strict=True):
            hidden = self.pool(convolution(hidden))
            for block in blocks:
                hidden = block(hidden)
        return keras.ops.relu(self.dense(self._reduce(keras.ops.relu(hidden))))

    def _reduce(self, hidden):
        """The last map `[B, h, w, F]` as a vector."""
        if self.pooling == "max":
            return keras.ops.max(hidden, axis=(1, 2))
        if self.pooling == "mean":
            return keras.ops.mean(hidden, axis=(1, 2))
        return keras.ops.reshape(hidden, (keras.ops.shape(hidden)[0], -1))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(
            channels=self.channels,
            scale=self.scale,
            blocks=self.blocks,
            output_dim=self.output_dim,
            pooling=self.pooling,
        )
        return config
