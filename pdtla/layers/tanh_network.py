"""`TanhNetwork`: the small network of policies and values learnt online."""

from collections.abc import Sequence

import keras


@keras.saving.register_keras_serializable(package="pdtla")
class TanhNetwork(keras.layers.Layer):
    """Dense layers with tanh between them, initialised orthogonally.

    Gain sqrt(2) in the hidden layers and a small one at the output are what policy
    gradients were found to want (Andrychowicz et al. 2021, arXiv 2006.05990, 3.2).

    Args:
      output_dim: width of the output.
      widths: of the hidden layers.
      output_gain: of the output's initial weights.

    Call arguments:
      inputs: float `[..., D]`.

    Returns:
      float `[..., output_dim]`.
    """

    def __init__(
        self,
        output_dim: int,
        widths: Sequence[int] = (64, 64),
        output_gain: float = 1.0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.output_dim = output_dim
        self.widths = tuple(widths)
        self.output_gain = output_gain
        self._hidden = tuple(
            keras.layers.Dense(
                width,
                activation="tanh",
                kernel_initializer=keras.initializers.Orthogonal(2.0**0.5),
                dtype=self.dtype_policy,
                name=f"hidden_{index}",
            )
            for index, width in enumerate(self.widths)
        )
        self._output = keras.layers.Dense(
            output_dim,
            kernel_initializer=keras.initializers.Orthogonal(output_gain),
            dtype=self.dtype_policy,
            name="output",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        shape = tuple(input_shape)
        for layer in (*self._hidden, self._output):
            layer.build(shape)
            shape = layer.compute_output_shape(shape)
        self.built = True

    def call(self, inputs):
        for layer in (*self._hidden, self._output):
            inputs = layer(inputs)
        return inputs

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.output_dim)

    def get_config(self) -> dict:
        return super().get_config() | {
            "output_dim": self.output_dim,
            "widths": self.widths,
            "output_gain": self.output_gain,
        }
