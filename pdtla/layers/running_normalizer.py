"""`RunningNormalizer`: observations standardised by the statistics seen so far."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pdtla")
class RunningNormalizer(keras.layers.Layer):
    """Standardises vectors by a mean and a variance that `update` refines.

    Args:
      limit: bound on the absolute value of the output.

    Call arguments:
      inputs: float `[..., D]`.

    Returns:
      float32 `[..., D]`, between `-limit` and `limit`; before the first update the
      clipped inputs.
    """

    def __init__(self, limit: float = 10.0, **kwargs) -> None:
        super().__init__(autocast=False, **kwargs)
        self.limit = limit

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        size = input_shape[-1]
        settings = {"dtype": "float32", "trainable": False}
        self.mean = self.add_weight(
            shape=(size,), initializer="zeros", name="mean", **settings
        )
        self.variance = self.add_weight(
            shape=(size,), initializer="ones", name="variance", **settings
        )
        self.count = self.add_weight(
            shape=(), initializer="zeros", name="count", **settings
        )
        self.built = True

    def update(self, inputs) -> None:
        """Takes more observations into the statistics.

        Those of the union follow from those of both parts (Chan, Golub and LeVeque
        1983, eq. 2.1).

        Args:
          inputs: float `[B, D]`.
        """
        inputs = ops.cast(inputs, "float32")
        size = ops.cast(ops.shape(inputs)[0], "float32")
        mean, variance = ops.mean(inputs, axis=0), ops.var(inputs, axis=0)
        share = size / (self.count + size)
        shift = mean - self.mean
        between = share * (1.0 - share) * ops.square(shift)
        within = self.variance + share * (variance - self.variance)
        self.mean.assign(self.mean + share * shift)
        self.variance.assign(within + between)
        self.count.assign(self.count + size)

    def call(self, inputs):
        inputs = ops.cast(inputs, "float32")
        scale = ops.rsqrt(self.variance + 1e-8)
        return ops.clip((inputs - self.mean) * scale, -self.limit, self.limit)

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self) -> dict:
        return super().get_config() | {"limit": self.limit}
