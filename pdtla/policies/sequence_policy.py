"""`SequencePolicy`: acts on what an episode has been so far."""

import tensorflow as tf
from keras import ops

from pdtla import specs
from pdtla.layers.sequence_network import SequenceNetwork
from pdtla.policies.sequence_memory import SequenceMemory, prompt_tokens
from pdtla.stage import Batch, Policy, State


class SequencePolicy(Policy):
    """Takes the most likely action of a sequence network, or samples one.

    Environments may begin episodes at different times.

    Args:
      network: the network.
      memory: how it remembers.
      greedy: take the most likely action rather than sample one.
      target_return: return-to-go at the first step, unscaled, where the network has
        returns; rewards are subtracted as they come.
      jit_compile: see `Policy`.
    """

    def __init__(
        self,
        network: SequenceNetwork,
        memory: SequenceMemory,
        greedy: bool,
        target_return: float = 0.0,
        jit_compile: bool = False,
    ):
        self.jit_compile = jit_compile
        self._network = network
        self._memory = memory
        self._greedy = greedy
        self._target = float(target_return)

    def initial_state(self, batch_size: int, seed: int = 0) -> State:
        spec = self._network.distribution.action_spec()
        row = tf.range(batch_size, dtype=tf.int32)
        return {
            "age": tf.zeros([batch_size], tf.int32),
            "action": tf.zeros([batch_size, *spec.shape], spec.dtype),
            "return_to_go": tf.fill([batch_size], self._target),
            "target_return": tf.fill([batch_size], self._target),
            "memory": self._memory.empty(batch_size),
            "seed": tf.stack([tf.fill([batch_size], seed), row], axis=1),
        }

    def with_prompt(self, state: State, prompt: Batch) -> State:
        # In a graph it is not known yet.
        shown = tf.get_static_value(tf.reduce_max(prompt[specs.DEMO]))
        most = self._network.num_demos
        if shown is not None and shown > most:
            raise ValueError(
                f"The policy was taught to be shown {most} demonstrations at most "
                f"(MAX_DEMOS), got {shown}."
            )
        tokens = prompt_tokens(self._network, prompt)
        return state | {"memory": self._memory.with_prompt(state["memory"], tokens)}

    def receive(self, reward: tf.Tensor, state: State) -> State:
        return state | {"return_to_go": state["return_to_go"] - reward}

    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        age = tf.where(is_first, 0, state["age"])
        target = state["target_return"]
        to_go = tf.where(is_first, target, state["return_to_go"])
        block = self._block(observation, state["action"], age, to_go)
        output, memory = self._memory.read(state["memory"], block, age)
        params = self._network.head(ops.cast(output, "float32"))
        action = self._choose(params, state["seed"])
        return action, {
            "age": age + 1,
            "action": action,
            "return_to_go": to_go,
            "target_return": target,
            "memory": memory,
            "seed": state["seed"] + [1, 0],
        }

    def _block(
        self,
        observation: tf.Tensor,
        action: tf.Tensor,
        age: tf.Tensor,
        to_go: tf.Tensor,
    ) -> tf.Tensor:
        """The tokens (a_{t-1}, [R_t], s_t) of a step, `[B, k, W]`."""
        tokens = self._network.embed(
            observation[:, None],
            action[:, None],
            age[:, None],
            age[:, None] - 1,
            to_go[:, None],
        )[:, 0]
        return tf.concat([tokens[:, -1:], tokens[:, :-1]], 1)

    def _choose(self, params: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        distribution = self._network.distribution
        if self._greedy:
            return distribution.mode(params)
        uniform = tf.random.stateless_uniform(tf.shape(params), seed[0], 1e-20, 1.0)
        return distribution.sample(params, uniform)
