"""What a network's output says about an action: categories, a point, a Gaussian."""

import abc
import math

import keras
from keras import ops

from pdtla import specs

_KINDS = ("deterministic", "gaussian")
_LOG_STD_RANGE = (-5.0, 2.0)
# Actions on the bounds would lie infinitely far from a squashed Gaussian.
_EDGE = 1e-3


class ActionDistribution(abc.ABC):
    """Reads the outputs of a network as a distribution over actions.

    Attributes:
      num_params: width of the network's output.
    """

    num_params: int

    @abc.abstractmethod
    def loss(self, params, action, weight=None):
        """Mean loss of actions `[B]` or `[B, A]` under outputs `[B, num_params]`.

        With weights `[B]` it is the weighted mean: 0 leaves an action out.
        """

    @abc.abstractmethod
    def metrics(self, params, action, weight=None) -> dict:
        """How well the most likely actions agree with the true ones, as scalars."""

    @abc.abstractmethod
    def mode(self, params):
        """The most likely actions, int32 `[B]` or float32 `[B, A]`."""

    @abc.abstractmethod
    def sample(self, params, uniform):
        """Draws actions with uniform noise in (0, 1), of the shape of `params`."""

    @abc.abstractmethod
    def action_spec(self) -> specs.ArraySpec:
        """The spec of one action."""

    @abc.abstractmethod
    def get_config(self) -> dict:
        """The constructor's arguments."""

    @classmethod
    def from_config(cls, config: dict) -> "ActionDistribution":
        """Makes it anew from `get_config`."""
        return cls(**config)


@keras.saving.register_keras_serializable(package="pdtla")
class Categorical(ActionDistribution):
    """Logits over discrete actions.

    Args:
      num_actions: A.
    """

    def __init__(self, num_actions: int):
        self.num_actions = num_actions
        self.num_params = num_actions

    def loss(self, params, action, weight=None):
        return _mean(
            ops.sparse_categorical_crossentropy(action, params, from_logits=True),
            weight,
        )

    def metrics(self, params, action, weight=None) -> dict:
        best = ops.cast(ops.argmax(params, axis=-1), action.dtype)
        return {"accuracy": _mean(ops.cast(best == action, "float32"), weight)}

    def mode(self, params):
        return ops.cast(ops.argmax(params, axis=-1), "int32")

    def sample(self, params, uniform):
        gumbel = -ops.log(-ops.log(uniform))
        return ops.cast(ops.argmax(params + gumbel, axis=-1), "int32")

    def action_spec(self) -> specs.ArraySpec:
        return specs.ArraySpec((), "int32", num_values=self.num_actions)

    def get_config(self) -> dict:
        return {"num_actions": self.num_actions}


@keras.saving.register_keras_serializable(package="pdtla")
class Deterministic(ActionDistribution):
    """The action itself, fitted by squared error and clipped to its bounds.

    Args:
      size: A.
      bounded: whether it is clipped; latent actions have no bounds.
      bound: largest size of a component; the network's outputs are in units of it.
    """

    def __init__(self, size: int, bounded: bool = True, bound: float = 1.0):
        self.size = size
        self.bounded = bounded
        self.bound = bound
        self.num_params = size

    def loss(self, params, action, weight=None):
        error = params - action / self.bound
        return _mean(ops.mean(ops.square(error), axis=-1), weight)

    def metrics(self, params, action, weight=None) -> dict:
        return _explained(self.mode(params), action, weight)

    def mode(self, params):
        params = ops.clip(params, -1.0, 1.0) if self.bounded else params
        return self.bound * params

    def sample(self, params, uniform):
        del uniform
        return self.mode(params)

    def action_spec(self) -> specs.ArraySpec:
        if not self.bounded:
            return specs.ArraySpec((self.size,), "float32")
        return _bounded(self.size, self.bound)

    def get_config(self) -> dict:
        return {"size": self.size, "bounded": self.bounded, "bound": self.bound}


