"""`ConsistencyInverseNetwork`: an inverse model on embeddings of single frames."""

from collections.abc import Sequence

import keras
from keras import ops

from pdtla.layers.mlp import MLP


@keras.saving.register_keras_serializable(package="pdtla")
class ConsistencyInverseNetwork(keras.layers.Layer):
    """Infers z from the embeddings of o_t and of the last frame of the window.

    The window is o_{t-k}, ..., o_{t+K}; with `horizon` K the frame o_t is the K-th
    before the last one.

    Args:
      embedding: an `ObservationNetwork`, from one observation `[B, 1, ...]` to its
        embedding `[B, E]`.
      output_dim: width of z.
      hidden: hidden widths between embeddings and z.
      horizon: K.

    Call arguments:
      observation: uint8 `[B, T, H, W, C]` or float32 `[B, T, D]`, T > K.

    Returns:
      float32 `[B, output_dim]`.
    """

    over_windows = False

    def __init__(
        self,
        embedding: keras.layers.Layer,
        output_dim: int,
        hidden: Sequence[int] = (256, 256),
        horizon: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.embedding = embedding
        self.output_dim = output_dim
        self.hidden = tuple(hidden)
        self.horizon = horizon
        self.head = MLP(self.hidden, output_dim, name="head", dtype="float32")
        self.autocast = False

    @property
    def future(self) -> int:
        """K, how many observations of a window follow o_t."""
        return self.horizon

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
        self.embedding.build((input_shape[0], 1, *input_shape[2:]))
        self.head.build((None, 2 * self.embedding.output_dim))

    def call(self, observation, training: bool = False):
        now = self.embedding(frame(observation, self.positions[0]), training=training)
        return self.infer(now, observation, training)

    def infer(self, embedding, observation, training: bool = False):
        """z, where the embedding of o_t `[B, E]` is known already."""
        last = self.embedding(frame(observation, -1), training=training)
        return self.head(ops.concatenate([embedding, last], axis=-1))

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.output_dim)

    def get_config(self) -> dict:
        return super().get_config() | {
            "embedding": keras.saving.serialize_keras_object(self.embedding),
            "output_dim": self.output_dim,
            "hidden": self.hidden,
            "horizon": self.horizon,
        }

    @classmethod
    def from_config(cls, config: dict) -> "ConsistencyInverseNetwork":
        embedding = keras.saving.deserialize_keras_object(config["embedding"])
        return cls(**(config | {"embedding": embedding}))


def frame(observation, position: int):
    """One observation of a window `[B, T, ...]`, time kept: `[B, 1, ...]`."""
    return observation[:, position][:, None]
