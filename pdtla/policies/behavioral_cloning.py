"""`BehavioralCloning`: imitates actions."""

import dataclasses

import keras
from keras import ops

from pdtla import specs
from pdtla.layers.action_distributions import make_distribution
from pdtla.layers.action_network import ActionNetwork
from pdtla.layers.by_observation import ByObservation, choose
from pdtla.layers.standardize import Standardize
from pdtla.policies.chunked_policy import ChunkedPolicy
from pdtla.policies.feedforward_policy import FeedforwardPolicy
from pdtla.stage import Batch, Policy, Scalars, Stage, action_spec, require_fields


class BehavioralCloning(Stage):
    """Learns a_t from o_t: cross entropy, squared error, or tanh-Gaussian likelihood.

    The actions may be the dataset's own or, with REPLACE_ACTION_WITH_LA, the labels
    that a VPT model or a decoded latent action model wrote beside it.

    Args:
      encoder: see `ObservationNetwork`.
      head: for continuous actions, see `make_distribution`.
      chunk: continuous actions predicted from one observation, o_t -> a_{t..t+H-1};
        windows must then hold H steps (gin/data/chunk.gin).

    Raises:
      ValueError: a chunk length below 1.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer | ByObservation,
        head: str = "deterministic",
        chunk: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if chunk < 1:
            raise ValueError(f"chunk must be at least 1, got {chunk}.")
        self.encoder = encoder
        self.head = head
        self.chunk = chunk

    def build(self, element_spec: specs.ElementSpec) -> None:
        require_fields(element_spec, specs.OBSERVATION, specs.ACTION)
        observation = element_spec[specs.OBSERVATION]
        if self.chunk > 1 and observation.shape[0] != self.chunk:
            raise ValueError(
                f"Chunks of {self.chunk} actions need windows of {self.chunk} steps, "
                f"got {observation.shape[0]}."
            )
        self.network = ActionNetwork(
            choose(self.encoder, observation),
            make_distribution(self._target_spec(element_spec), self.head),
            standardize=Standardize.of(observation),
            name="policy",
        )
        steps = observation.shape[0] if self.chunk == 1 else 1
        self.network.build((None, steps, *observation.shape[1:]))

    def _target_spec(self, element_spec: specs.ElementSpec) -> specs.ArraySpec:
        """The spec of one action, or of a chunk laid end to end."""
        spec = action_spec(element_spec)
        if self.chunk == 1:
            return spec
        if spec.is_discrete:
            raise ValueError("Chunks are of continuous actions; these are discrete.")
        return dataclasses.replace(spec, shape=(self.chunk * spec.shape[0],))

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        observation, action = batch[specs.OBSERVATION], batch[specs.ACTION]
        if self.chunk == 1:
            action = action[:, -1]
        else:
            observation = observation[:, :1]
            action = ops.reshape(action, (-1, self.chunk * action.shape[-1]))
        params = self.network(observation, training=training)
        distribution = self.network.distribution
        return (
            {"action": distribution.loss(params, action)},
            distribution.metrics(params, action),
        )

    def modules(self) -> dict[str, keras.layers.Layer]:
        return {"policy": self.network}

    def policy(self, greedy: bool = True) -> Policy:
        distribution = self.network.distribution
        if self.chunk == 1:
            return FeedforwardPolicy(self.network, distribution, greedy)
        planner = FeedforwardPolicy(self.network, distribution, greedy)
        return ChunkedPolicy(planner, self.chunk, distribution.size // self.chunk)
