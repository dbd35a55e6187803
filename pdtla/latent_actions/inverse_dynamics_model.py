"""`InverseDynamicsModel`: the supervised IDM that labels videos (VPT)."""

from collections.abc import Sequence

import keras

from pdtla import specs
from pdtla.layers.categorical import accuracy, cross_entropy
from pdtla.layers.mlp import MLP
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.stage import Batch, Scalars, Stage, num_actions, require_fields


class InverseDynamicsModel(Stage):
    """Predicts a_t from o_{t-k..t+1} on labelled transitions (VPT, arXiv 2206.11795).

    The same network as the IDM of a latent action model followed by the same decoder
    head as the joint form, so that the two differ by what they are trained on alone.

    Args:
      encoder: see `ObservationNetwork`.
      frames: how the IDM sees its frames.
      latent_dim: width between network and head.
      hidden: hidden widths of the head.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        frames: keras.layers.Layer | None = None,
        latent_dim: int = 128,
        hidden: Sequence[int] = (128, 128),
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.idm = ObservationNetwork(encoder, latent_dim, frames, name="idm")
        self.hidden = tuple(hidden)

    def build(self, element_spec: specs.ElementSpec) -> None:
        require_fields(element_spec, specs.OBSERVATION, specs.ACTION)
        self.idm.build((None, *element_spec[specs.OBSERVATION].shape))
        self.decoder = MLP(
            self.hidden, num_actions(element_spec), name="decoder", dtype="float32"
        )
        self.decoder.build((None, self.idm.output_dim))

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        latent = self.idm(batch[specs.OBSERVATION], training=training)
        logits = self.decoder(latent, training=training)
        action = batch[specs.ACTION][:, -2]
        return (
            {"action": cross_entropy(logits, action)},
            {"accuracy": accuracy(logits, action)},
        )

    def modules(self) -> dict[str, keras.layers.Layer]:
        return {"idm": self.idm, "decoder": self.decoder}
