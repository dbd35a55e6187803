"""`ConsistencyInverseNetwork`: an inverse model on embeddings of single frames."""

from collections.abc import Sequence

import keras
from keras import ops

from pdtla.layers.frame_stack import FrameStack
from pdtla.layers.mlp import MLP
from pdtla.layers.standardize import Standardize


@keras.saving.register_keras_serializable(package="pdtla")
class ConsistencyInverseNetwork(keras.layers.Layer):
    """Infers z from the embeddings of o_t and of the last frame of the window.

    The window is o_{t-k}, ..., o_{t+K}; with `horizon` K the frame o_t is the K-th
    before the last one.

    Args:
      encoder: from one observation to features `[B, F]`.
      output_dim: width of z.
      embedding_dim: width of an embedding.
      hidden: hidden widths between embeddings and z.
      horizon: K.
      standardize: what states go through first.

    Call arguments:
      observation: uint8 `[B, T, H, W, C]` or float32 `[B, T, D]`, T > K.

    Returns:
      float32 `[B, output_dim]`.
    """

    over_windows = False

    def __init__(
        self,
        encoder: keras.layers.Layer,
        output_dim: int,
        embedding_dim: int = 256,
        hidden: Sequence[int] = (256, 256),
        horizon: int = 1,
        standardize: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.output_dim = output_dim
        self.embedding_dim = embedding_dim
        self.hidden = tuple(hidden)
        self.horizon = horizon
        self.standardize = standardize or Standardize()
        self.frames = FrameStack()
        self.projection = keras.layers.Dense(
            embedding_dim, dtype="float32", name="projection"
        )
        self.head = MLP(self.hidden, output_dim, name="head", dtype="float32")
        self.autocast = False

    @property
    def positions(self) -> tuple[int, int]:
        """Where o_t and o_{t+1} stand in the window, counted from its end."""
        return -1 - self.horizon, -self.horizon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[1] <= self.horizon:
            raise ValueError(
                f"A horizon of {self.horizon} needs windows of more observations, "
                f"got {input_shape[1]}."
            )
        self.standardize.build(input_shape)
        one = (input_shape[0], 1, *input_shape[2:])
        self.frames.build(one)
        shape = self.frames.compute_output_shape(one)
        self.encoder.build(shape)
        self.projection.build(self.encoder.compute_output_shape(shape))
        self.head.build((None, 2 * self.embedding_dim))

    def embed(self, frame, training: bool = False):
        """Embeds single observations `[B, ...]` into float32 `[B, embedding_dim]`."""
        inputs = self.frames(self.standardize(frame[:, None]))
        features = self.encoder(inputs, training=training)
        return self.projection(ops.cast(features, "float32"))

    def call(self, observation, training: bool = False):
        ends = (self.positions[0], -1)
        embeddings = [self.embed(observation[:, end], training) for end in ends]
        return self.head(ops.concatenate(embeddings, axis=-1))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self) -> dict:
        return super().get_config() | {
            "encoder": keras.saving.serialize_keras_object(self.encoder),
            "output_dim": self.output_dim,
            "embedding_dim": self.embedding_dim,
            "hidden": self.hidden,
            "horizon": self.horizon,
            "standardize": keras.saving.serialize_keras_object(self.standardize),
        }

    @classmethod
    def from_config(cls, config: dict) -> "ConsistencyInverseNetwork":
        config = dict(config)
        for name in ("encoder", "standardize"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
