"""`ActionDecoder`: grounds latent actions with a few labelled transitions."""

from collections.abc import Sequence

import keras

from pdtla import specs
from pdtla.layers.categorical import accuracy, cross_entropy
from pdtla.layers.mlp import MLP
from pdtla.stage import Batch, Scalars, Stage, num_actions, require_fields


class ActionDecoder(Stage):
    """Fits z -> a on labelled transitions whose latents lie beside the dataset.

    The policy that imitates the same latents speaks the same language: decoder and
    policy read one latent dataset, so they cannot disagree about quantisation or width.

    Args:
      hidden: widths of the hidden layers.
    """

    def __init__(self, hidden: Sequence[int] = (128, 128), **kwargs):
        super().__init__(**kwargs)
        self.hidden = tuple(hidden)

    def build(self, element_spec: specs.ElementSpec) -> None:
        require_fields(element_spec, specs.LATENT_ACTION, specs.ACTION)
        self.decoder = MLP(
            self.hidden, num_actions(element_spec), name="decoder", dtype="float32"
        )
        self.decoder.build((None, element_spec[specs.LATENT_ACTION].shape[-1]))

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        logits = self.decoder(batch[specs.LATENT_ACTION][:, -1], training=training)
        action = batch[specs.ACTION][:, -1]
        return (
            {"action": cross_entropy(logits, action)},
            {"accuracy": accuracy(logits, action)},
        )

    def modules(self) -> dict[str, keras.layers.Layer]:
        return {"decoder": self.decoder}
