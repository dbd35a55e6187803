"""`InverseDynamicsModel`: the supervised IDM that labels videos (VPT)."""

from collections.abc import Sequence

import keras

from pdtla import specs
from pdtla.layers.action_distributions import make_distribution
from pdtla.layers.by_observation import ByObservation, choose
from pdtla.layers.latent_decoder import LatentDecoder
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.layers.standardize import Standardize
from pdtla.stage import Batch, Scalars, Stage, action_spec, require_fields


class InverseDynamicsModel(Stage):
    """Predicts a_t from o_{t-k..t+1} on labelled transitions (VPT, arXiv 2206.11795).

    The same network as the IDM of a latent action model followed by the same decoder
    head as the joint form, so that the two differ by what they are trained on alone.

    Args:
      encoder: see `ObservationNetwork`.
      frames: how the IDM sees its frames.
      latent_dim: width between network and head.
      hidden: hidden widths of the decoder.
      head: for continuous actions, see `make_distribution`.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer | ByObservation,
        frames: keras.layers.Layer | None = None,
        latent_dim: int = 128,
        hidden: Sequence[int] = (128, 128),
        head: str = "deterministic",
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.frames = frames
        self.latent_dim = latent_dim
        self.hidden = tuple(hidden)
        self.head = head

    def build(self, element_spec: specs.ElementSpec) -> None:
        require_fields(element_spec, specs.OBSERVATION, specs.ACTION)
        spec = element_spec[specs.OBSERVATION]
        self.idm = ObservationNetwork(
            choose(self.encoder, spec),
            self.latent_dim,
            self.frames,
            Standardize.of(spec),
            name="idm",
        )
        self.idm.build((None, *spec.shape))
        self.decoder = LatentDecoder(
            make_distribution(action_spec(element_spec), self.head),
            self.hidden,
            name="decoder",
        )
        self.decoder.build((None, self.latent_dim))

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        latent = self.idm(batch[specs.OBSERVATION], training=training)
        if self.idm.over_windows:
            latent = latent[:, -1]
        params = self.decoder(latent, training=training)
        action = batch[specs.ACTION][:, -2]
        distribution = self.decoder.distribution
        return (
            {"action": distribution.loss(params, action)},
            distribution.metrics(params, action),
        )

    def modules(self) -> dict[str, keras.layers.Layer]:
        return {"idm": self.idm, "decoder": self.decoder}
