"""`LatentActor`: a policy over latent actions with an action head, learnt online."""

import keras
from keras import ops

from pdtla.layers.action_distributions import Categorical, Deterministic
from pdtla.layers.latent_decoder import LatentDecoder
from pdtla.layers.observation_network import ObservationNetwork


@keras.saving.register_keras_serializable(package="pdtla")
class LatentActor(keras.layers.Layer):
    """From an observation to a latent action, and on to a distribution over actions.

    Continuous actions are normal with one deviation for all observations; discrete
    ones are categories. Called, it acts greedily.

    Args:
      trunk: from observations to latents.
      head: from latents to actions.
      fine_tune: learn the trunk too; otherwise the head alone.
      initial_log_std: logarithm of the deviation at the start.
      min_log_std: what it never falls below.

    Attributes:
      gives_action: whoever loads the module need not decode its output.
      is_discrete: whether actions are categories.

    Call arguments:
      observation: uint8 `[B, H, W, C]` or float `[B, D]`, raw.

    Returns:
      int32 `[B]`, or float32 `[B, A]` between -1 and 1.
    """

    gives_action = True

    def __init__(
        self,
        trunk: ObservationNetwork,
        head: LatentDecoder,
        fine_tune: bool = True,
        initial_log_std: float = 0.0,
        min_log_std: float = -20.0,
        **kwargs,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.trunk = trunk
        self.head = head
        self.fine_tune = fine_tune
        self.initial_log_std = initial_log_std
        self.min_log_std = min_log_std
        self.is_discrete = isinstance(head.distribution, Categorical)
        self.trunk.trainable = fine_tune

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        window = (None, 1, *input_shape[1:])
        if not self.trunk.built:
            self.trunk.build(window)
        if not self.head.built:
            self.head.build((None, self.trunk.output_dim), window)
        if not self.is_discrete:
            self.log_std = self.add_weight(
                shape=self.head.distribution.action_spec().shape,
                initializer=keras.initializers.Constant(self.initial_log_std),
                dtype="float32",
                name="log_std",
            )
        self.built = True

    def call(self, observation):
        params = self.parameters(self.features(observation), observation)
        if self.is_discrete:
            return ops.cast(ops.argmax(params, axis=-1), "int32")
        return ops.clip(params[0], -1.0, 1.0)

    def features(self, observation):
        """What the trunk's encoder makes of observations, float32 `[B, F]`."""
        return self.trunk.features(observation[:, None])

    def parameters(self, features, observation):
        """Logits `[B, A]`, or mean `[B, A]` and log deviation `[A]`, float32.

        Args:
          features: of the observations, `[B, F]`.
          observation: the observations, for heads that see them.
        """
        latent = self.trunk.head(features)
        params = self.head(latent, observation[:, None])
        if self.is_discrete:
            return params
        distribution = self.head.distribution
        # Clipped, a mean beyond the bounds would never learn to come back.
        if not isinstance(distribution, Deterministic):
            params = distribution.mode(params)
        return params, ops.maximum(self.log_std.value, self.min_log_std)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], *self.head.distribution.action_spec().shape)

    def get_config(self) -> dict:
        nested = {
            name: keras.saving.serialize_keras_object(getattr(self, name))
            for name in ("trunk", "head")
        }
        return (
            super().get_config()
            | nested
            | {
                "fine_tune": self.fine_tune,
                "initial_log_std": self.initial_log_std,
                "min_log_std": self.min_log_std,
            }
        )

    @classmethod
    def from_config(cls, config: dict) -> "LatentActor":
        config = dict(config)
        for name in ("trunk", "head"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
