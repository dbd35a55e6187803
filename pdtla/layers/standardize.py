"""`Standardize`: state observations with zero mean and unit variance."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from pdtla import specs


@keras.saving.register_keras_serializable(package="pdtla")
class Standardize(keras.layers.Layer):
    """Standardises states by the statistics of the training data.

    The statistics travel with the module, so that a policy reads what the simulator
    shows, whatever dataset it was trained on. Images of bytes pass: `FrameStack` scales
    them.

    Args:
      mean: of each component, `[D]`; None leaves states as they are.
      std: standard deviation of each component, `[D]`, above 0.

    Call arguments:
      inputs: uint8 of any shape, or float `[..., D]`.

    Returns:
      The images, or float32 `[..., D]`.

    Raises:
      ValueError: the statistics have different widths, or some deviation is not
        positive.
    """

    def __init__(
        self,
        mean: Sequence[float] | None = None,
        std: Sequence[float] | None = None,
        **kwargs,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.mean = None if mean is None else tuple(float(x) for x in mean)
        self.std = None if std is None else tuple(float(x) for x in std)
        if len(self.mean or ()) != len(self.std or ()):
            raise ValueError(
                f"mean and std must be of one width, got {mean} and {std}."
            )
        if self.std and min(self.std) <= 0.0:
            raise ValueError(f"Standard deviations must be positive, got {std}.")

    @classmethod
    def of(cls, spec: specs.ArraySpec) -> "Standardize":
        """The layer for observations of a spec."""
        return cls(spec.mean, spec.std)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if self.mean and input_shape[-1] != len(self.mean):
            raise ValueError(
                f"Statistics of width {len(self.mean)} cannot standardise "
                f"inputs of shape {input_shape}."
            )
        self.built = True

    def call(self, inputs):
        if keras.backend.standardize_dtype(inputs.dtype) == "uint8":
            return inputs
        inputs = ops.cast(inputs, "float32")
        if self.mean is None:
            return inputs
        mean = np.asarray(self.mean, "float32")
        return (inputs - mean) / np.asarray(self.std, "float32")

    def compute_output_shape(self, input_shape):
        return tuple(input_shape)

    def get_config(self) -> dict:
        return super().get_config() | {"mean": self.mean, "std": self.std}
