"""`LatentCodes`: a quantized latent action, M codes predicted side by side."""

import keras
from keras import ops

from pdtla import specs
from pdtla.layers.action_distributions import ActionDistribution, Categorical


@keras.saving.register_keras_serializable(package="pdtla")
class LatentCodes(ActionDistribution):
    """M categories, independent of one another given what predicts them.

    Args:
      num_codes: M, codes that make up a latent.
      num_values: K, values that each takes.
    """

    def __init__(self, num_codes: int, num_values: int):
        self.num_codes = num_codes
        self.num_values = num_values
        self.num_params = num_codes * num_values
        self._each = Categorical(num_values)

    def loss(self, params, action, weight=None):
        return self._each.loss(*self._flat(params, action, weight))

    def metrics(self, params, action, weight=None) -> dict:
        return self._each.metrics(*self._flat(params, action, weight))

    def mode(self, params):
        return self._each.mode(self._split(params))

    def sample(self, params, uniform):
        return self._each.sample(self._split(params), self._split(uniform))

    def action_spec(self) -> specs.ArraySpec:
        return specs.ArraySpec((self.num_codes,), "int32", num_values=self.num_values)

    def get_config(self) -> dict:
        return {"num_codes": self.num_codes, "num_values": self.num_values}

    def _split(self, params):
        return ops.reshape(params, (-1, self.num_codes, self.num_values))

    def _flat(self, params, action, weight):
        """All codes of all rows as rows of their own."""
        if weight is not None:
            weight = ops.repeat(weight, self.num_codes)
        return (
            ops.reshape(params, (-1, self.num_values)),
            ops.reshape(action, (-1,)),
            weight,
        )
