"""`CodeUsage`: how much each code of a quantizer is used, over all replicas."""

import keras
from keras import ops

from pdtla import replica
from pdtla.layers import quantization

# A code that is never chosen is below a share of 0.01 after some forty batches.
_DECAY = 0.9


@keras.saving.register_keras_serializable(package="pdtla")
class CodeUsage(keras.layers.Layer):
    """Follows the share of the assignments that each code receives.

    Args:
      num_codes: codes K in a codebook.
      num_codebooks: codebooks G, counted apart.
      threshold: share of the assignments, relative to an even share, below which a
        code is dead.

    Call arguments:
      indices: int `[G, N]`, the codes of a batch.
      training: whether to count this batch.

    Returns:
      The perplexity of the batch `[G]` (of the global batch in training) and the usage
      `[G, K]`, a moving average that is 1 for an even share.
    """

    def __init__(
        self,
        num_codes: int,
        num_codebooks: int = 1,
        threshold: float = 0.01,
        **kwargs,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.num_codes = num_codes
        self.num_codebooks = num_codebooks
        self.threshold = threshold

    def build(self, input_shape: tuple[int | None, ...] | None = None) -> None:
        del input_shape
        self.usage = self.add_weight(
            shape=(self.num_codebooks, self.num_codes),
            dtype="float32",
            initializer="ones",
            trainable=False,
            autocast=False,
            aggregation="only_first_replica",
            name="usage",
        )
        self.built = True

    def call(self, indices, training: bool = False):
        one_hot = ops.one_hot(indices, self.num_codes, dtype="float32")
        counts = ops.sum(one_hot, axis=1)  # [G, K]
        usage = ops.convert_to_tensor(self.usage)
        if training:
            counts = replica.all_sum(counts)
            share = counts * self.num_codes / ops.sum(counts, axis=-1, keepdims=True)
            usage = _DECAY * usage + (1.0 - _DECAY) * share
            self.usage.assign(usage)
        return quantization.perplexity(counts), usage

    def dead(self, usage):
        """Which codes of a usage `[G, K]` are dead, bool."""
        return usage < self.threshold

    def revive(self, usage, dead) -> None:
        """Counts dead codes as evenly used again, after they were moved."""
        self.usage.assign(ops.where(dead, 1.0, usage))

    def get_config(self) -> dict:
        return super().get_config() | {
            "num_codes": self.num_codes,
            "num_codebooks": self.num_codebooks,
            "threshold": self.threshold,
        }
