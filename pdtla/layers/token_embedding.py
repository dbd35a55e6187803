"""`TokenEmbedding`: where and when the tokens of a sequence are."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pdtla")
class TokenEmbedding(keras.layers.Layer):
    """Adds a token's step and trajectory to its value, and normalises the sum.

    The tables are read by a gather whose gradient is dense, which every strategy of
    tf.distribute can sum and every clipping can scale.

    Args:
      num_timesteps: length of the table of steps; later ones share the last row. None
        leaves time to rotary positions.
      num_segments: length of the table of trajectories; 1 has none.
      dropout: share of the sum that is dropped in training.

    Call arguments:
      values: float `[B, L, W]`.
      timestep: int32 `[B, L]`, step within the token's own trajectory, from 0.
      segment: int32 `[B, L]`, which trajectory it is of; None if there is one only.

    Returns:
      float `[B, L, W]`.

    Reference: Chen et al. 2021 (arXiv 2106.01345), section 3; Xu et al. 2022 (arXiv
    2206.13499), whose prompts are not normalised.
    """

    def __init__(
        self,
        num_timesteps: int | None,
        num_segments: int = 1,
        dropout: float = 0.0,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.num_timesteps = num_timesteps
        self.num_segments = num_segments
        self.dropout = dropout

    def build(self, values_shape: tuple[int | None, ...]) -> None:
        width = values_shape[-1]
        self.timestep_table = self.segment_table = None
        if self.num_timesteps is not None:
            self.timestep_table = self._table("timestep", self.num_timesteps, width)
        if self.num_segments > 1:
            self.segment_table = self._table("segment", self.num_segments, width)
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-6, dtype=self.dtype_policy, name="norm"
        )
        self.norm.build(values_shape)
        self.drop = keras.layers.Dropout(self.dropout, dtype=self.dtype_policy)
        self.drop.build(values_shape)
        self.built = True

    def _table(self, name: str, rows: int, width: int):
        return self.add_weight(
            shape=(rows, width),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name=f"{name}_table",
        )

    def call(self, values, timestep, segment=None, training: bool = False):
        if self.timestep_table is not None:
            values = values + _rows(self.timestep_table, timestep)
        if self.segment_table is not None:
            values = values + _rows(self.segment_table, segment)
        return self.drop(self.norm(values), training=training)

    def compute_output_shape(self, values_shape, timestep_shape, segment_shape=None):
        del timestep_shape, segment_shape
        return values_shape

    def get_config(self) -> dict:
        return super().get_config() | {
            "num_timesteps": self.num_timesteps,
            "num_segments": self.num_segments,
            "dropout": self.dropout,
        }


def _rows(table, indices):
    """Rows `[..., W]` of a table `[N, W]`, the last one for what lies beyond it."""
    # The gradient of a reshape is dense, that of a gather alone is not.
    dense = ops.reshape(table, table.shape)
    return ops.take(dense, ops.clip(indices, 0, table.shape[0] - 1), axis=0)
