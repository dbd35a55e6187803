"""`CachedMemory`: keys and values of the last steps, each computed once."""

import numpy as np
import tensorflow as tf
from keras import ops

from pdtla.layers.sequence_mask import cache_mask, sequence_mask
from pdtla.layers.sequence_network import SequenceNetwork
from pdtla.policies.sequence_memory import Memory, PromptTokens, SequenceMemory


class CachedMemory(SequenceMemory):
    """Keeps keys and values in a ring that all environments share.

    An environment's age says which of the ring's blocks are of its episode, so that a
    new episode needs no clearing. Demonstrations lie in front of the ring.

    Without `refresh`, outputs are those of one pass over the whole episode under the
    mask of training: a layer's keys and values were computed when older steps were
    still seen. That suits networks trained on sequences of twice the window or more.

    With `refresh` they are those of a pass over the last steps alone, as for networks
    trained on windows: once the window is full, its newer half is computed anew, in one
    pass, and the older one is gone; W/2 to W steps are seen.

    Args:
      network: of the policy.
      refresh: see there.
    """

    def __init__(self, network: SequenceNetwork, refresh: bool = False):
        super().__init__(network)
        self.refresh = refresh
        # A ring has one block more: the action before still sees the oldest step.
        self.num_blocks = self.window + (0 if refresh else 1)
        self.num_kept = self.window // 2

    def empty(self, batch_size: int) -> Memory:
        slots = self.num_blocks * len(self.late)
        memory = {
            "cache": self.transformer.empty_cache(batch_size, slots),
            "slot": tf.zeros([batch_size], tf.int32),
            "prompt_valid": tf.zeros([batch_size, 0], tf.bool),
        }
        if self.refresh:
            shape = (batch_size, slots, self.transformer.width)
            memory["tokens"] = tf.zeros(shape, self.transformer.compute_dtype)
        return memory

    def with_prompt(self, memory: Memory, prompt: PromptTokens) -> Memory:
        batch, length = tf.shape(prompt.values)[0], prompt.values.shape[1]
        visible = sequence_mask(
            prompt.segment,
            prompt.step,
            prompt.valid,
            self.window,
            self.network.stacked_demos,
        )
        _, pinned = self.transformer.extend(
            prompt.values,
            self.transformer.empty_cache(batch, length),
            0,
            visible,
            self.network.positions(prompt.step),
        )
        before = memory["prompt_valid"].shape[1]
        cache = tuple(
            (
                tf.concat([keys, old_keys[..., before:]], 3),
                tf.concat([values, old_values[:, :, before:]], 2),
            )
            for (keys, values), (old_keys, old_values) in zip(
                pinned, memory["cache"], strict=True
            )
        )
        return memory | {"cache": cache, "prompt_valid": prompt.valid}

    def read(
        self, memory: Memory, block: tf.Tensor, age: tf.Tensor
    ) -> tuple[tf.Tensor, Memory]:
        memory = dict(memory)
        if self.refresh:
            memory = tf.cond(
                memory["slot"][0] == self.num_blocks,
                lambda: self._refreshed(memory, age),
                lambda: memory,
            )
        slot, size = memory["slot"][0], len(self.late)
        visible = cache_mask(
            slot,
            age,
            self.num_blocks,
            self.late,
            self.window,
            slot if self.refresh else None,
        )
        output, memory["cache"] = self.transformer.extend(
            block,
            memory["cache"],
            memory["prompt_valid"].shape[1] + slot * size,
            self._behind_prompt(memory, visible),
            self.network.positions(age[:, None] - tf.constant(self.late, tf.int32)),
        )
        if self.refresh:
            memory["tokens"] = ops.slice_update(
                memory["tokens"], (0, slot * size, 0), block
            )
        following = memory["slot"] + 1
        memory["slot"] = following if self.refresh else following % self.num_blocks
        return output, memory

    def _refreshed(self, memory: Memory, age: tf.Tensor) -> Memory:
        """The newer half of a full window, moved to the front and read anew."""
        size, kept = len(self.late), self.num_kept
        if not kept:
            return memory | {"slot": tf.zeros_like(memory["slot"])}
        tokens = memory["tokens"][:, (self.num_blocks - kept) * size :]
        ago = kept - np.arange(kept)[:, None] + np.array(self.late, "int32")
        ago = np.ravel(ago).astype("int32")  # steps before the one to come
        step = age[:, None] - ago
        # A window begins with a state, not with the action before it.
        valid = (step >= 0) & (ago <= kept)
        visible = sequence_mask(tf.zeros_like(step), step, valid, self.window)
        unseen = (self.num_blocks - kept) * size
        visible = tf.pad(visible, [[0, 0], [0, 0], [0, 0], [0, unseen]])
        _, cache = self.transformer.extend(
            tokens,
            memory["cache"],
            memory["prompt_valid"].shape[1],
            self._behind_prompt(memory, visible),
            self.network.positions(step),
        )
        return memory | {
            "cache": cache,
            "slot": tf.fill(tf.shape(memory["slot"]), kept),
            "tokens": ops.slice_update(memory["tokens"], (0, 0, 0), tokens),
        }

    def _behind_prompt(self, memory: Memory, visible: tf.Tensor) -> tf.Tensor:
        """The mask of all slots from that of the blocks: the prompt is seen by all."""
        prompt = memory["prompt_valid"][:, None, None]
        shape = tf.concat([tf.shape(visible)[:3], [prompt.shape[-1]]], 0)
        return tf.concat([tf.broadcast_to(prompt, shape), visible], -1)
