"""`NoiseSubstitutionQuantizer` (NSVQ): training sees noise of the right length."""

import keras
import numpy as np
from keras import ops

from pdtla import replica
from pdtla.layers import quantization, replica_noise
from pdtla.layers.code_usage import CodeUsage

_SPLIT_SCALE = 0.05
_TINY = 1e-12  # keeps the gradient of a length of zero finite


@keras.saving.register_keras_serializable(package="pdtla")
class NoiseSubstitutionQuantizer(keras.layers.Layer):
    """Vector quantization whose error is replaced by noise in training.

    The latent is cut into `num_latents` chunks that share a codebook. In training the
    error `x - e` of a chunk becomes noise of random direction and the same length,
    `x + |x - e| v / |v|`: it is differentiable in `x` and in the nearest code `e`, so
    the codebook learns from the loss of the model, with neither a loss of its own nor a
    straight-through estimate. Otherwise the nearest code itself is returned. LAPA's LAQ
    (arXiv 2410.11758) uses 8 codes of width 32 for 4 chunks.

    The first batch places the codebook; a code that is hardly used any more is moved
    beside one of the busiest, as in the publication. Everything is float32 under every
    dtype policy and the same on any number of replicas.

    Args:
      num_codes: codes K in the codebook.
      num_latents: chunks M of a latent.
      code_dim: width of a code.
      restart_threshold: share of the assignments, relative to an even share, below
        which a code is moved. 0 never moves one.
      seed: seed of the noise, of the first codebook and of the directions of moves.

    Call arguments:
      inputs: float `[B, num_latents * code_dim]`.
      training: whether to substitute noise and to count the codes.

    Returns:
      A dict of `quantized`, float32 `[B, D]`; `codes`, int32 `[B, M]`; `loss`, 0;
      `perplexity` in 1..K; `dead_codes`, how many codes are below the threshold.

    Reference: Vali and Bäckström 2022, IEEE Access 10, doi 10.1109/ACCESS.2022.3147670.
    """

    gives_noise = True  # in training, not the vectors of its codes

    def __init__(
        self,
        num_codes: int = 8,
        num_latents: int = 4,
        code_dim: int = 32,
        restart_threshold: float = 0.01,
        seed: int = 0,
        **kwargs,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if min(num_codes, num_latents, code_dim) < 1:
            raise ValueError(
                "num_codes, num_latents, code_dim are at least 1, got "
                f"{(num_codes, num_latents, code_dim)}."
            )
        self.num_codes = num_codes
        self.num_codebooks = 1
        self.num_latents = num_latents
        self.code_dim = code_dim
        self.restart_threshold = restart_threshold
        self.seed = seed
        self.num_codes_per_latent = num_latents
        self.input_dim = num_latents * code_dim
        self.output_dim = self.input_dim
        self.usage = CodeUsage(num_codes, threshold=restart_threshold, name="usage")
        # Twice as many rows as codes: moves take a moving window of them.
        self._directions = (
            np.random.default_rng(seed)
            .standard_normal((1, 2 * num_codes, code_dim))
            .astype("float32")
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != self.input_dim:
            raise ValueError(
                f"The quantizer takes num_latents * code_dim = {self.input_dim} "
                f"features, got inputs of shape {tuple(input_shape)}."
            )
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.codebook = self._variable(
            "codebook", (1, self.num_codes, self.code_dim), "float32", trainable=True
        )
        self.codebook.assign(self._directions[:, : self.num_codes])
        self.updates = self._variable("updates", (), "int64", trainable=False)
        self.usage.build()
        self.built = True

    def _variable(self, name: str, shape: tuple[int, ...], dtype: str, trainable: bool):
        return self.add_weight(
            shape=shape,
            dtype=dtype,
            initializer="zeros",
            trainable=trainable,
            autocast=False,
            # All replicas assign the same value, computed from sums over replicas.
            aggregation="only_first_replica",
            name=name,
        )

    def call(self, inputs, training: bool = False):
        inputs = ops.cast(inputs, "float32")
        chunks = ops.reshape(inputs, (1, -1, self.code_dim))
        codebook = ops.convert_to_tensor(self.codebook)
        if training:
            placed = self._placed(ops.stop_gradient(chunks))
            codebook = ops.where(self.updates == 0, placed, codebook)
        indices = quantization.nearest(chunks, ops.stop_gradient(codebook))  # [1, N]
        codes = ops.one_hot(indices, self.num_codes, dtype="float32")
        nearest = ops.matmul(codes, codebook)
        perplexity, usage = self.usage(indices, training=training)
        dead = self.usage.dead(usage)
        if training:
            quantized = chunks + self._substitute(chunks - nearest)
            self._move_dead(codebook, usage, dead, chunks - nearest)
        else:
            quantized = quantization.straight_through(chunks, nearest)
        return {
            "quantized": ops.reshape(quantized, (-1, self.input_dim)),
            "codes": ops.cast(ops.reshape(indices, (-1, self.num_latents)), "int32"),
            "loss": ops.zeros((), "float32"),
            "perplexity": ops.mean(perplexity),
            "dead_codes": ops.sum(ops.cast(dead, "float32")),
        }

    def codes_to_latent(self, codes):
        """Looks codes up: int `[..., M]` to float32 `[..., D]`."""
        vectors = ops.take(self.codebook[0], ops.cast(codes, "int32"), axis=0)
        return ops.reshape(vectors, (*ops.shape(codes)[:-1], self.input_dim))

    def _substitute(self, errors):
        """Noise as long as the errors `[1, N, code_dim]`."""
        noise = replica_noise.standard_normal(ops.shape(errors[0]), self.seed_generator)
        return _length(errors) * noise / _length(noise)

    def _placed(self, chunks):
        """The codebook before the first assignment: drawn around the first batch."""
        sums = [ops.ones_like(chunks), chunks, ops.square(chunks)]
        number, total, squares = replica.all_sum(
            [ops.sum(values, axis=1, keepdims=True) for values in sums]
        )
        mean = total / number
        variance = ops.maximum(squares / number - ops.square(mean), 0.0)
        return mean + ops.sqrt(variance) * self._directions[:, : self.num_codes]

    def _move_dead(self, codebook, usage, dead, errors) -> None:
        """Stores the codebook with dead codes beside the busiest."""
        squares = ops.sum(ops.square(errors), axis=1, keepdims=True)
        number = ops.sum(ops.ones_like(errors), axis=1, keepdims=True)
        squares, number = replica.all_sum([squares, number])
        start = [0, ops.cast(self.updates % self.num_codes, "int32"), 0]
        directions = ops.slice(
            self._directions, start, (1, self.num_codes, self.code_dim)
        )
        spread = _SPLIT_SCALE * ops.sqrt(squares / number) * directions
        moved = quantization.beside_busiest(codebook, usage, dead, spread)
        self.codebook.assign(ops.where(dead[..., None], moved, codebook))
        self.usage.revive(usage, dead)
        self.updates.assign(self.updates + 1)

    def get_config(self) -> dict:
        return super().get_config() | {
            "num_codes": self.num_codes,
            "num_latents": self.num_latents,
            "code_dim": self.code_dim,
            "restart_threshold": self.restart_threshold,
            "seed": self.seed,
        }


def _length(vectors):
    """Euclidean length over the last axis, which is kept."""
    return ops.sqrt(ops.sum(ops.square(vectors), axis=-1, keepdims=True) + _TINY)
