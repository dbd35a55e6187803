"""`FineTunedPolicy`: learns from demonstrations by gradients, not by seeing them."""

from collections.abc import Callable

import keras
import tensorflow as tf

from pdtla import specs
from pdtla.stage import Batch, Policy, Stage, State


class FineTunedPolicy(Policy):
    """Clones the demonstrations it is shown, each environment with weights of its own.

    What a prompted policy is to be held against: the same network without prompts,
    after some updates on the same demonstrations (Xu et al. 2022, arXiv 2206.13499,
    MT-BC-FT). The stage's own weights stay as they are.

    Args:
      policy: acts by the stage's weights.
      stage: learns from sequences; without prompts.
      sequence_len: steps of these sequences.
      num_updates: on all of an environment's demonstrations at once, by Adam.
      learning_rate: of these updates.
      label: gives demonstrations what the stage learns.
    """

    def __init__(
        self,
        policy: Policy,
        stage: Stage,
        sequence_len: int,
        num_updates: int,
        learning_rate: float,
        label: Callable[[Batch], Batch],
    ):
        self._policy = policy
        self._stage = stage
        self._sequence_len = sequence_len
        self._num_updates = num_updates
        self._label = label
        self._variables = stage.trainable_variables
        self._weights = [keras.Variable(each.numpy()) for each in self._variables]
        self._optimizer = keras.optimizers.Adam(learning_rate)
        self._optimizer.build(self._weights)
        self._untouched = [each.value.numpy() for each in self._optimizer.variables]

    def initial_state(self, batch_size: int, seed: int = 0) -> State:
        weights = [
            tf.repeat(each.value[None], batch_size, axis=0) for each in self._variables
        ]
        inner = self._policy.initial_state(batch_size, seed)
        return {"policy": inner, "weights": weights}

    def with_prompt(self, state: State, prompt: Batch) -> State:
        sequences = self._sequences(self._label(prompt))
        tuned = []
        for slot in range(len(sequences[specs.VALID])):
            own = {name: value[slot] for name, value in sequences.items()}
            self._begin()
            if tf.reduce_any(own[specs.VALID]):
                self._tune(own)
            tuned.append([each.value.numpy() for each in self._weights])
        stacked = [tf.stack(each) for each in zip(*tuned, strict=True)]
        return state | {"weights": stacked}

    def receive(self, reward: tf.Tensor, state: State) -> State:
        return state | {"policy": self._policy.receive(reward, state["policy"])}

    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        def act(given):
            *seen, weights = given
            arguments = tf.nest.map_structure(lambda leaf: leaf[None], seen)
            with self._scope(weights):
                acted = self._policy.step(*arguments)
            return tf.nest.map_structure(lambda leaf: leaf[0], acted)

        given = (observation, is_first, state["policy"])
        one = tf.nest.map_structure(lambda leaf: leaf[:1], given)
        action, _ = self._policy.step(*one)
        signature = tf.nest.map_structure(
            lambda leaf: tf.TensorSpec(leaf.shape[1:], leaf.dtype), (action, given[-1])
        )
        action, inner = tf.map_fn(
            act, (*given, state["weights"]), fn_output_signature=signature
        )
        return action, state | {"policy": inner}

    def _scope(self, weights: list[tf.Tensor]) -> keras.StatelessScope:
        """Where the stage's variables have these values."""
        pairs = zip(self._variables, weights, strict=True)
        return keras.StatelessScope(state_mapping=pairs)

    def _begin(self) -> None:
        """Back to the stage's weights, and to an optimizer that saw nothing."""
        for weight, variable in zip(self._weights, self._variables, strict=True):
            weight.assign(variable.value)
        pairs = zip(self._optimizer.variables, self._untouched, strict=True)
        for variable, value in pairs:
            variable.assign(value)

    @tf.function(reduce_retracing=True)
    def _tune(self, sequences: Batch) -> None:
        for _ in tf.range(self._num_updates):
            weights = [each.value for each in self._weights]
            with tf.GradientTape() as tape, self._scope(weights):
                losses, _ = self._stage(sequences)
                loss = tf.add_n(list(losses.values()))
            gradients = tape.gradient(loss, weights)
            self._optimizer.apply(gradients)

    def _sequences(self, prompt: Batch) -> Batch:
        """Demonstrations `[B, P, ...]` cut into sequences `[B, S, L, ...]`.

        What does not fill the last sequence of a demonstration is not valid.
        """
        count = max(int(tf.reduce_max(prompt[specs.DEMO])), 1)
        found = {}
        for name, value in prompt.items():
            batch, steps, *shape = value.shape
            value = tf.reshape(value, [batch, count, steps // count, *shape])
            missing = -(steps // count) % self._sequence_len
            value = tf.pad(value, [[0, 0]] * 2 + [[0, missing]] + [[0, 0]] * len(shape))
            found[name] = tf.reshape(value, [batch, -1, self._sequence_len, *shape])
        return found
