"""`VectorQuantizer`: several shared codebooks kept by moving averages."""

import keras
import numpy as np
from keras import ops

from pdtla import replica
from pdtla.layers import quantization

# Usage remembers some ten batches: a fresh encoder leaves its codes behind in tens of
# updates, and a code that is rare but needed is still met within so many.
_USAGE_DECAY = 0.9
_SPLIT_SCALE = 0.05


@keras.saving.register_keras_serializable(package="pdtla")
class VectorQuantizer(keras.layers.Layer):
    """Replaces each chunk of a vector by the nearest code of its codebook.

    The input is cut into `num_codebooks * num_latents` chunks of `code_dim`; codebook
    `g` serves the chunks `g * num_latents` to `(g + 1) * num_latents - 1`. Codes follow
    the moving average of the chunks assigned to them, so only the commitment loss has a
    gradient; the output passes its gradient straight through to the input.

    Three things keep all codes in use. The first batch places the codebook, so no code
    starts far from the data. The average forgets quickly at first (decay
    `(1 + t) / (10 + t)` up to `decay`), since the encoder moves quickly at first. A
    code whose share of the assignments falls below `restart_threshold / num_codes` is
    moved beside one of the busiest codes, whose chunks the two then share. All of it
    follows from sums over replicas and from constants drawn from `seed`: replicas
    agree, and a restored run continues as if never stopped.

    Everything is float32 under every dtype policy.

    Args:
      num_codes: codes K in a codebook.
      num_codebooks: codebooks.
      num_latents: chunks that share a codebook.
      code_dim: width of a code.
      decay: decay of the moving averages, once warmed up.
      commitment: weight of the commitment loss.
      epsilon: a code whose average count is lower stays where it is.
      restart_threshold: share of the assignments, relative to an even share, below
        which a code is restarted. 0 never restarts.
      seed: seed of the first codebook and of the directions of restarts.

    Call arguments:
      inputs: float `[B, num_codebooks * num_latents * code_dim]`.
      training: whether to update the codebooks with this batch.

    Returns:
      A dict of `quantized`, float32 `[B, D]`; `codes`, int32 `[B, M]`; `loss`, the
      weighted commitment loss; `perplexity`, mean over codebooks of the exponentiated
      entropy of the codes in the batch, in 1..K; `codebook_perplexity`, the same
      `[num_codebooks]`; `dead_codes`, how many codes are below the restart threshold.

    Reference: van den Oord et al. 2017 (arXiv 1711.00937), appendix A.1; codebooks
    shared by several latents as in Schmidt & Jiang 2024, LAPO (arXiv 2312.10812).
    """

    def __init__(
        self,
        num_codes: int = 64,
        num_codebooks: int = 2,
        num_latents: int = 4,
        code_dim: int = 16,
        decay: float = 0.999,
        commitment: float = 0.05,
        epsilon: float = 1e-5,
        restart_threshold: float = 0.01,
        seed: int = 0,
        **kwargs,
    ) -> None:
        # Without autocast the inputs are not rounded before they come here.
        super().__init__(autocast=False, **kwargs)
        if min(num_codes, num_codebooks, num_latents, code_dim) < 1:
            raise ValueError(
                "num_codes, num_codebooks, num_latents, code_dim are at least 1, got "
                f"{(num_codes, num_codebooks, num_latents, code_dim)}."
            )
        if not 0.0 <= decay < 1.0:
            raise ValueError(f"decay lies in [0, 1), got {decay}.")
        self.num_codes = num_codes
        self.num_codebooks = num_codebooks
        self.num_latents = num_latents
        self.code_dim = code_dim
        self.decay = decay
        self.commitment = commitment
        self.epsilon = epsilon
        self.restart_threshold = restart_threshold
        self.seed = seed
        self.num_codes_per_latent = num_codebooks * num_latents
        self.input_dim = self.num_codes_per_latent * code_dim
        self.output_dim = self.input_dim
        # Twice as many rows as codes: restarts take a moving window of them.
        self._directions = (
            np.random.default_rng(seed)
            .standard_normal((num_codebooks, 2 * num_codes, code_dim))
            .astype("float32")
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != self.input_dim:
            raise ValueError(
                f"The quantizer takes num_codebooks * num_latents * code_dim = "
                f"{self.input_dim} features, got inputs of shape {tuple(input_shape)}."
            )
        books, codes, dim = self.num_codebooks, self.num_codes, self.code_dim
        self.codebook = self._statistic("codebook", (books, codes, dim))
        self.codebook.assign(self._directions[:, :codes] * 0.1)
        self.average_sum = self._statistic("average_sum", (books, codes, dim))
        self.average_count = self._statistic("average_count", (books, codes))
        self.usage = self._statistic("usage", (books, codes))
        self.updates = self._statistic("updates", (), "int64")
        self.built = True

    def _statistic(self, name: str, shape: tuple[int, ...], dtype: str = "float32"):
        return self.add_weight(
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            trainable=False,
            autocast=False,
            # All replicas assign the same value, computed from sums over replicas.
            aggregation="only_first_replica",
            name=name,
        )

    def call(self, inputs, training: bool = False):
        inputs = ops.cast(inputs, "float32")
        chunks = self._split(inputs)
        codebook = ops.convert_to_tensor(self.codebook)
        moments = None
        if training:
            moments = replica.all_sum(_moments(ops.stop_gradient(chunks)))
            codebook = ops.where(self.updates == 0, self._placed(moments), codebook)
        indices = quantization.nearest(chunks, codebook)  # [G, N]
        one_hot = ops.one_hot(indices, self.num_codes, dtype="float32")  # [G, N, K]
        quantized = self._join(ops.matmul(one_hot, codebook))
        counts = ops.sum(one_hot, axis=1)  # [G, K]
        if training:
            sums = ops.matmul(
                ops.transpose(one_hot, (0, 2, 1)), ops.stop_gradient(chunks)
            )
            counts, sums = replica.all_sum([counts, sums])
            usage = self._update(codebook, counts, sums, moments)
        else:
            usage = ops.convert_to_tensor(self.usage)
        perplexity = quantization.perplexity(counts)
        loss = ops.mean(ops.square(inputs - ops.stop_gradient(quantized)))
        dead = ops.cast(usage < self.restart_threshold, "float32")
        return {
            "quantized": quantization.straight_through(inputs, quantized),
            "codes": self._join(ops.cast(indices[..., None], "int32")),
            "loss": self.commitment * loss,
            "perplexity": ops.mean(perplexity),
            "codebook_perplexity": perplexity,
            "dead_codes": ops.sum(dead),
        }

    def codes_to_latent(self, codes):
        """Looks codes up: int `[..., M]` to float32 `[..., D]`."""
        codes = ops.cast(codes, "int32")
        offsets = np.repeat(np.arange(self.num_codebooks), self.num_latents)
        table = ops.reshape(self.codebook, (-1, self.code_dim))
        vectors = ops.take(
            table, codes + (offsets * self.num_codes).astype("int32"), axis=0
        )
        return ops.reshape(vectors, (*ops.shape(codes)[:-1], self.output_dim))

    def _split(self, inputs):
        """`[B, D]` to chunks by codebook, `[G, B * num_latents, code_dim]`."""
        shape = (-1, self.num_codebooks, self.num_latents, self.code_dim)
        chunks = ops.transpose(ops.reshape(inputs, shape), (1, 0, 2, 3))
        return ops.reshape(chunks, (self.num_codebooks, -1, self.code_dim))

    def _join(self, chunks):
        """The inverse of `_split`, for chunks of any width."""
        width = chunks.shape[-1]
        shape = (self.num_codebooks, -1, self.num_latents, width)
        chunks = ops.transpose(ops.reshape(chunks, shape), (1, 0, 2, 3))
        return ops.reshape(chunks, (-1, self.num_codes_per_latent * width))

    def _placed(self, moments):
        """The codebook before the first assignment: drawn around the first batch."""
        number, total, squares = moments
        mean = total / number
        deviation = ops.sqrt(ops.maximum(squares / number - ops.square(mean), 0.0))
        drawn = self._directions[:, : self.num_codes] * deviation[:, None]
        return mean[:, None] + drawn

    def _update(self, codebook, counts, sums, moments):
        """Moves the averages and the codebook; returns the usage before restarts."""
        is_first = self.updates == 0
        step = ops.cast(self.updates, "float32")
        decay = ops.minimum(self.decay, (1.0 + step) / (10.0 + step))
        even = ops.sum(counts, axis=-1, keepdims=True) / self.num_codes  # [G, 1]
        # The placed codes weigh as much as one batch spread evenly over them.
        count = ops.where(is_first, ops.ones_like(counts) * even, self.average_count)
        total = ops.where(is_first, codebook * even[..., None], self.average_sum)
        count = decay * count + (1.0 - decay) * counts
        total = decay * total + (1.0 - decay) * sums
        moved = total / ops.maximum(count, self.epsilon)[..., None]
        codebook = ops.where((count > self.epsilon)[..., None], moved, codebook)

        share = counts / even
        usage_decay = ops.where(is_first, 0.0, _USAGE_DECAY)
        usage = usage_decay * self.usage + (1.0 - usage_decay) * share
        dead = usage < self.restart_threshold  # [G, K]
        spread = self._spread(counts, sums, moments)
        split = quantization.beside_busiest(codebook, usage, dead, spread)
        codebook = ops.where(dead[..., None], split, codebook)
        # A restarted code weighs as much as one batch, so that it moves freely.
        light = ops.ones_like(count) * (1.0 - decay) * even
        count = ops.where(dead, light, count)
        total = ops.where(dead[..., None], codebook * light[..., None], total)

        self.codebook.assign(codebook)
        self.average_sum.assign(total)
        self.average_count.assign(count)
        self.usage.assign(ops.where(dead, 1.0, usage))
        self.updates.assign(self.updates + 1)
        return usage

    def _spread(self, counts, sums, moments):
        """Offsets of restarted codes from those they are placed beside."""
        number, _, squares = moments
        explained = ops.sum(
            ops.square(sums) / ops.maximum(counts, 1.0)[..., None], axis=1
        )
        variance = ops.maximum(squares - explained, 0.0) / number  # [G, code_dim]
        start = [0, ops.cast(self.updates % self.num_codes, "int32"), 0]
        directions = ops.slice(
            self._directions, start, (self.num_codebooks, self.num_codes, self.code_dim)
        )
        # Small against the spread of the parent's chunks: the plane half-way then cuts
        # through them, whatever subspace they lie in.
        return _SPLIT_SCALE * ops.sqrt(variance)[:, None] * directions

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(
            num_codes=self.num_codes,
            num_codebooks=self.num_codebooks,
            num_latents=self.num_latents,
            code_dim=self.code_dim,
            decay=self.decay,
            commitment=self.commitment,
            epsilon=self.epsilon,
            restart_threshold=self.restart_threshold,
            seed=self.seed,
        )
        return config


def _moments(chunks):
    """Number of chunks, their sum and sum of squares, each `[G, code_dim]`."""
    number = ops.sum(ops.ones_like(chunks), axis=1)
    return [number, ops.sum(chunks, axis=1), ops.sum(ops.square(chunks), axis=1)]
