"""`BehavioralCloning`: imitates discrete actions."""

import keras

from pdtla import specs
from pdtla.layers.categorical import accuracy, cross_entropy
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.policies.feedforward_policy import FeedforwardPolicy
from pdtla.stage import Batch, Policy, Scalars, Stage, num_actions, require_fields


class BehavioralCloning(Stage):
    """Learns a_t from o_t by cross entropy.

    The actions may be the dataset's own or, with REPLACE_ACTION_WITH_LA, the labels
    that a VPT model or a decoded latent action model wrote beside it.

    Args:
      encoder: see `ObservationNetwork`.
    """

    def __init__(self, encoder: keras.layers.Layer, **kwargs):
        super().__init__(**kwargs)
        self.encoder = encoder

    def build(self, element_spec: specs.ElementSpec) -> None:
        require_fields(element_spec, specs.OBSERVATION, specs.ACTION)
        self.network = ObservationNetwork(
            self.encoder, num_actions(element_spec), name="policy"
        )
        self.network.build((None, *element_spec[specs.OBSERVATION].shape))

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        logits = self.network(batch[specs.OBSERVATION], training=training)
        action = batch[specs.ACTION][:, -1]
        return (
            {"action": cross_entropy(logits, action)},
            {"accuracy": accuracy(logits, action)},
        )

    def modules(self) -> dict[str, keras.layers.Layer]:
        return {"policy": self.network}

    def policy(self, greedy: bool = True) -> Policy:
        return FeedforwardPolicy(self.network, greedy)
