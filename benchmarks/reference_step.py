"""The U-Net as its papers write it: the reference that the fast form is held against.

The same variables and the same function as `pdtla.layers.unet.UNet`, with the latent
tiled over the image and concatenated, transposed convolutions, the ReLU before the
pooling and a concatenation in the head.
"""

import keras
from keras import ops

from pdtla.layers.unet import UNet


@keras.saving.register_keras_serializable(package="pdtla_benchmarks")
class PlainUNet(UNet):
    """`UNet` written plainly; see there for arguments and shapes."""

    def call(self, frames, latent, training: bool = False):
        skip = latent[:, None, None]
        hidden = ops.concatenate([frames, self._tiled(skip, frames)], axis=-1)
        skips = []
        for level, (convolution, norm, residual) in enumerate(self.down):
            kernel = convolution.kernel
            if level == 0:
                kernel = ops.concatenate([kernel, self.input_latent], axis=2)
            hidden = ops.conv(hidden, kernel, padding="same") + convolution.bias
            hidden = residual(norm(hidden, training=training))
            hidden = self.pool(ops.relu(hidden))
            skips.append(hidden)
        hidden = ops.relu(self.bottleneck(hidden))
        for level, (convolution, norm, residual) in enumerate(self.up):
            if level > 0:
                skip = skips.pop()
            hidden = _transposed(ops.concatenate([hidden, skip], axis=-1), convolution)
            hidden = ops.relu(residual(norm(hidden, training=training)))
        hidden = ops.concatenate([hidden, frames], axis=-1)
        kernels = [self.head.kernel, self.head_frames.kernel]
        hidden = ops.conv(hidden, ops.concatenate(kernels, axis=2), padding="same")
        hidden = ops.relu(self.head_residual(hidden + self.head.bias))
        return self.output_convolution(hidden)

    def _tiled(self, latent, frames):
        batch, height, width, _ = ops.shape(frames)
        return ops.broadcast_to(latent, (batch, height, width, latent.shape[-1]))


def _transposed(inputs, up_convolution):
    """The transposed convolution that an `UpConvolution` stands for."""
    filters = up_convolution.filters
    kernel = ops.reshape(up_convolution.kernel, (-1, 2, 2, filters))
    kernel = ops.transpose(kernel, (1, 2, 3, 0))
    outputs = ops.conv_transpose(inputs, kernel, strides=2, padding="valid")
    return outputs + up_convolution.bias
