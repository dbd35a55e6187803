"""`ActionDecoder`: grounds latent actions with a few labelled transitions."""

from collections.abc import Sequence

import keras

from pdtla import specs
from pdtla.layers.action_distributions import make_distribution
from pdtla.layers.latent_decoder import LatentDecoder
from pdtla.layers.standardize import Standardize
from pdtla.stage import Batch, Scalars, Stage, action_spec, require_fields


class ActionDecoder(Stage):
    """Fits z -> a on labelled transitions whose latents lie beside the dataset.

    The policy that imitates the same latents speaks the same language: decoder and
    policy read one latent dataset, so they cannot disagree about quantisation or width.

    Args:
      hidden: widths of the hidden layers.
      head: for continuous actions, see `make_distribution`.
      encoder: encoder of o_t for a decoder that sees it beside the latent; None for
        the latent alone.
    """

    def __init__(
        self,
        hidden: Sequence[int] = (128, 128),
        head: str = "deterministic",
        encoder: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.hidden = tuple(hidden)
        self.head = head
        self.encoder = encoder

    def build(self, element_spec: specs.ElementSpec) -> None:
        require_fields(element_spec, specs.LATENT_ACTION, specs.ACTION)
        shapes = [(None, element_spec[specs.LATENT_ACTION].shape[-1])]
        standardize = None
        if self.encoder is not None:
            require_fields(element_spec, specs.OBSERVATION)
            observation = element_spec[specs.OBSERVATION]
            standardize = Standardize.of(observation)
            shapes.append((None, *observation.shape))
        self.decoder = LatentDecoder(
            make_distribution(action_spec(element_spec), self.head),
            self.hidden,
            encoder=self.encoder,
            standardize=standardize,
            name="decoder",
        )
        self.decoder.build(*shapes)

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        params = self.decoder(
            batch[specs.LATENT_ACTION][:, -1],
            batch[specs.OBSERVATION] if self.encoder is not None else None,
            training=training,
        )
        action = batch[specs.ACTION][:, -1]
        distribution = self.decoder.distribution
        return (
            {"action": distribution.loss(params, action)},
            distribution.metrics(params, action),
        )

    def modules(self) -> dict[str, keras.layers.Layer]:
        return {"decoder": self.decoder}
