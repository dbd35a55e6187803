"""`SpaceTimeBlocks`, the transformer over the tokens of a window."""

import keras
from keras import ops

from pdtla.layers.self_attention import block_causal_mask
from pdtla.layers.transformer_block import TransformerBlock

_ATTENTIONS = ("joint", "factorised")


@keras.saving.register_keras_serializable(package="pdtla")
class SpaceTimeBlocks(keras.layers.Layer):
    """Transformer layers over T steps of N places; no step sees a later one.

    Args:
      num_layers: layers.
      num_heads: attention heads.
      attention: "joint": a token sees all places of its step and of earlier ones.
        "factorised": a layer is two blocks, one over the places of a step, one over
        the steps up to now of a place: T*N*(T + N) scores instead of (T*N)^2.
      widening: see `TransformerBlock`.
      dropout: see `TransformerBlock`.

    Call arguments:
      tokens: float `[B, T, N, W]`.

    Returns:
      float `[B, T, N, W]`, normalised.

    Raises:
      ValueError: an unknown attention.

    Reference: Bertasius et al. 2021 (arXiv 2102.05095), "joint" and "divided"
    attention; Xu et al. 2020 (arXiv 2001.02908) for causality in time alone.
    """

    def __init__(
        self,
        num_layers: int,
        num_heads: int,
        attention: str = "joint",
        widening: int = 4,
        dropout: float = 0.1,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if attention not in _ATTENTIONS:
            raise ValueError(
                f"attention must be one of {_ATTENTIONS}, got {attention!r}."
            )
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.attention = attention
        self.widening = widening
        self.dropout = dropout

    def build(self, tokens_shape: tuple[int | None, ...]) -> None:
        kinds = ("joint",) if self.attention == "joint" else ("space", "time")
        blocks = []
        for index in range(self.num_layers):
            for kind in kinds:
                block = TransformerBlock(
                    self.num_heads,
                    self.widening,
                    self.dropout,
                    dtype=self.dtype_policy,
                    name=f"{kind}_{index}",
                )
                block.build(tokens_shape)
                blocks.append(block)
        self.blocks = tuple(blocks)
        self.norm = keras.layers.LayerNormalization(
            epsilon=1e-6, dtype=self.dtype_policy, name="norm"
        )
        self.norm.build(tokens_shape)
        self.built = True

    def call(self, tokens, training: bool = False):
        run = self._joint if self.attention == "joint" else self._factorised
        return self.norm(run(tokens, training))

    def _joint(self, tokens, training: bool):
        _, steps, places, width = tokens.shape
        mask = block_causal_mask(steps, places)
        hidden = ops.reshape(tokens, (-1, steps * places, width))
        for block in self.blocks:
            hidden = block(hidden, mask, training=training)
        return ops.reshape(hidden, (-1, steps, places, width))

    def _factorised(self, tokens, training: bool):
        mask = block_causal_mask(tokens.shape[1])
        for space, time in zip(self.blocks[::2], self.blocks[1::2], strict=True):
            tokens = space(tokens, training=training)
            tokens = time(ops.swapaxes(tokens, 1, 2), mask, training=training)
            tokens = ops.swapaxes(tokens, 1, 2)
        return tokens

    def compute_output_shape(self, tokens_shape):
        return tokens_shape

    def get_config(self) -> dict:
        return super().get_config() | {
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "attention": self.attention,
            "widening": self.widening,
            "dropout": self.dropout,
        }
