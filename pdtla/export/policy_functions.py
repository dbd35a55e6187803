"""What a trained policy does, as functions of tensors alone."""

import functools
from typing import Any

import keras
import tensorflow as tf

from pdtla import specs
from pdtla.export.saved_functions import Functions, Tensors
from pdtla.policies.fine_tuned_policy import FineTunedPolicy
from pdtla.policies.latent_sequence_policy import LatentSequencePolicy
from pdtla.stage import Policy, Stage, State

STATE = "state_"
_SHOWN = (
    specs.OBSERVATION,
    specs.ACTION,
    specs.RETURN_TO_GO,
    specs.TIMESTEP,
    specs.DEMO,
    specs.VALID,
)


def policy_functions(stage: Stage, element_spec: specs.ElementSpec) -> Functions:
    """The functions of a trained stage that acts, for any number B of environments.

    What a policy remembers travels in tensors whose names begin with `state_`, each
    `[B, ...]`: every function returns all of them, and takes what the last one
    returned.

    - `initial_state(batch_size, seed)`: int32 `[]` each.
    - `act(observation, reward, is_first, **state)` takes observations `[B, ...]` as the
      simulator gives them, float32 `[B]`, the reward of the last action, and bool
      `[B]`, whether an episode begins. It also returns `action`, the most likely one.
    - `sample`, likewise, draws the action.
    - `prompt(observation, ..., **state)`, where the stage was taught to see
      demonstrations: `[B, P, ...]`, steps that are not `valid` are not seen. It belongs
      after `initial_state`.

    Args:
      stage: built, with its trained weights.
      element_spec: of the windows that it was built for.

    Raises:
      ValueError: the stage does not act, or acts by weights that rollouts change.
    """
    policy = stage.policy()
    if policy is None:
        raise ValueError(f"A {type(stage).__name__} without a policy does not act.")
    if isinstance(policy, FineTunedPolicy):
        raise ValueError(
            "A policy that learns from demonstrations as they are shown (FINE_TUNING) "
            "has no fixed weights to export."
        )
    prompt = _prompt_specs(policy, element_spec)

    def initial_state(batch_size: tf.Tensor, seed: tf.Tensor) -> State:
        state = policy.initial_state(batch_size, seed)
        if not prompt:
            return state
        nothing = {
            name: tf.zeros([batch_size, *spec.shape], spec.dtype)
            for name, spec in prompt.items()
        }
        return policy.with_prompt(state, nothing)

    codec = _StateCodec(initial_state(1, 0))
    number = tf.TensorSpec([], tf.int32)
    functions = {
        "initial_state": tf.function(
            lambda batch_size, seed: codec.named(initial_state(batch_size, seed))
        ).get_concrete_function(batch_size=number, seed=number)
    }
    observation = element_spec[specs.OBSERVATION]
    seen = {
        specs.OBSERVATION: _batched(observation.shape[1:], observation.dtype),
        specs.REWARD: _batched((), "float32"),
        specs.IS_FIRST: _batched((), "bool"),
    }
    for name, acting in (("act", policy), ("sample", stage.policy(greedy=False))):
        function = tf.function(functools.partial(_act, acting, codec))
        functions[name] = function.get_concrete_function(**seen, **codec.specs)
    if prompt:
        shown = {n: _batched(spec.shape, spec.dtype) for n, spec in prompt.items()}
        function = tf.function(functools.partial(_prompt, policy, codec))
        functions["prompt"] = function.get_concrete_function(**shown, **codec.specs)
    return functions


class _StateCodec:
    """A state as named tensors, and back.

    Args:
      state: of one environment.

    Attributes:
      specs: of the named tensors, for any number of environments.
    """

    def __init__(self, state: State):
        self._structure = state
        leaves = keras.tree.flatten_with_path(state)
        self.specs = {
            STATE + "_".join(map(str, path)): _batched(leaf.shape[1:], leaf.dtype)
            for path, leaf in leaves
        }

    def named(self, state: State) -> Tensors:
        return dict(zip(self.specs, keras.tree.flatten(state), strict=True))

    def state(self, tensors: Tensors) -> State:
        leaves = [tensors[name] for name in self.specs]
        return keras.tree.pack_sequence_as(self._structure, leaves)


def _act(policy: Policy, codec: _StateCodec, **tensors: tf.Tensor) -> Tensors:
    state = policy.receive(tensors[specs.REWARD], codec.state(tensors))
    action, state = policy.step(
        tensors[specs.OBSERVATION], tensors[specs.IS_FIRST], state
    )
    return {specs.ACTION: action} | codec.named(state)


def _prompt(policy: Policy, codec: _StateCodec, **tensors: tf.Tensor) -> Tensors:
    shown = {name: tensors[name] for name in _SHOWN if name in tensors}
    return codec.named(policy.with_prompt(codec.state(tensors), shown))


def _prompt_specs(
    policy: Policy, element_spec: specs.ElementSpec
) -> dict[str, specs.ArraySpec]:
    """The fields of demonstrations that the policy looks at."""
    fields = element_spec.get(specs.PROMPT, {})
    names = [name for name in _SHOWN if name in fields]
    if isinstance(policy, LatentSequencePolicy) and specs.ACTION in names:
        names.remove(specs.ACTION)  # it infers them
    return {name: fields[name] for name in names}


def _batched(shape: Any, dtype: Any) -> tf.TensorSpec:
    return tf.TensorSpec([None, *shape], dtype)
