"""`TransformerBlock`, one pre-norm layer of a transformer."""

import keras
from keras import ops

from pdtla.layers.self_attention import SelfAttention


@keras.saving.register_keras_serializable(package="pdtla")
class TransformerBlock(keras.layers.Layer):
    """Self-attention and a perceptron, each normalised before and added to its input.

    Args:
      num_heads: attention heads.
      widening: width of the perceptron's hidden layer in multiples of the tokens'.
      dropout: share of what attention and perceptron add that is dropped in training.

    Call arguments:
      tokens: float `[..., L, W]`.
      visible: the mask, as in `SelfAttention`.
      positions: of the tokens, as in `SelfAttention`.

    Returns:
      float `[..., L, W]`.

    Reference: Xiong et al. 2020 (arXiv 2002.04745), figure 1b.
    """

    def __init__(
        self, num_heads: int, widening: int = 4, dropout: float = 0.1, **kwargs
    ) -> None:
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.widening = widening
        self.dropout = dropout

    def build(self, tokens_shape: tuple[int | None, ...]) -> None:
        width = tokens_shape[-1]
        policy = {"dtype": self.dtype_policy}
        self.attention_norm = keras.layers.LayerNormalization(
            epsilon=1e-6, name="attention_norm", **policy
        )
        self.attention = SelfAttention(self.num_heads, name="attention", **policy)
        self.mlp_norm = keras.layers.LayerNormalization(
            epsilon=1e-6, name="mlp_norm", **policy
        )
        self.widen = keras.layers.Dense(
            self.widening * width, activation=_gelu, name="widen", **policy
        )
        self.narrow = keras.layers.Dense(width, name="narrow", **policy)
        self.drop = keras.layers.Dropout(self.dropout, **policy)
        for layer in (self.attention_norm, self.attention, self.mlp_norm, self.widen):
            layer.build(tokens_shape)
        self.narrow.build((*tokens_shape[:-1], self.widening * width))
        self.drop.build(tokens_shape)
        self.built = True

    def call(self, tokens, visible=None, positions=None, training: bool = False):
        query, key, value = self.project(tokens, positions)
        return self.read(tokens, query, key, value, visible, training)

    def project(self, tokens, positions=None):
        """Queries, keys and values of tokens, see `SelfAttention`."""
        return self.attention.project(self.attention_norm(tokens), positions)

    def read(self, tokens, query, key, value, visible=None, training: bool = False):
        """What tokens become by what their queries read from keys and values."""
        read = self.attention.attend(query, key, value, visible)
        return self.add_mlp(tokens + self.drop(read, training=training), training)

    def add_mlp(self, tokens, training: bool = False):
        """The second half, which looks at each token by itself."""
        hidden = self.narrow(self.widen(self.mlp_norm(tokens)))
        return tokens + self.drop(hidden, training=training)

    def compute_output_shape(
        self, tokens_shape, visible_shape=None, positions_shape=None
    ):
        del visible_shape, positions_shape
        return tokens_shape

    def get_config(self) -> dict:
        return super().get_config() | {
            "num_heads": self.num_heads,
            "widening": self.widening,
            "dropout": self.dropout,
        }


def _gelu(x):
    """GELU by the error function; by its complement XLA takes three times as long."""
    return 0.5 * x * (1.0 + ops.erf(x * 0.5**0.5))
