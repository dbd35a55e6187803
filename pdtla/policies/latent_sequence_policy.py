"""`LatentSequencePolicy`: acts by latent actions, and reads videos as prompts."""

from collections.abc import Callable

import numpy as np
import tensorflow as tf

from pdtla import specs
from pdtla.latent_actions.labeller import Labeller
from pdtla.layers.sequence_network import SequenceNetwork
from pdtla.policies.sequence_memory import SequenceMemory
from pdtla.policies.sequence_policy import SequencePolicy
from pdtla.stage import Batch, State


class LatentSequencePolicy(SequencePolicy):
    """Predicts latent actions, decodes them, and infers those of demonstrations.

    Args:
      network: see `SequencePolicy`.
      memory: see there.
      greedy: see there.
      target_return: see there.
      jit_compile: see there.
      labeller: infers what the network was taught, from o_{t-k..t+1}.
      label: which of its fields that is.
      act: from what the network predicts and the observation `[B, ...]` to an action.
      hindsight: remember of each step what the labeller infers once its outcome is
        seen, instead of what was predicted.

    Raises:
      ValueError: a labeller that looks further ahead than one step.
    """

    def __init__(
        self,
        network: SequenceNetwork,
        memory: SequenceMemory,
        greedy: bool,
        target_return: float = 0.0,
        jit_compile: bool = False,
        *,
        labeller: Labeller,
        label: str,
        act: Callable[[tf.Tensor, tf.Tensor], tf.Tensor],
        hindsight: bool,
    ):
        super().__init__(network, memory, greedy, target_return, jit_compile)
        _check_future(labeller)
        self._labeller = labeller
        self._label = label
        self._act = act
        self._hindsight = hindsight

    def initial_state(self, batch_size: int, seed: int = 0) -> State:
        state = super().initial_state(batch_size, seed)
        if self._hindsight:
            window = self._labeller.window
            shape = [batch_size, window.shape[0] - 1, *window.shape[1:]]
            state["frames"] = tf.zeros(shape, window.dtype)
        return state

    def with_prompt(self, state: State, prompt: Batch) -> State:
        return super().with_prompt(
            state, label_prompt(prompt, self._labeller, self._label)
        )

    def step(
        self, observation: tf.Tensor, is_first: tf.Tensor, state: State
    ) -> tuple[tf.Tensor, State]:
        state = dict(state)
        if self._hindsight:
            window = tf.concat([state.pop("frames"), observation[:, None]], 1)
            # At an episode's first step it means nothing, and nothing sees it.
            state["action"] = self._labeller.label(window)[self._label]
        action, state = super().step(observation, is_first, state)
        if self._hindsight:
            state["frames"] = _followed(window, is_first)
        return self._act(action, observation), state


def label_prompt(prompt: Batch, labeller: Labeller, label: str) -> Batch:
    """Demonstrations with actions inferred from their observations.

    The last step of each has no outcome: it is not valid any more. Nor are the first
    ones where the demonstration begins within an episode, as far as the labeller would
    have seen what came before. Steps out of their order are labelled in it, so that
    each has the action that it had.

    Args:
      prompt: `[B, P, ...]`, as a dataset gives it.
      labeller: infers from o_{t-k..t+1}.
      label: which of its fields becomes the action.

    Raises:
      ValueError: it needs more than the next step.
    """
    _check_future(labeller)
    # Of which demonstration a step is, 0 for none.
    demo = tf.where(prompt[specs.VALID], prompt[specs.DEMO], 0)
    rows = tf.broadcast_to(tf.range(demo.shape[1]), tf.shape(demo))
    place = tf.where(prompt[specs.VALID], prompt.get(specs.ORDER, rows), rows)
    frames = tf.gather(prompt[specs.OBSERVATION], tf.argsort(place), batch_dims=1)

    def step(to: int) -> tf.Tensor:
        """The step so far from each, or the last one of its demonstration."""
        found = rows
        for _ in range(abs(to)):
            other = tf.clip_by_value(found + np.sign(to), 0, demo.shape[1] - 1)
            same = tf.gather(demo, other, batch_dims=1) == demo
            found = tf.where(same, other, found)
        return found

    window = tf.stack([step(to) for to in range(2 - labeller.num_frames, 2)], 2)
    windows = tf.gather(frames, window, batch_dims=1)
    labels = labeller.label(tf.reshape(windows, [-1, *windows.shape[2:]]))[label]
    labels = tf.reshape(labels, [-1, demo.shape[1], *labels.shape[1:]])
    past = labeller.num_frames - 2
    oldest = tf.gather(prompt[specs.TIMESTEP], window[..., 0], batch_dims=1)
    seen = (rows - window[..., 0] == past) | (oldest == 0)
    known = tf.gather((window[..., -1] > rows) & seen, place, batch_dims=1)
    return dict(prompt) | {
        specs.ACTION: tf.gather(labels, place, batch_dims=1),
        specs.VALID: prompt[specs.VALID] & known,
    }


def _check_future(labeller: Labeller) -> None:
    if labeller.future != 1:
        raise ValueError(
            "Rollouts infer a step from the next one, but the labels need "
            f"{labeller.future} more."
        )


def _followed(window: tf.Tensor, is_first: tf.Tensor) -> tf.Tensor:
    """The frames before the next one; a first one is its own predecessor."""
    frames = window[:, 1:]
    begun = tf.repeat(frames[:, -1:], frames.shape[1], axis=1)
    first = tf.reshape(is_first, [-1] + [1] * (frames.shape.rank - 1))
    return tf.where(first, begun, frames)
