"""`SelfAttention`, multi-head attention of a sequence to itself, and its masks."""

import keras
import numpy as np
from keras import ops

from pdtla.layers.rotary import rotate

# What a position that must not be seen scores; its weight is exactly 0 in float32.
_MASKED = -1e30


@keras.saving.register_keras_serializable(package="pdtla")
class SelfAttention(keras.layers.Layer):
    """Multi-head attention among the tokens of one axis.

    The scores and their softmax are computed in float32 whatever the dtype policy. The
    two halves are methods, so that a decoder that keeps the keys and values of earlier
    tokens projects only the new one: `attend(q, all_k, all_v)`.

    Args:
      num_heads: heads; they share the width W equally.

    Call arguments:
      tokens: float `[..., L, W]`; every leading axis is a batch axis.
      visible: the mask, bool `[L, L]` or anything that broadcasts to `[..., heads, L,
        L]`: true where the query (row) may see the key (column). None lets all see all.
        (Keras would set an argument named `mask` itself.)
      positions: int32 `[B, L]` of tokens `[B, L, W]`, for rotary positions; None for
        attention that knows no order but the mask's.

    Returns:
      float `[..., L, W]`.

    Raises:
      ValueError: a width that the heads cannot share.

    Reference: Vaswani et al. 2017 (arXiv 1706.03762), section 3.2.
    """

    def __init__(self, num_heads: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads

    def build(self, tokens_shape: tuple[int | None, ...]) -> None:
        width = tokens_shape[-1]
        if width % self.num_heads:
            raise ValueError(
                f"The width must be a multiple of the {self.num_heads} heads, "
                f"got {width}."
            )
        # One product for queries, keys and values.
        self.input_projection = keras.layers.Dense(
            3 * width, dtype=self.dtype_policy, name="input_projection"
        )
        self.output_projection = keras.layers.Dense(
            width, dtype=self.dtype_policy, name="output_projection"
        )
        self.input_projection.build(tokens_shape)
        self.output_projection.build(tokens_shape)
        self.built = True

    def call(self, tokens, visible=None, positions=None):
        return self.attend(*self.project(tokens, positions), visible)

    def project(self, tokens, positions=None):
        """Queries, keys and values of tokens.

        Returns:
          Queries and values `[..., heads, L, W / heads]`, and keys with the last two
          axes swapped, as `attend` multiplies them.
        """
        shape = (-1, *tokens.shape[1:-1], self.num_heads)
        parts = ops.split(self.input_projection(tokens), 3, axis=-1)
        heads = [
            ops.reshape(part, (*shape, part.shape[-1] // self.num_heads))
            for part in parts
        ]
        query, key, value = (ops.swapaxes(head, -2, -3) for head in heads)
        if positions is not None:
            query, key = rotate(query, positions), rotate(key, positions)
        return query, ops.swapaxes(key, -1, -2), value

    def attend(self, query, key, value, visible=None):
        """What queries read from keys and values, `[..., L, W]`."""
        scale = query.shape[-1] ** -0.5
        scores = ops.matmul(query * scale, key)
        scores = ops.cast(scores, "float32")
        if visible is not None:
            scores = ops.where(visible, scores, _MASKED)
        weights = ops.cast(ops.softmax(scores), value.dtype)
        read = ops.swapaxes(ops.matmul(weights, value), -2, -3)
        width = read.shape[-1] * self.num_heads
        return self.output_projection(ops.reshape(read, (-1, *read.shape[1:-2], width)))

    def compute_output_shape(
        self, tokens_shape, visible_shape=None, positions_shape=None
    ):
        del visible_shape, positions_shape
        return tokens_shape

    def get_config(self) -> dict:
        return super().get_config() | {"num_heads": self.num_heads}


def block_causal_mask(steps: int, tokens_per_step: int = 1) -> np.ndarray:
    """Bool `[L, L]`, L = steps * tokens_per_step: who may see whom.

    A token sees all tokens of its own step and of earlier ones, and none of a later
    step; with one token a step this is the usual causal mask.
    """
    step = np.arange(steps * tokens_per_step) // tokens_per_step
    return step[:, None] >= step[None, :]
