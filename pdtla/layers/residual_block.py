"""`ResidualBlock`, the pre-activation block of the convolutional networks here."""

import keras


@keras.saving.register_keras_serializable(package="pdtla")
class ResidualBlock(keras.layers.Layer):
    """`x + conv(relu(conv(relu(x))))` with 3x3 convolutions.

    Args:
      hidden: channels between the two convolutions; as many as the input if None.
      initial_scale: variance of the last convolution's kernel, relative to one that
        keeps the variance of its input. Small values start the block near identity,
        which networks without normalisation need.

    Call arguments:
      inputs: float `[B, H, W, C]`.

    Returns:
      float `[B, H, W, C]`.

    Reference: He et al. 2016, "Identity Mappings in Deep Residual Networks"
    (arXiv 1603.05027).
    """

    def __init__(
        self, hidden: int | None = None, initial_scale: float = 1.0, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.hidden = hidden
        self.initial_scale = initial_scale

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        channels = input_shape[-1]
        hidden = self.hidden or channels
        self.expand = keras.layers.Conv2D(
            hidden,
            3,
            padding="same",
            kernel_initializer=keras.initializers.VarianceScaling(1.0),
            dtype=self.dtype_policy,
            name="expand",
        )
        self.project = keras.layers.Conv2D(
            channels,
            3,
            padding="same",
            kernel_initializer=keras.initializers.VarianceScaling(self.initial_scale),
            dtype=self.dtype_policy,
            name="project",
        )
        self.expand.build(input_shape)
        self.project.build((*input_shape[:-1], hidden))
        self.built = True

    def call(self, inputs):
        hidden = self.expand(keras.ops.relu(inputs))
        return inputs + self.project(keras.ops.relu(hidden))

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(hidden=self.hidden, initial_scale=self.initial_scale)
        return config
