"""`GaussianAgent`, the small networks that experts are trained with."""

from collections.abc import Callable, Sequence

import tensorflow as tf

from pdtla import specs
from pdtla.layers import gaussian_actor, tanh_network
from pdtla.online import agent, exploration


class GaussianAgent(agent.Agent):
    """A `GaussianActor`, and a critic that sees what its normaliser makes.

    Args:
      observation_spec: of one environment.
      action_spec: of one environment.
      make_actor: called with `action_dim` and `widths`.
      widths: of the hidden layers of actor and critic.

    Raises:
      ValueError: actions are discrete, or observations are images.
    """

    def __init__(
        self,
        observation_spec: specs.ArraySpec,
        action_spec: specs.ArraySpec,
        *,
        make_actor: Callable[..., gaussian_actor.GaussianActor],
        widths: Sequence[int] = (64, 64),
    ):
        if action_spec.is_discrete or observation_spec.is_image:
            raise ValueError(
                "A GaussianActor maps states to continuous actions, got "
                f"{observation_spec} and {action_spec}."
            )
        (action_dim,) = action_spec.shape
        shape = (None, *observation_spec.shape)
        self.actor = make_actor(action_dim=action_dim, widths=widths)
        self.actor.build(shape)
        self.critic = tanh_network.TanhNetwork(1, widths)
        self.critic.build(shape)
        self.exploration = exploration.Gaussian(action_dim)

    def prepare(self, observation: tf.Tensor) -> tf.Tensor:
        return self.actor.normalizer(observation)

    def evaluate(
        self, inputs: tf.Tensor
    ) -> tuple[tuple[tf.Tensor, tf.Tensor], tf.Tensor]:
        return self.actor.parameters(inputs), self.critic(inputs)[:, 0]

    def observe(self, observation: tf.Tensor) -> None:
        self.actor.normalizer.update(observation)
