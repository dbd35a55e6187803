"""`ResidualFiniteScalarQuantizer`: finer and finer grids of bounded scalars."""

import math
from collections.abc import Sequence

import keras
import numpy as np
from keras import ops

from pdtla.layers.code_usage import CodeUsage
from pdtla.layers.quantization import straight_through


@keras.saving.register_keras_serializable(package="pdtla")
class ResidualFiniteScalarQuantizer(keras.layers.Layer):
    """Rounds scalars, then what is left on a finer grid, and so on.

    The scalars are softly bounded; level l rounds the residual of the levels before on
    a symmetric grid of `levels` points over `±levels^-l`, l = 0 first, so that each
    level divides the cells of the one before. There is no loss and no codebook.

    Everything is float32 under every dtype policy.

    Args:
      levels: number of grid points of each scalar, at least 2.
      num_quantizers: residual levels L.
      input_dim: width D of the latent; None is one scalar for one feature.

    Call arguments:
      inputs: float `[B, input_dim]`.
      training: whether to count the codes of this batch as used.

    Returns:
      A dict of `quantized`, float32 `[B, input_dim]`; `levels` `[B, L, input_dim]`, the
      sum of the first 1..L levels; `codes`, int32 `[B, L]`; `loss`, 0; `perplexity`,
      the mean of `level_perplexity` `[L]`; `dead_codes`, the sum of `level_dead_codes`
      `[L]`. Gradients pass from each sum straight to the bounded scalars.

    Reference: Mentzer et al. 2023 (arXiv 2309.15505); symmetric grid and scaling of
    Parker et al. 2024 (arXiv 2411.19842), section 3.2; residuals as in algorithm 1 of
    Zeghidour et al. 2021 (arXiv 2107.03312).
    """

    def __init__(
        self,
        levels: Sequence[int] = (8, 6, 5),
        num_quantizers: int = 2,
        input_dim: int | None = None,
        **kwargs,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        self.levels = tuple(levels)
        if not self.levels or min(self.levels) < 2:
            raise ValueError(f"Every scalar has at least 2 levels, got {self.levels}.")
        if num_quantizers < 1:
            raise ValueError(f"num_quantizers is at least 1, got {num_quantizers}.")
        self.num_quantizers = num_quantizers
        self.input_dim = input_dim or len(self.levels)
        self.output_dim = self.input_dim
        self.num_codes_per_latent = num_quantizers
        self.num_codes = math.prod(self.levels)
        self.projection_in = self.projection_out = None
        if self.input_dim != len(self.levels):
            self.projection_in = keras.layers.Dense(
                len(self.levels), name="projection_in", dtype="float32"
            )
            self.projection_out = keras.layers.Dense(
                self.input_dim, name="projection_out", dtype="float32"
            )
        self.usage = CodeUsage(self.num_codes, num_quantizers, name="usage")
        self._basis = np.cumprod([1, *self.levels[:-1]]).astype("int32")
        sizes = np.array(self.levels, "float32")
        self._steps = sizes - 1.0
        self._bound = 1.0 + 1.0 / self._steps
        exponents = -np.arange(num_quantizers, dtype="float32")[:, None]
        self._scales = sizes**exponents  # [L, scalars]

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != self.input_dim:
            raise ValueError(
                f"The quantizer takes {self.input_dim} features, got inputs of shape "
                f"{tuple(input_shape)}."
            )
        if self.projection_in is not None:
            self.projection_in.build((None, self.input_dim))
            self.projection_out.build((None, len(self.levels)))
        self.usage.build()
        self.built = True

    def call(self, inputs, training: bool = False):
        scalars = ops.cast(inputs, "float32")
        if self.projection_in is not None:
            scalars = self.projection_in(scalars)
        scalars = ops.tanh(scalars / self._bound) * self._bound
        total = ops.zeros_like(scalars)
        codes, levels = [], []
        for scale in self._scales:
            points = self._round((scalars - total) / scale)
            total = total + scale * self._grid(points)
            codes.append(ops.sum(ops.cast(points, "int32") * self._basis, axis=-1))
            levels.append(self._project_out(straight_through(scalars, total)))
        codes = ops.stack(codes, axis=1)
        perplexity, usage = self.usage(ops.transpose(codes), training=training)
        dead = ops.sum(ops.cast(self.usage.dead(usage), "float32"), axis=-1)
        return {
            "quantized": levels[-1],
            "levels": ops.stack(levels, axis=1),
            "codes": codes,
            "loss": ops.zeros((), "float32"),
            "perplexity": ops.mean(perplexity),
            "level_perplexity": perplexity,
            "dead_codes": ops.sum(dead),
            "level_dead_codes": dead,
        }

    def codes_to_latent(self, codes):
        """Decodes codes: int `[..., L]` to float32 `[..., input_dim]`."""
        return self.codes_to_levels(codes)[..., -1, :]

    def codes_to_levels(self, codes):
        """Decodes codes into the sums: int `[..., L]` to `[..., L, input_dim]`."""
        codes = ops.cast(codes, "int32")[..., None]
        points = (codes // self._basis) % np.array(self.levels, "int32")
        steps = self._scales * self._grid(ops.cast(points, "float32"))
        return self._project_out(ops.cumsum(steps, axis=-2))

    def _round(self, scalars):
        """Index of the nearest grid point of each scalar, 0..levels - 1."""
        clipped = ops.clip(scalars, -1.0, 1.0)
        return ops.floor(self._steps * (clipped + 1.0) / 2.0 + 0.5)

    def _grid(self, points):
        """Grid points from their indices, -1..1."""
        return points * (2.0 / self._steps) - 1.0

    def _project_out(self, grid):
        return grid if self.projection_out is None else self.projection_out(grid)

    def get_config(self) -> dict:
        return super().get_config() | {
            "levels": self.levels,
            "num_quantizers": self.num_quantizers,
            "input_dim": self.input_dim,
        }
