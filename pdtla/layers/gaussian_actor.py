"""`GaussianActor`: a policy of continuous actions that is learnt online."""

from collections.abc import Sequence

import keras
from keras import ops

from pdtla.layers.running_normalizer import RunningNormalizer
from pdtla.layers.tanh_network import TanhNetwork


@keras.saving.register_keras_serializable(package="pdtla")
class GaussianActor(keras.layers.Layer):
    """Normal distributions over actions, with one deviation for all observations.

    Called, it acts greedily: the mean, clipped to the bounds. `parameters` gives the
    distribution that exploration samples from.

    Args:
      action_dim: number A of action components.
      widths: of the hidden layers.
      initial_log_std: logarithm of the deviation at the start.
      min_log_std: what it never falls below, so that what is learnt bears noise.
      bounded: squash the mean into the bounds with tanh. An unbounded mean evades the
        noise of exploration beyond them, and a player of extreme actions comes out
        that a little noise on what it does throws off.

    Attributes:
      gives_action: whoever loads the module need not decode its output.
      normalizer: standardises observations; whoever trains the actor updates it.

    Call arguments:
      observation: float `[B, D]`, raw.

    Returns:
      float32 `[B, A]`, between -1 and 1.
    """

    gives_action = True

    def __init__(
        self,
        action_dim: int,
        widths: Sequence[int] = (64, 64),
        initial_log_std: float = 0.0,
        min_log_std: float = -20.0,
        bounded: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.action_dim = action_dim
        self.widths = tuple(widths)
        self.initial_log_std = initial_log_std
        self.min_log_std = min_log_std
        self.bounded = bounded
        self.normalizer = RunningNormalizer(dtype="float32", name="normalizer")
        self.network = TanhNetwork(
            action_dim,
            self.widths,
            output_gain=0.01,
            dtype=self.dtype_policy,
            name="network",
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.normalizer.build(input_shape)
        self.network.build(input_shape)
        self.log_std = self.add_weight(
            shape=(self.action_dim,),
            initializer=keras.initializers.Constant(self.initial_log_std),
            dtype="float32",
            name="log_std",
        )
        self.built = True

    def call(self, observation):
        mean, _ = self.parameters(self.normalizer(observation))
        return ops.clip(mean, -1.0, 1.0)

    def parameters(self, normalized):
        """Mean `[B, A]` and log deviation `[A]`, float32.

        Args:
          normalized: what `normalizer` makes of the observations, `[B, D]`.
        """
        mean = ops.cast(self.network(normalized), "float32")
        if self.bounded:
            mean = ops.tanh(mean)
        return mean, ops.maximum(self.log_std.value, self.min_log_std)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.action_dim)

    def get_config(self) -> dict:
        return super().get_config() | {
            "action_dim": self.action_dim,
            "widths": self.widths,
            "initial_log_std": self.initial_log_std,
            "min_log_std": self.min_log_std,
            "bounded": self.bounded,
        }
