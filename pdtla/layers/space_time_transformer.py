"""`SpaceTimeTransformer`, what the encoder and the decoder of windows share."""

import keras

from pdtla.layers.space_time_blocks import SpaceTimeBlocks
from pdtla.layers.window_embedding import WindowEmbedding


class SpaceTimeTransformer(keras.layers.Layer):
    """Embeds the observations of a window and mixes them, looking back only.

    With joint attention this is a ViT over the patches of all frames, with factorised
    attention a space-time transformer, and for states, which have one place, a causal
    transformer over time.

    Args:
      width: width of the tokens.
      num_layers: transformer layers.
      num_heads: attention heads.
      patch_size: side of a patch in pixels; states have no patches.
      attention: "joint" or "factorised", see `SpaceTimeBlocks`.
      widening: see `TransformerBlock`.
      dropout: see `TransformerBlock`.

    Raises:
      ValueError: see `WindowEmbedding` and `SpaceTimeBlocks`.
    """

    over_windows = True

    def __init__(
        self,
        width: int = 256,
        num_layers: int = 6,
        num_heads: int = 8,
        patch_size: int = 8,
        attention: str = "joint",
        widening: int = 4,
        dropout: float = 0.1,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.num_layers = num_layers
        self.num_heads = num_heads
        self.patch_size = patch_size
        self.attention = attention
        self.widening = widening
        self.dropout = dropout
        self.embedding = WindowEmbedding(
            width, patch_size, dtype=self.dtype_policy, name="embedding"
        )
        self.blocks = SpaceTimeBlocks(
            num_layers,
            num_heads,
            attention,
            widening,
            dropout,
            dtype=self.dtype_policy,
            name="blocks",
        )

    def get_config(self) -> dict:
        return super().get_config() | {
            "width": self.width,
            "num_layers": self.num_layers,
            "num_heads": self.num_heads,
            "patch_size": self.patch_size,
            "attention": self.attention,
            "widening": self.widening,
            "dropout": self.dropout,
        }
