"""`WindowMemory`: the last steps, read anew at every step."""

import numpy as np
import tensorflow as tf

from pdtla.layers.sequence_mask import sequence_mask
from pdtla.layers.sequence_network import SequenceNetwork
from pdtla.policies.sequence_memory import Memory, PromptTokens, SequenceMemory


class WindowMemory(SequenceMemory):
    """Keeps the tokens of the last steps and passes all of them through the network.

    It is how the authors of the Decision Transformer roll out, and what a cache is held
    against: with N = window, the same as a cache up to the window's length; with N the
    window times the number of layers, which is all that an output depends on, the same
    at every step.

    Args:
      network: of the policy.
      history: N, steps kept; by default the window.
    """

    def __init__(self, network: SequenceNetwork, history: int | None = None):
        super().__init__(network)
        self.history = history or self.window
        # How many steps before the newest each token is.
        ago = np.arange(self.history)[::-1, None] + np.array(self.late)
        self.ago = np.ravel(ago).astype("int32")

    def empty(self, batch_size: int) -> Memory:
        width, dtype = self.transformer.width, self.transformer.compute_dtype
        none = tf.zeros([batch_size, 0], tf.int32)
        return {
            "tokens": tf.zeros([batch_size, len(self.ago), width], dtype),
            "prompt": PromptTokens(
                tf.zeros([batch_size, 0, width], dtype), none, none, none > 0
            ),
        }

    def with_prompt(self, memory: Memory, prompt: PromptTokens) -> Memory:
        return memory | {"prompt": prompt}

    def read(
        self, memory: Memory, block: tf.Tensor, age: tf.Tensor
    ) -> tuple[tf.Tensor, Memory]:
        prompt = memory["prompt"]
        tokens = tf.concat([memory["tokens"][:, len(self.late) :], block], 1)
        own = age[:, None] - self.ago
        # A window begins with a state, not with the action before it.
        known = (own >= 0) & (self.ago < self.history)
        step = tf.concat([prompt.step, own], 1)
        visible = sequence_mask(
            tf.concat([prompt.segment, tf.zeros_like(own)], 1),
            step,
            tf.concat([prompt.valid, known], 1),
            self.window,
            self.network.stacked_demos,
        )
        outputs = self.transformer(
            tf.concat([prompt.values, tokens], 1),
            visible,
            self.network.positions(step),
        )
        return outputs[:, -1], {"tokens": tokens, "prompt": prompt}
