"""`MLP`, dense layers with one activation between them."""

from collections.abc import Sequence

import keras


@keras.saving.register_keras_serializable(package="pdtla")
class MLP(keras.layers.Layer):
    """A multi-layer perceptron with a linear output.

    Args:
      hidden: widths of the hidden layers; none makes it one linear map.
      output_dim: width of the output.
      activation: name of the activation after each hidden layer.

    Call arguments:
      inputs: float `[..., D]`.

    Returns:
      float `[..., output_dim]`.

    Attributes:
      input_dim: width D of the inputs, once built.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (128, 128),
        output_dim: int = 128,
        activation: str = "gelu",
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.hidden = tuple(hidden)
        self.output_dim = output_dim
        self.activation = activation

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = tuple(input_shape)
        self.input_dim = shape[-1]
        layers = []
        for index, width in enumerate((*self.hidden, self.output_dim)):
            is_last = index == len(self.hidden)
            layer = keras.layers.Dense(
                width,
                activation=None if is_last else self.activation,
                kernel_initializer="lecun_uniform",
                name=f"dense_{index}",
                dtype=self.dtype_policy,
            )
            layer.build(shape)
            shape = (*shape[:-1], width)
            layers.append(layer)
        self.layers = tuple(layers)
        self.built = True

    def call(self, inputs):
        outputs = inputs
        for layer in self.layers:
            outputs = layer(outputs)
        return outputs

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.output_dim)

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(
            hidden=self.hidden, output_dim=self.output_dim, activation=self.activation
        )
        return config
