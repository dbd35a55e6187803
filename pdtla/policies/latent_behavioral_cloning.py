"""`LatentBehavioralCloning`: imitates latent actions, acts through a decoder."""

import keras
from keras import ops

from pdtla import specs
from pdtla.layers.by_observation import ByObservation, choose
from pdtla.layers.module_io import load_module
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.layers.standardize import Standardize
from pdtla.policies.feedforward_policy import FeedforwardPolicy
from pdtla.stage import Batch, Policy, Scalars, Stage, require_fields


class LatentBehavioralCloning(Stage):
    """Learns o_t -> z_t by squared error on the latents beside a dataset.

    No action is seen in training. Rollouts decode the predicted latent with the frozen
    decoder of another run.

    Args:
      encoder: see `ObservationNetwork`.
      decoder_run: workdir of the run whose `decoder` module maps latents to action
        logits; without one the stage trains but does not act.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer | ByObservation,
        decoder_run: str | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.encoder = encoder
        self.decoder_run = decoder_run

    def build(self, element_spec: specs.ElementSpec) -> None:
        require_fields(element_spec, specs.OBSERVATION, specs.LATENT_ACTION)
        latent_dim = element_spec[specs.LATENT_ACTION].shape[-1]
        observation = element_spec[specs.OBSERVATION]
        self.network = ObservationNetwork(
            choose(self.encoder, observation),
            latent_dim,
            standardize=Standardize.of(observation),
            name="policy",
        )
        self.network.build((None, *observation.shape))
        self.decoder = None
        if self.decoder_run:
            self.decoder = load_decoder(self.decoder_run, latent_dim)

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        target = batch[specs.LATENT_ACTION][:, -1]
        predicted = self.network(batch[specs.OBSERVATION], training=training)
        error = ops.mean(ops.square(predicted - target))
        # What the best constant prediction would leave; 1 - ratio is R^2.
        spread = ops.mean(ops.var(target, axis=0))
        metrics = {"unexplained_variance": error / ops.maximum(spread, 1e-12)}
        return {"latent": error}, metrics

    def modules(self) -> dict[str, keras.layers.Layer]:
        modules = {"policy": self.network}
        if self.decoder is not None:
            modules["decoder"] = self.decoder
        return modules

    def policy(
        self, greedy: bool = True, decoder: keras.layers.Layer | None = None
    ) -> Policy | None:
        """See `Stage`; `decoder` replaces the stage's own."""
        decoder = decoder or self.decoder
        if decoder is None:
            return None
        params = lambda observation: decoder(  # noqa: E731
            self.network(observation), observation
        )
        return FeedforwardPolicy(params, decoder.distribution, greedy)


def load_decoder(run: str, latent_dim: int) -> keras.layers.Layer:
    """Loads the frozen action decoder of a run.

    Raises:
      ValueError: the decoder was fitted on latents of another width.
    """
    decoder = load_module(f"{run}/modules/decoder")
    if decoder.input_dim != latent_dim:
        raise ValueError(
            f"The decoder of {run} takes latents of width {decoder.input_dim}; "
            f"those here have width {latent_dim}."
        )
    decoder.trainable = False
    return decoder
