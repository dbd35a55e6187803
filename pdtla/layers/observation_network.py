"""`ObservationNetwork`: frames in, one vector out."""

import keras

from pdtla.layers.frame_stack import FrameStack


@keras.saving.register_keras_serializable(package="pdtla")
class ObservationNetwork(keras.layers.Layer):
    """Encodes a few consecutive observations into one float32 vector.

    The inverse dynamics model, the policies and the supervised IDM are this layer with
    different numbers of frames and outputs, so that methods differ by their objective
    and not by their network.

    Args:
      encoder: layer from `[B, H, W, T*C]` (or `[B, T*D]`) to features `[B, F]`.
      output_dim: width of the output.
      frames: how the T observations become the encoder's input; by default stacked.

    Call arguments:
      observation: uint8 `[B, T, H, W, C]` or float32 `[B, T, D]`.

    Returns:
      float32 `[B, output_dim]`.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        output_dim: int,
        frames: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.output_dim = output_dim
        self.frames = frames or FrameStack()
        # The head computes in float32: logits and latents lose too much in bfloat16.
        self.head = keras.layers.Dense(output_dim, dtype="float32", name="head")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.frames.build(input_shape)
        stacked = self.frames.compute_output_shape(input_shape)
        self.encoder.build(stacked)
        self.head.build(self.encoder.compute_output_shape(stacked))

    def call(self, observation, training: bool = False):
        features = self.encoder(self.frames(observation), training=training)
        return self.head(features)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self) -> dict:
        return super().get_config() | {
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "output_dim": self.output_dim,
            "frames": keras.saving.serialize_keras_object(self.frames),
        }

    @classmethod
    def from_config(cls, config: dict) -> "ObservationNetwork":
        config = dict(config)
        for name in ("encoder", "frames"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
