"""`SequenceMemory`, what a sequence policy keeps of the steps before."""

import abc
from typing import Any, NamedTuple

import tensorflow as tf

from pdtla import specs
from pdtla.layers.sequence_network import SequenceNetwork
from pdtla.stage import Batch

Memory = dict[str, Any]


class PromptTokens(NamedTuple):
    """The tokens of demonstrations.

    Attributes:
      values: float `[B, L, W]`.
      segment: int32 `[B, L]`, the demonstration.
      step: int32 `[B, L]`, step within it.
      valid: bool `[B, L]`.
    """

    values: tf.Tensor
    segment: tf.Tensor
    step: tf.Tensor
    valid: tf.Tensor


class SequenceMemory(abc.ABC):
    """Remembers the steps of a batch of episodes, and reads the next prediction.

    In a rollout, step t adds a block of tokens (a_{t-1}, [R_t], s_t) and reads at s_t.
    At the first step of an episode there is no action before; nothing sees that token.

    Args:
      network: of the policy.
    """

    def __init__(self, network: SequenceNetwork):
        self.network = network
        self.transformer = network.transformer
        self.window = network.context_window
        # Which tokens of a block are of the step before.
        self.late = (True,) + (False,) * (network.tokens_per_step - 1)

    @abc.abstractmethod
    def empty(self, batch_size: int) -> Memory:
        """A memory without steps, every leaf `[B, ...]`."""

    @abc.abstractmethod
    def with_prompt(self, memory: Memory, prompt: PromptTokens) -> Memory:
        """The memory with demonstrations in front, instead of those before."""

    @abc.abstractmethod
    def read(
        self, memory: Memory, block: tf.Tensor, age: tf.Tensor
    ) -> tuple[tf.Tensor, Memory]:
        """Adds a step and reads at its last token.

        Args:
          memory: what the last call returned.
          block: tokens of the step, float `[B, k, W]`.
          age: int32 `[B]`, steps since the episode began; no older ones are seen.

        Returns:
          The transformer's output, float `[B, W]`, and the next memory.
        """


def prompt_tokens(network: SequenceNetwork, prompt: Batch) -> PromptTokens:
    """Embeds the demonstrations of a batch's `specs.PROMPT`."""
    timestep, demo = prompt[specs.TIMESTEP], prompt[specs.DEMO]
    values = network.embed(
        prompt[specs.OBSERVATION],
        prompt[specs.ACTION],
        timestep,
        timestep,
        prompt.get(specs.RETURN_TO_GO),
        demo,
    )
    _, steps, size, width = values.shape
    return PromptTokens(
        tf.reshape(values, (-1, steps * size, width)),
        network.of_tokens(demo),
        network.of_tokens(timestep),
        network.seen(prompt[specs.VALID], demo),
    )
