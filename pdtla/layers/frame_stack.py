"""`FrameStack`: a window of frames as the channels of one image."""

import keras
from keras import ops

_MODES = ("stack", "difference")


def to_float(observation, dtype: str = "float32"):
    """Pixels 0..255 as floats in [-0.5, 0.5]; floats are cast and left alone.

    Args:
      observation: uint8 or float tensor of any shape.
      dtype: name of the float type to return.
    """
    is_pixels = keras.backend.standardize_dtype(observation.dtype) == "uint8"
    observation = ops.cast(observation, dtype)
    if not is_pixels:
        return observation
    # Centred before scaling: x - 127.5 is exact even in bfloat16's eight bits.
    return (observation - 127.5) / 255.0


@keras.saving.register_keras_serializable(package="pdtla")
class FrameStack(keras.layers.Layer):
    """Normalises `T` frames and lays them side by side in their last axis.

    Args:
      mode: "stack", the frames in order of time; "difference", the last frame but one
        `o_t` (what an inverse model explains the successor of), then
        `gain * (o_{t+1} - o_t)`, `gain * (o_t - o_{t-1})`, and so on back in time.
        Differences put what moved in plain sight of the first convolution.
      gain: factor on the differences, which are much smaller than the frames.

    Call arguments:
      inputs: uint8 or float `[B, T, H, W, C]` or `[B, T, D]`, oldest frame first.

    Returns:
      float `[B, H, W, T * C]` or `[B, T * D]`. One frame is returned as it is in both
      modes.

    Raises:
      ValueError: an unknown mode, or inputs of another rank.
    """

    def __init__(self, mode: str = "stack", gain: float = 4.0, **kwargs) -> None:
        # States are subtracted as they come: few bits would not tell small changes.
        super().__init__(autocast=False, **kwargs)
        if mode not in _MODES:
            raise ValueError(f"FrameStack's mode is one of {_MODES}, got {mode!r}.")
        self.mode = mode
        self.gain = gain

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if len(input_shape) not in (3, 5):
            raise ValueError(
                "FrameStack takes frames [B, T, H, W, C] or states [B, T, D], got "
                f"shape {input_shape}."
            )
        self.built = True

    def call(self, inputs):
        frames = ops.unstack(inputs, axis=1)
        if self.mode == "stack" or len(frames) == 1:
            return to_float(ops.concatenate(frames, axis=-1), self.compute_dtype)
        is_pixels = keras.backend.standardize_dtype(inputs.dtype) == "uint8"
        exact = self.compute_dtype if is_pixels else "float32"
        frames = [to_float(frame, exact) for frame in frames]
        differences = [
            self.gain * (after - before)
            for before, after in zip(frames[:-1], frames[1:], strict=True)
        ]
        stacked = ops.concatenate([frames[-2], *reversed(differences)], axis=-1)
        return ops.cast(stacked, self.compute_dtype)

    def compute_output_shape(self, input_shape):
        batch, steps, *inner, channels = input_shape
        return (batch, *inner, steps * channels)

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(mode=self.mode, gain=self.gain)
        return config