@keras.saving.register_keras_serializable(package="pdtla")
class TanhGaussian(ActionDistribution):
    """tanh of a Gaussian with diagonal covariance, fitted by likelihood.

    Args:
      size: A; the network gives A means and A log standard deviations.
      bound: largest size of a component.

    Reference: Haarnoja et al. 2018 (arXiv 1801.01290), appendix C.
    """

    def __init__(self, size: int, bound: float = 1.0):
        self.size = size
        self.bound = bound
        self.num_params = 2 * size

    def _split(self, params):
        mean, log_std = params[..., : self.size], params[..., self.size :]
        return mean, ops.clip(log_std, *_LOG_STD_RANGE)

    def loss(self, params, action, weight=None):
        mean, log_std = self._split(params)
        action = ops.clip(action / self.bound, -1.0 + _EDGE, 1.0 - _EDGE)
        before = ops.arctanh(action)
        error = (before - mean) * ops.exp(-log_std)
        log_density = (
            -0.5 * ops.square(error)
            - log_std
            - 0.5 * math.log(2.0 * math.pi)
            - ops.log(1.0 - ops.square(action))
            - math.log(self.bound)
        )
        return -_mean(ops.sum(log_density, axis=-1), weight)

    def metrics(self, params, action, weight=None) -> dict:
        return _explained(self.mode(params), action, weight)

    def mode(self, params):
        return self.bound * ops.tanh(self._split(params)[0])

    def sample(self, params, uniform):
        mean, log_std = self._split(params)
        normal = math.sqrt(2.0) * ops.erfinv(2.0 * uniform[..., : self.size] - 1.0)
        return self.bound * ops.tanh(mean + ops.exp(log_std) * normal)

    def action_spec(self) -> specs.ArraySpec:
        return _bounded(self.size, self.bound)

    def get_config(self) -> dict:
        return {"size": self.size, "bound": self.bound}


def make_distribution(
    spec: specs.ArraySpec, kind: str = "deterministic"
) -> ActionDistribution:
    """The distribution for actions of a spec.

    Args:
      spec: of the action, without time. Bounds beyond [-1, 1] are those of the
        distribution, zero in their middle.
      kind: for continuous actions, "deterministic" (squared error) or "gaussian"
        (likelihood under tanh of a Gaussian). Discrete actions are categorical.

    Raises:
      ValueError: an unknown kind, or continuous actions that are not vectors or have
        infinite bounds.
    """
    if kind not in _KINDS:
        raise ValueError(f"The action head is one of {_KINDS}, got {kind!r}.")
    if spec.is_discrete:
        return Categorical(spec.num_values)
    if len(spec.shape) != 1 or not spec.dtype.startswith("float"):
        raise ValueError(
            "Actions must be categories or float vectors, got "
            f"{spec.dtype} {spec.shape}; num_actions tells a reader how many "
            "categories there are."
        )
    maker = Deterministic if kind == "deterministic" else TanhGaussian
    bound = max(1.0, abs(spec.minimum or 0.0), abs(spec.maximum or 0.0))
    if not math.isfinite(bound):
        raise ValueError(
            f"Actions must be bounded, these lie in {(spec.minimum, spec.maximum)}; "
            'action_bounds="data" of the reader takes those of the data.'
        )
    return maker(spec.shape[0], bound=bound)


def _mean(values, weight=None):
    """Mean over `[B, ...]`, weighted by `[B]` where weights are given."""
    if weight is None:
        return ops.mean(values)
    total = ops.maximum(ops.sum(weight), 1e-8)
    per_row = ops.mean(ops.reshape(values, (*weight.shape, -1)), axis=-1)
    return ops.sum(per_row * weight) / total


def _explained(predicted, action, weight=None) -> dict:
    """R^2 over the batch, all components together, and the mean absolute error."""
    if weight is None:
        weight = ops.ones_like(action[..., 0])
    share = (weight / ops.maximum(ops.sum(weight), 1e-8))[..., None]
    centre = ops.sum(share * action, axis=0)
    spread = _mean(ops.square(action - centre), weight)
    error = _mean(ops.square(predicted - action), weight)
    return {
        "action_r2": 1.0 - error / ops.maximum(spread, 1e-8),
        "action_error": _mean(ops.abs(predicted - action), weight),
    }


def _bounded(size: int, bound: float) -> specs.ArraySpec:
    return specs.ArraySpec((size,), "float32", minimum=-bound, maximum=bound)
