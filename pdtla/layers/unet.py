"""`UNet`, the image-to-image network that a latent action conditions."""

import math

import keras
import numpy as np
from keras import ops

from pdtla.layers.residual_block import ResidualBlock
from pdtla.layers.up_convolution import UpConvolution

_NORMALIZATIONS = (None, "batch", "group")
# Taps of a 3-tap kernel that meet the image in its first, an inner and its last row.
_TAPS = np.array([[0, 1, 1], [1, 1, 1], [1, 1, 0]], "float32")


@keras.saving.register_keras_serializable(package="pdtla")
class UNet(keras.layers.Layer):
    """Predicts an image from images and a latent given at the input and bottleneck.

    The network of LAPO's world model. Down: convolution, normalisation, residual block,
    2x2 max pool, ReLU, with `base * 2**i` channels, until 2x2 is left, then a 2x2 valid
    convolution to 1x1. Up: 2x2 transposed convolution of stride 2, normalisation,
    residual block, ReLU; each level also reads the down level of its size, the first
    the latent. A head at full size reads the input frames again.

    At the input the latent is a map that is constant over space, which LAPO tiles and
    concatenates. Its share of the first convolution takes only nine values (corners,
    edges and interior differ by the taps that meet the zero padding), so it is computed
    as one dense layer and spread: the same function, without D channels at full size.

    Args:
      base: channels of the first level. LAPO uses 24.
      out_channels: channels of the predicted image.
      normalization: None, "batch" (statistics over all replicas) or "group".

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
        **kwargs,
    ) -> None:
        super().__init__(**kwargs)
        if normalization not in _NORMALIZATIONS:
            raise ValueError(
                f"UNet's normalization is one of {_NORMALIZATIONS}, "
                f"got {normalization!r}."
            )
        self.base = base
        self.out_channels = out_channels
        self.normalization = normalization

    def build(
        self, frames_shape: tuple[int | None, ...], latent_shape: tuple[int | None, ...]
    ) -> None:
        batch, height, width, channels = frames_shape
        if height != width or height < 8 or height & (height - 1):
            raise ValueError(
                "UNet takes square images whose side is a power of two, at least 8, "
                f"got shape {tuple(frames_shape)}."
            )
        latent_dim = latent_shape[-1]
        widths = [self.base * 2**level for level in range(height.bit_length() - 2)]
        self._build_down(tuple(frames_shape), latent_dim, widths)
        up, side, inputs = [], 1, 2 * widths[-1] + latent_dim
        for level, filters in enumerate((*reversed(widths), self.base)):
            name = f"up_{level}"
            convolution = UpConvolution(filters, dtype=self.dtype_policy, name=name)
            convolution.build((batch, side, side, inputs))
            side, inputs = 2 * side, 2 * filters
            tail = self._tail((batch, side, side, filters), name)
            up.append((convolution, *tail))
        self.up = tuple(up)

        shape = (batch, height, width, self.base)
        self.head = self._convolution(self.base, 3, "head")
        self.head.build(shape)
        self.head_frames = self._convolution(self.base, 3, "head_frames", False)
        self.head_frames.build(frames_shape)
        self.head_residual = self._residual(shape, "head_residual")
        # Near 0, so that a predicted difference begins as "nothing changes".
        self.output_convolution = self._convolution(
            self.out_channels, 1, "output", gain=1e-4
        )
        self.output_convolution.build(shape)
        self.built = True

    def _build_down(
        self, shape: tuple[int | None, ...], latent_dim: int, widths: list[int]
    ) -> None:
        self.input_latent = self.add_weight(
            shape=(3, 3, latent_dim, self.base),
            initializer="glorot_uniform",
            name="input_latent",
        )
        self.pool = keras.layers.MaxPooling2D(2, 2, dtype=self.dtype_policy)
        down = []
        for level, filters in enumerate(widths):
            convolution = self._convolution(filters, 3, f"down_{level}")
            convolution.build(shape)
            shape = (*shape[:-1], filters)
            down.append((convolution, *self._tail(shape, f"down_{level}")))
            shape = (shape[0], shape[1] // 2, shape[2] // 2, filters)
        self.down = tuple(down)
        self.bottleneck = self._convolution(2 * widths[-1], 2, "bottleneck")
        self.bottleneck.build(shape)

    def _convolution(
        self,
        filters: int,
        size: int,
        name: str,
        use_bias: bool = True,
        gain: float = 2.0,
    ) -> keras.layers.Conv2D:
        return keras.layers.Conv2D(
            filters,
            size,
            padding="valid" if size == 2 else "same",
            use_bias=use_bias,
            kernel_initializer=keras.initializers.VarianceScaling(gain),
            dtype=self.dtype_policy,
            name=name,
        )

    def _residual(self, shape: tuple[int | None, ...], name: str) -> ResidualBlock:
        block = ResidualBlock(
            max(1, shape[-1] // 2),
            initial_scale=0.1,
            dtype=self.dtype_policy,
            name=name,
        )
        block.build(shape)
        return block

    def _tail(self, shape: tuple[int | None, ...], name: str):
        """Normalisation and residual block of a level, built."""
        kwargs = {"dtype": self.dtype_policy, "name": f"{name}_normalization"}
        if self.normalization == "batch":
            # Statistics of one replica alone would drift apart from the others'; only
            # TensorFlow has replicas.
            norm = keras.layers.BatchNormalization(
                momentum=0.9,
                synchronized=keras.backend.backend() == "tensorflow",
                **kwargs,
            )
        elif self.normalization == "group":
            norm = keras.layers.GroupNormalization(math.gcd(8, shape[-1]), **kwargs)
        else:
            norm = keras.layers.Identity(**kwargs)
        norm.build(shape)
        return norm, self._residual(shape, f"{name}_residual")

    def call(self, frames, latent, training: bool = False):
        hidden, skips = frames, []
        for level, (convolution, norm, residual) in enumerate(self.down):
            hidden = convolution(hidden)
            if level == 0:
                hidden = hidden + self._latent_map(latent, frames.shape[1])
            hidden = residual(norm(hidden, training=training))
            # The maximum commutes with the ReLU, which is cheaper on a quarter.
            hidden = ops.relu(self.pool(hidden))
            skips.append(hidden)
        hidden = ops.relu(self._bottleneck(hidden))
        skip = latent[:, None, None]
        for level, (convolution, norm, residual) in enumerate(self.up):
            if level > 0:
                skip = skips.pop()
            hidden = convolution(ops.concatenate([hidden, skip], axis=-1))
            hidden = ops.relu(residual(norm(hidden, training=training)))
        # The convolution of a concatenation, without the copy.
        hidden = self.head(hidden) + self.head_frames(frames)
        return self.output_convolution(ops.relu(self.head_residual(hidden)))

    def _bottleneck(self, hidden):
        """The 2x2 valid convolution of a 2x2 map, as the one product that it is."""
        kernel = ops.reshape(self.bottleneck.kernel, (-1, self.bottleneck.filters))
        hidden = ops.reshape(hidden, (-1, kernel.shape[0]))
        return (ops.matmul(hidden, kernel) + self.bottleneck.bias)[:, None, None]

    def _latent_map(self, latent, side: int):
        """What the first convolution adds for the latent, `[B, side, side, base]`."""
        taps = ops.cast(_TAPS, self.compute_dtype)
        kernel = ops.einsum("ay,bx,yxdf->dabf", taps, taps, self.input_latent)
        values = ops.matmul(latent, ops.reshape(kernel, (kernel.shape[0], -1)))
        values = ops.reshape(values, (-1, 3, 3, self.base))
        return _stretch(_stretch(values, 2, side), 1, side)

    def compute_output_shape(self, frames_shape, latent_shape):
        del latent_shape
        return (*frames_shape[:-1], self.out_channels)

    def get_config(self) -> dict:
        config = super().get_config()
        config.update(
            base=self.base,
            out_channels=self.out_channels,
            normalization=self.normalization,
        )
        return config


def _stretch(values, axis: int, size: int):
    """Repeats the middle one of three entries along an axis to make it `size` long."""
    first, middle, last = ops.split(values, 3, axis=axis)
    shape = list(ops.shape(middle))
    shape[axis] = size - 2
    return ops.concatenate([first, ops.broadcast_to(middle, shape), last], axis=axis)
