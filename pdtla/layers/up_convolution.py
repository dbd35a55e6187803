"""`UpConvolution`, a transposed convolution whose stride is its size."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pdtla")
class UpConvolution(keras.layers.Layer):
    """Doubles height and width with a 2x2 transposed convolution of stride 2.

    No two inputs meet in an output pixel, so it is a 1x1 convolution to four groups of
    channels and a rearrangement, which costs less than the general operation.

    Args:
      filters: channels of the output.

    Call arguments:
      inputs: float `[B, H, W, C]`.

    Returns:
      float `[B, 2 H, 2 W, filters]`.
    """

    def __init__(self, filters: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.filters = filters

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(
            shape=(1, 1, input_shape[-1], 4 * self.filters),
            initializer=keras.initializers.VarianceScaling(2.0),
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.filters,), initializer="zeros", name="bias"
        )
        self.built = True

    def call(self, inputs):
        bias = ops.tile(self.bias, 4)
        if tuple(inputs.shape[1:3]) == (1, 1):
            # Convolution kernels are slow on maps of one pixel.
            groups = ops.matmul(inputs[:, 0, 0], self.kernel[0, 0]) + bias
            return ops.depth_to_space(groups[:, None, None], 2)
        groups = ops.conv(inputs, self.kernel, padding="same")
        return ops.depth_to_space(groups + ops.reshape(bias, (1, 1, 1, -1)), 2)

    def compute_output_shape(self, input_shape):
        batch, height, width, _ = input_shape
        return (batch, 2 * height, 2 * width, self.filters)

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(filters=self.filters)
        return config
