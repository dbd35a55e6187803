"""`FiniteScalarQuantizer`: rounds each of a few bounded scalars."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from pdtla.layers.code_usage import CodeUsage
from pdtla.layers.quantization import straight_through

_MARGIN = 1e-3  # the outermost levels are reached before the bound saturates


@keras.saving.register_keras_serializable(package="pdtla")
class FiniteScalarQuantizer(keras.layers.Layer):
    """Bounds scalars and rounds them to a few levels; the grid is the codebook.

    Nothing but the projections is learnt, and there is no loss: every code stays within
    reach. Levels are `-1..1`, or for an even number `-1..1 - 2 / n`, as published. The
    projections are left out where the widths agree.

    Everything is float32 under every dtype policy.

    Args:
      levels: number of levels of each scalar, at least 3.
      input_dim: width D of the latent; None is one scalar for one feature.
      num_latents: codes M of a latent; each has its own scalars.

    Call arguments:
      inputs: float `[B, input_dim]`.
      training: whether to count the codes of this batch as used.

    Returns:
      A dict of `quantized`, float32 `[B, input_dim]`, whose gradient passes the
      rounding unchanged; `codes`, int32 `[B, M]`; `loss`, 0; `perplexity` in
      1..prod(levels); `dead_codes`, how many codes have hardly been used lately.

    Reference: Mentzer et al. 2023 (arXiv 2309.15505), appendix A.1.
    """

    def __init__(
        self,
        levels: Sequence[int] = (8, 6, 5),
        input_dim: int | None = None,
        num_latents: int = 1,
        **kwargs,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.levels = tuple(levels)
        if not self.levels or min(self.levels) < 3:
            raise ValueError(f"Every scalar has at least 3 levels, got {self.levels}.")
        if num_latents < 1:
            raise ValueError(f"num_latents is at least 1, got {num_latents}.")
        self.num_latents = num_latents
        self.num_scalars = num_latents * len(self.levels)
        self.input_dim = input_dim or self.num_scalars
        self.output_dim = self.input_dim
        self.num_codes_per_latent = num_latents
        self.num_codes = math.prod(self.levels)
        self.projection_in = self.projection_out = None
        if self.input_dim != self.num_scalars:
            self.projection_in = keras.layers.Dense(
                self.num_scalars, name="projection_in", dtype="float32"
            )
            self.projection_out = keras.layers.Dense(
                self.input_dim, name="projection_out", dtype="float32"
            )
        self.usage = CodeUsage(self.num_codes, name="usage")
        sizes = np.array(self.levels)
        self._basis = np.cumprod([1, *self.levels[:-1]]).astype("int32")
        self._half = (sizes // 2).astype("float32")
        self._offset = np.where(sizes % 2 == 0, 0.5, 0.0).astype("float32")
        self._extent = ((sizes - 1) * (1 + _MARGIN) / 2).astype("float32")
        self._shift = np.arctanh(self._offset / self._extent).astype("float32")

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != self.input_dim:
            raise ValueError(
                f"The quantizer takes {self.input_dim} features, got inputs of shape "
                f"{tuple(input_shape)}."
            )
        if self.projection_in is not None:
            self.projection_in.build((None, self.input_dim))
            self.projection_out.build((None, self.num_scalars))
        self.usage.build()
        self.built = True

    def call(self, inputs, training: bool = False):
        scalars = ops.cast(inputs, "float32")
        if self.projection_in is not None:
            scalars = self.projection_in(scalars)
        scalars = ops.reshape(scalars, (-1, self.num_latents, len(self.levels)))
        # The shift of even levels puts 0 on a level, as for odd ones.
        bounded = ops.tanh(scalars + self._shift) * self._extent - self._offset
        rounded = straight_through(bounded, ops.round(bounded))
        codes = ops.sum(
            ops.cast(ops.round(rounded + self._half), "int32") * self._basis, axis=-1
        )
        perplexity, usage = self.usage(ops.reshape(codes, (1, -1)), training=training)
        return {
            "quantized": self._project_out(rounded / self._half),
            "codes": codes,
            "loss": ops.zeros((), "float32"),
            "perplexity": ops.mean(perplexity),
            "dead_codes": ops.sum(ops.cast(self.usage.dead(usage), "float32")),
        }

    def codes_to_latent(self, codes):
        """Decodes codes: int `[..., M]` to float32 `[..., input_dim]`."""
        codes = ops.cast(codes, "int32")[..., None]
        sizes = np.array(self.levels, "int32")
        rounded = ops.cast((codes // self._basis) % sizes, "float32") - self._half
        return self._project_out(rounded / self._half)

    def _project_out(self, grid):
        """`[..., M, scalars]` to `[..., input_dim]`."""
        grid = ops.reshape(grid, (*ops.shape(grid)[:-2], self.num_scalars))
        return grid if self.projection_out is None else self.projection_out(grid)

    def get_config(self) -> dict:
        return super().get_config() | {
            "levels": self.levels,
            "input_dim": self.input_dim,
            "num_latents": self.num_latents,
        }
