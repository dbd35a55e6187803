"""`CausalTransformer`, over whole sequences or, in rollouts, step by step."""

import keras
from keras import ops

from pdtla.layers.transformer_block import TransformerBlock

Cache = tuple[tuple, ...]


@keras.saving.register_keras_serializable(package="pdtla")
class CausalTransformer(keras.layers.Layer):
    """Pre-norm transformer layers and a last normalisation.

    The mask decides who sees whom (see `sequence_mask`). `extend` computes the same for
    new tokens alone, with the keys and values of earlier ones in a cache that it takes
    and returns: of a fixed size, updated in place, never shifted.

    Args:
      width: W, width of the tokens.
      num_layers: layers.
      num_heads: attention heads.
      widening: see `TransformerBlock`.
      dropout: see `TransformerBlock`.

    Call arguments:
      tokens: float `[B, L, width]`.
      visible: the mask, bool `[B, 1, L, L]`.
      positions: int32 `[B, L]` for rotary positions, or None.

    Returns:
      float `[B, L, width]`.

    Reference: Radford et al. 2019 (GPT-2), without its table of positions.
    """

    def __init__(
        self,
        width: int = 128,
        num_layers: int = 3,
        num_heads: int = 1,
        widening: int = 4,
        dropout: float = 0.1,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.widening = widening
        self.dropout = dropout

    def build(self, tokens_shape: tuple[int | None, ...]) -> None:
        blocks = []
        for index in range(self.num_layers):
            block = TransformerBlock(
                self.num_heads,
                self.widening,
                self.dropout,
                dtype=self.dtype_policy,
                name=f"block_{index}",
            )
            block.build(tokens_shape)
            blocks.append(block)
        self.blocks = tuple(blocks)
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-6, dtype=self.dtype_policy, name="norm"
        )
        self.norm.build(tokens_shape)
        self.built = True

    def call(self, tokens, visible, positions=None, training: bool = False):
        for block in self.blocks:
            tokens = block(tokens, visible, positions, training=training)
        return self.norm(tokens)

    def empty_cache(self, batch_size: int, slots: int) -> Cache:
        """Of each layer keys `[B, heads, W / heads, slots]`, and values transposed."""
        shape = (batch_size, self.num_heads, self.width // self.num_heads, slots)
        keys = ops.zeros(shape, self.compute_dtype)
        values = ops.swapaxes(keys, -1, -2)
        return tuple((keys, values) for _ in range(self.num_layers))

    def extend(self, tokens, cache: Cache, start, visible, positions=None):
        """Writes tokens into a cache and reads at the last of them.

        Args:
          tokens: float `[B, L, width]`.
          cache: keys and values of S slots.
          start: int32 `[]`, the slot of the first token; the others follow.
          visible: bool `[B, 1, L, S]`, the slots that each token sees once all L are
            written; each sees itself.
          positions: as in `call`.

        Returns:
          float `[B, width]`, what `call` returns for the last token, and the cache.
        """
        tokens, extended = ops.cast(tokens, self.compute_dtype), []
        for block, (keys, values) in zip(self.blocks, cache, strict=True):
            query, key, value = block.project(tokens, positions)
            keys = ops.slice_update(keys, (0, 0, 0, start), key)
            values = ops.slice_update(values, (0, 0, start, 0), value)
            extended.append((keys, values))
            if block is self.blocks[-1]:  # the others only had to be written
                tokens, query = tokens[:, -1:], query[:, :, -1:]
                visible = visible[:, :, -1:]
            tokens = block.read(tokens, query, keys, values, visible)
        return self.norm(tokens)[:, 0], tuple(extended)

    def compute_output_shape(self, tokens_shape, visible_shape, positions_shape=None):
        del visible_shape, positions_shape
        return tokens_shape

    def get_config(self) -> dict:
        return super().get_config() | {
            "width": self.width,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "widening": self.widening,
            "dropout": self.dropout,
        }
