"""`ActionNetwork`: from observations to a distribution over actions."""

import keras

from pdtla.layers.action_distributions import ActionDistribution
from pdtla.layers.observation_network import ObservationNetwork


@keras.saving.register_keras_serializable(package="pdtla")
class ActionNetwork(ObservationNetwork):
    """An `ObservationNetwork` whose output are the parameters of a distribution.

    Args:
      encoder: see `ObservationNetwork`.
      distribution: reads the output as actions.
      frames: see `ObservationNetwork`.
      standardize: see `ObservationNetwork`.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        distribution: ActionDistribution,
        frames: keras.layers.Layer | None = None,
        standardize: keras.layers.Layer | None = None,
        **kwargs,
    ):
        kwargs.pop("output_dim", None)
        super().__init__(
            encoder, distribution.num_params, frames, standardize, **kwargs
        )
        self.distribution = distribution

    def get_config(self) -> dict:
        return super().get_config() | {
            "distribution": keras.saving.serialize_keras_object(self.distribution)
        }

    @classmethod
    def from_config(cls, config: dict) -> "ActionNetwork":
        distribution = keras.saving.deserialize_keras_object(config["distribution"])
        return super().from_config(config | {"distribution": distribution})
