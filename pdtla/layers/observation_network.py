"""`ObservationNetwork`: frames in, one vector out."""

import keras
from keras import ops

from pdtla.layers.frame_stack import FrameStack, to_float
from pdtla.layers.standardize import Standardize


@keras.saving.register_keras_serializable(package="pdtla")
class ObservationNetwork(keras.layers.Layer):
    """Encodes a few consecutive observations into float32 vectors.

    The inverse dynamics model, the policies and the supervised IDM are this layer with
    different numbers of frames and outputs, so that methods differ by their objective
    and not by their network.

    Args:
      encoder: a frame encoder, from `[B, H, W, T*C]` or `[B, T*D]` to features
        `[B, F]`; or a window encoder (`over_windows`), from `[B, T, ...]` to features
        `[B, T-1, F]` of which feature s sees no more than the observations 0 to s+1.
      output_dim: width of the output.
      frames: how the T observations become a frame encoder's input; by default stacked.
      standardize: what states go through first; by default nothing.

    Call arguments:
      observation: uint8 `[B, T, H, W, C]` or float32 `[B, T, D]`.

    Returns:
      float32 `[B, output_dim]`, or `[B, T-1, output_dim]` from a window encoder.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        output_dim: int,
        frames: keras.layers.Layer | None = None,
        standardize: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.output_dim = output_dim
        self.frames = frames or FrameStack()
        self.standardize = standardize or Standardize()
        self.over_windows = getattr(encoder, "over_windows", False)
        # The head computes in float32: logits and latents lose too much in bfloat16.
        self.head = keras.layers.Dense(output_dim, dtype="float32", name="head")
        # States come in float32 and are rounded after they were standardised.
        self.autocast = False

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.standardize.build(input_shape)
        shape = input_shape
        if not self.over_windows:
            self.frames.build(input_shape)
            shape = self.frames.compute_output_shape(input_shape)
        elif input_shape[1] < 2:
            raise ValueError(
                f"{type(self.encoder).__name__} encodes transitions: it needs windows "
                f"of at least 2 observations, got {input_shape[1]}."
            )
        self.encoder.build(shape)
        self.head.build(self.encoder.compute_output_shape(shape))

    def call(self, observation, training: bool = False):
        return self.head(self.features(observation, training))

    def features(self, observation, training: bool = False):
        """What the encoder makes of the observations, float32 `[B, F]`."""
        observation = self.standardize(observation)
        if self.over_windows:
            inputs = to_float(observation, self.compute_dtype)
        else:
            inputs = self.frames(observation)
        return ops.cast(self.encoder(inputs, training=training), "float32")

    def compute_output_shape(self, input_shape):
        if self.over_windows:
            return (input_shape[0], input_shape[1] - 1, self.output_dim)
        return (input_shape[0], self.output_dim)

    def get_config(self) -> dict:
        return super().get_config() | {
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "output_dim": self.output_dim,
            "frames": keras.saving.serialize_keras_object(self.frames),
            "standardize": keras.saving.serialize_keras_object(self.standardize),
        }

    @classmethod
    def from_config(cls, config: dict) -> "ObservationNetwork":
        config = dict(config)
        for name in ("encoder", "frames", "standardize"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
