"""`LatentAgent`, a policy over latent actions that goes on learning online."""

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from pdtla import specs, stage
from pdtla.layers import action_distributions, running_normalizer, tanh_network
from pdtla.layers.by_observation import ByObservation, choose
from pdtla.layers.latent_actor import LatentActor
from pdtla.layers.latent_decoder import LatentDecoder
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.layers.standardize import Standardize
from pdtla.online import agent, earlier_run, exploration
from pdtla.policies.feedforward_policy import FeedforwardPolicy


class LatentAgent(agent.Agent):
    """The third stage of LAPO (Schmidt & Jiang 2024, arXiv 2312.10812, section 4.3).

    The latent policy of an earlier run meets the simulator: a head from latents to
    actions, fitted to labels before or new, learns what the latents mean there, and the
    policy itself may go on learning. Without an earlier run the same networks learn
    from nothing, under running statistics of the states: the baseline.

    Args:
      observation_spec: of one environment.
      action_spec: of one environment.
      env_id: the environment, which earlier runs must be of.
      encoder: of a policy from nothing, see `ObservationNetwork`.
      critic_encoder: of a critic of its own.
      start_run: workdir of a run of stage la_bc; None begins from nothing.
      decoder_run: workdir of the run whose `decoder` is the head; None for a new head.
      latent_dim: width of the latents of a policy from nothing.
      hidden: widths of the hidden layers of a new head.
      fine_tune: learn the latent policy too; otherwise the head alone.
      share_critic: judge by the features of the latent policy's encoder.
      critic_widths: of the hidden layers on them.
      initial_log_std: of continuous actions, see `LatentActor`.
      min_log_std: see `LatentActor`.

    Raises:
      ValueError: an earlier run does not fit, or a policy from nothing would be
        frozen or decoded.
    """

    def __init__(
        self,
        observation_spec: specs.ArraySpec,
        action_spec: specs.ArraySpec,
        *,
        env_id: str,
        encoder: keras.layers.Layer | ByObservation,
        critic_encoder: keras.layers.Layer | ByObservation,
        start_run: str | None = None,
        decoder_run: str | None = None,
        latent_dim: int = 128,
        hidden: Sequence[int] = (128, 128),
        fine_tune: bool = True,
        share_critic: bool = False,
        critic_widths: Sequence[int] = (64,),
        initial_log_std: float = 0.0,
        min_log_std: float = -20.0,
    ):
        if start_run is None and (decoder_run is not None or not fine_tune):
            raise ValueError(
                "DECODER_RUN and FINE_TUNE = False need the latent policy of a "
                "START_RUN, of stage la_bc."
            )
        shape = (None, *observation_spec.shape)
        if start_run is None:
            trunk = ObservationNetwork(
                choose(encoder, observation_spec),
                latent_dim,
                standardize=_statistics(observation_spec),
                name="policy",
            )
        else:
            trunk = earlier_run.load_trunk(start_run, env_id, observation_spec)
        if decoder_run is None:
            self.labels = 0
            head = LatentDecoder(
                action_distributions.make_distribution(action_spec),
                hidden,
                name="decoder",
            )
        else:
            self.labels = earlier_run.labels(decoder_run)
            head = earlier_run.load_head(
                decoder_run, env_id, trunk.output_dim, action_spec
            )
        self.actor = LatentActor(
            trunk, head, fine_tune, initial_log_std, min_log_std, name="actor"
        )
        self.actor.build(shape)
        if decoder_run is None:
            head.quiet()
        self._share_critic = share_critic
        if share_critic:
            self.critic = tanh_network.TanhNetwork(1, critic_widths)
            self.critic.build((None, trunk.head.kernel.shape[0]))
        else:
            self.critic = ObservationNetwork(
                choose(critic_encoder, observation_spec),
                1,
                standardize=_statistics(observation_spec),
                name="critic",
            )
            self.critic.build((None, 1, *observation_spec.shape))
        self.exploration = exploration.make_exploration(action_spec)
        self.jit_compile = not observation_spec.is_image

    def prepare(self, observation: tf.Tensor) -> dict[str, tf.Tensor]:
        inputs = {"observation": observation}
        if not self.actor.fine_tune:
            inputs["features"] = self.actor.features(observation)
        return inputs

    def evaluate(self, inputs: dict[str, tf.Tensor]) -> tuple[Any, tf.Tensor]:
        observation = inputs["observation"]
        features = inputs.get("features")
        if features is None:
            features = self.actor.features(observation)
        judged = features if self._share_critic else observation[:, None]
        params = self.actor.parameters(features, observation)
        return params, self.critic(judged)[:, 0]

    def observe(self, observation: tf.Tensor) -> None:
        networks = [self.actor.trunk]
        if not self._share_critic:
            networks.append(self.critic)
        for network in networks:
            if isinstance(network.standardize, running_normalizer.RunningNormalizer):
                network.standardize.update(observation)

    def policy(self, greedy: bool = True) -> stage.Policy:
        if not self.actor.is_discrete:
            return super().policy(greedy)
        return FeedforwardPolicy(
            self._logits, self.actor.head.distribution, greedy=greedy
        )

    def _logits(self, window: tf.Tensor) -> tf.Tensor:
        observation = window[:, 0]
        return self.actor.parameters(self.actor.features(observation), observation)


def _statistics(spec: specs.ArraySpec) -> keras.layers.Layer:
    """What standardises observations whose statistics nobody knows yet."""
    if spec.is_image:
        return Standardize()
    return running_normalizer.RunningNormalizer(dtype="float32")
