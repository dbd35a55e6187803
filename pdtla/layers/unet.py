"""`UNet`, the image-to-image network that a latent action conditions."""

import math

import keras
import numpy as np
from keras import ops

from pdtla.layers.residual_block import ResidualBlock

_NORMALIZATIONS = (None, "batch", "group")
_ACTIVATIONS = (None, "tanh_half")
# Which of a 3-tap kernel's taps meet the image in the first, an inner, the last row.
_TAPS = np.array([[0, 1, 1], [1, 1, 1], [1, 1, 0]], "float32")


@keras.saving.register_keras_serializable(package="pdtla")
class UNet(keras.layers.Layer):
    """Predicts an image from images and a latent given at the input and bottleneck.

    The network of LAPO's world model. Down: convolution, normalisation, residual block,
    2x2 max pool, ReLU, with `base * 2**i` channels, until 2x2 is left, then a 2x2 valid
    convolution to 1x1. Up: 2x2 transposed convolution of stride 2, normalisation,
    residual block, ReLU; each level also reads the down level of its size, the first
    the latent. A head at full size reads the input frames again.

    The latent at the input is a map that is constant over space, which LAPO tiles and
    concatenates. Its share of the first convolution takes only nine values (corners,
    edges and interior differ by the taps that meet the zero padding), so it is computed
    as one dense layer and spread: the same function, without 128 channels of 64x64.
    Likewise a transposed convolution whose stride is its size is a dense layer on
    pixels and a rearrangement.

    Args:
      base: channels of the first level. LAPO uses 24.
      out_channels: channels of the predicted image.
      normalization: None, "batch" (statistics over all replicas) or "group".
      output_activation: None, or "tanh_half" for `tanh(x) / 2`, the range of images.

    Call arguments:
      frames: float `[B, H, W, C]`, H = W = a power of two, at least 8.
      latent: float `[B, D]`.

    Returns:
      float `[B, H, W, out_channels]`.

    Reference: Schmidt & Jiang 2024, LAPO (arXiv 2312.10812); Ronneberger et al. 2015,
    U-Net (arXiv 1505.04597).
    """

    def __init__(
        self,
        base: int = 24,
        out_channels: int = 3,
        normalization: str | None = None,
        output_activation: str | None = None,
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if normalization not in _NORMALIZATIONS:
            raise ValueError(
                f"UNet's normalization is one of {_NORMALIZATIONS}, "
                f"got {normalization!r}."
            )
        if output_activation not in _ACTIVATIONS:
            raise ValueError(
                f"UNet's output_activation is one of {_ACTIVATIONS}, "
                f"got {output_activation!r}."
            )
        self.base = base
        self.out_channels = out_channels
        self.normalization = normalization
        self.output_activation = output_activation

    def build(
        self, frames_shape: tuple[int | None, ...], latent_shape: tuple[int | None, ...]
    ) -> None:
        batch, height, width, channels = frames_shape
        if height != width or height < 8 or height & (height - 1):
            raise ValueError(
                "UNet takes square images whose side is a power of two, at least 8, "
                f"got shape {tuple(frames_shape)}."
            )
        depth = height.bit_length() - 2
        self.latent_input = self._dense_weight(
            (3, 3, latent_shape[-1], self.base), "latent_input"
        )
        widths = [self.base * 2**level for level in range(depth)]
        down, shape = [], tuple(frames_shape)
        for level, filters in enumerate(widths):
            convolution = self._convolution(filters, 3, f"down_{level}")
            convolution.build(shape)
            shape = (batch, shape[1], shape[1], filters)
            down.append((convolution, *self._tail(shape, f"down_{level}")))
            shape = (batch, shape[1] // 2, shape[1] // 2, filters)
        self.down = tuple(down)
        bottleneck = 2 * widths[-1]
        self.bottleneck = self._dense(bottleneck, "bottleneck")
        self.bottleneck.build((batch, 4 * widths[-1]))

        up, inputs, side = [], bottleneck + latent_shape[-1], 1
        for level, filters in enumerate((*reversed(widths), self.base)):
            dense = self._dense(4 * filters, f"up_{level}")
            dense.build((batch, side, side, inputs))
            side, inputs = 2 * side, 2 * filters
            shape = (batch, side, side, filters)
            up.append((dense, *self._tail(shape, f"up_{level}")))
        self.up = tuple(up)

        self.head = self._convolution(self.base, 3, "head")
        self.head.build((batch, height, width, self.base + channels))
        shape = (batch, height, width, self.base)
        self.head_residual = self._residual("head_residual")
        self.head_residual.build(shape)
        self.output_layer = self._dense(self.out_channels, "output")
        self.output_layer.build(shape)
        self.pool = keras.layers.MaxPooling2D(2, 2, dtype=self.dtype_policy)
        self.built = True

    def _convolution(self, filters: int, size: int, name: str):
        return keras.layers.Conv2D(
            filters,
            size,
            padding="same",
            kernel_initializer=keras.initializers.VarianceScaling(2.0),
            dtype=self.dtype_policy,
            name=name,
        )

    def _dense(self, units: int, name: str):
        return keras.layers.Dense(
            units,
            kernel_initializer=keras.initializers.VarianceScaling(2.0),
            dtype=self.dtype_policy,
            name=name,
        )

    def _dense_weight(self, shape: tuple[int, ...], name: str):
        return self.add_weight(shape=shape, initializer="glorot_uniform", name=name)

    def _residual(self, name: str):
        return ResidualBlock(
            max(1, self.base // 2), 0.1, dtype=self.dtype_policy, name=name
        )

    def _tail(self, shape: tuple[int | None, ...], name: str):
        """Normalisation (or None) and residual block of a level, built."""
        filters = shape[-1]
        kwargs = {"dtype": self.dtype_policy, "name": f"{name}_normalization"}
        if self.normalization == "batch":
            # Statistics of one replica alone would drift apart from the others'.
            norm = keras.layers.BatchNormalization(synchronized=True, **kwargs)
        elif self.normalization == "group":
            norm = keras.layers.GroupNormalization(math.gcd(8, filters), **kwargs)
        else:
            norm = keras.layers.Identity(**kwargs)
        residual = ResidualBlock(
            max(1, filters // 2), 0.1, dtype=self.dtype_policy, name=f"{name}_residual"
        )
        norm.build(shape)
        residual.build(shape)
        return norm, residual

    def call(self, frames, latent, training: bool = False):
        hidden, skips = frames, []
        for level, (convolution, norm, residual) in enumerate(self.down):
            hidden = convolution(hidden)
            if level == 0:
                hidden = hidden + self._latent_map(latent, ops.shape(frames)[1])
            hidden = residual(norm(hidden, training=training))
            hidden = ops.relu(self.pool(hidden))
            skips.append(hidden)
        hidden = ops.reshape(hidden, (-1, self.bottleneck.kernel.shape[0]))
        hidden = ops.relu(self.bottleneck(hidden))[:, None, None]
        skip = latent[:, None, None]
        for dense, norm, residual in self.up:
            hidden = _depth_to_space(dense(ops.concatenate([hidden, skip], axis=-1)))
            hidden = ops.relu(residual(norm(hidden, training=training)))
            skip = skips.pop() if skips else frames
        hidden = self.head(ops.concatenate([hidden, skip], axis=-1))
        outputs = self.output_layer(ops.relu(self.head_residual(hidden)))
        return outputs if self.output_activation is None else ops.tanh(outputs) / 2

    def _latent_map(self, latent, side: int):
        """What the first convolution adds for the latent, `[B, side, side, base]`."""
        taps = ops.cast(_TAPS, self.compute_dtype)
        kernel = ops.einsum("ay,bx,yxdf->dabf", taps, taps, self.latent_input)
        dim = kernel.shape[0]
        values = ops.matmul(latent, ops.reshape(kernel, (dim, -1)))
        values = ops.reshape(values, (-1, 3, 3, self.base))
        repeats = np.array([1, side - 2, 1])
        values = ops.repeat(values, repeats, axis=1)
        return ops.repeat(values, repeats, axis=2)

    def compute_output_shape(self, frames_shape, latent_shape):
        del latent_shape
        return (*frames_shape[:-1], self.out_channels)

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(
            base=self.base,
            out_channels=self.out_channels,
            normalization=self.normalization,
            output_activation=self.output_activation,
        )
        return config


def _depth_to_space(inputs):
    """Four groups of channels to 2x2 pixels: `[B, h, w, 4F] -> [B, 2h, 2w, F]`."""
    _, height, width, channels = inputs.shape
    filters = channels // 4
    blocks = ops.reshape(inputs, (-1, height, width, 2, 2, filters))
    pixels = ops.transpose(blocks, (0, 1, 3, 2, 4, 5))
    return ops.reshape(pixels, (-1, 2 * height, 2 * width, filters))
