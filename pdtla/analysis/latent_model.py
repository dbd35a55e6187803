"""`LatentModel`: the modules of a trained latent action model, as analyses use them."""

import dataclasses
from collections.abc import Mapping

import keras
import numpy as np
import tensorflow as tf

from pdtla.layers.frame_stack import to_float


@dataclasses.dataclass(frozen=True)
class LatentModel:
    """Infers latents of windows o_{t-k..t+K} and predicts what they explain.

    Attributes:
      idm: from observations `[B, T, ...]` to latents `[B, D]`, or `[B, T-1, D]` where
        it encodes whole windows.
      vq: the quantizer.
      fdm: from observations up to o_t and latents to what follows.
    """

    idm: keras.layers.Layer
    vq: keras.layers.Layer
    fdm: keras.layers.Layer

    @classmethod
    def of(cls, modules: Mapping[str, keras.layers.Layer]) -> "LatentModel":
        """The model of a stage's modules."""
        return cls(*(modules[name] for name in ("idm", "vq", "fdm")))

    @property
    def future(self) -> int:
        """K, how many observations of a window follow o_t."""
        return getattr(self.idm, "future", 1)

    @property
    def has_codes(self) -> bool:
        """Whether latents are quantized."""
        return bool(self.vq.num_codes_per_latent)

    def last(self, latent: tf.Tensor) -> tf.Tensor:
        """The latent `[B, D]` of the transition that a window is about."""
        return latent[:, -1] if getattr(self.idm, "over_windows", False) else latent

    def quantize(self, latent: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Quantized latents of the same shape, and codes `[B, M]` of the last one."""
        code = self.vq(tf.reshape(latent, (-1, self.vq.input_dim)))
        quantized = tf.reshape(code["quantized"], tf.shape(latent))
        if not self.has_codes:
            return quantized, tf.zeros([0, 0], tf.int32)
        codes = tf.reshape(
            code["codes"], (*latent.shape[:-1], self.vq.num_codes_per_latent)
        )
        return quantized, self.last(codes)

    def without_future(self, observation: tf.Tensor) -> tf.Tensor:
        """Windows in which nothing happens after o_t."""
        now = observation[:, -1 - self.future]
        frozen = tf.repeat(now[:, None], self.future, axis=1)
        return tf.concat([observation[:, : -self.future], frozen], axis=1)

    def error(self, observation: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """Mean squared error of what follows o_t under these latents, `[B]`."""
        predicted = self._predict(observation, latent)
        frames = self._frames(observation)
        several = len(predicted.shape) == len(frames.shape)
        target = frames[:, -self.future :] if several else frames[:, -1]
        return _mean_square(predicted, target)

    def predict(self, observation: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        """The predicted o_{t+1}, normalised, `[B, ...]`."""
        predicted = self._predict(observation, latent)
        several = len(predicted.shape) == len(observation.shape)
        return predicted[:, 0] if several else predicted

    def predict_codes(
        self, observation: tf.Tensor, latent: tf.Tensor, codes: np.ndarray
    ) -> tf.Tensor:
        """The predicted o_{t+1} where the last latent is that of codes `[B, M]`."""
        changed = self.vq.codes_to_latent(codes)
        if getattr(self.idm, "over_windows", False):
            changed = tf.concat([latent[:, :-1], changed[:, None]], axis=1)
        return self.predict(observation, changed)

    def _predict(self, observation: tf.Tensor, latent: tf.Tensor) -> tf.Tensor:
        over_windows = getattr(self.fdm, "over_windows", False)
        if not over_windows:
            latent = self.last(latent)
        predicted = self.fdm(observation[:, : -self.future], latent)
        return predicted[:, -1] if over_windows else predicted

    def copy_error(self, observation: tf.Tensor) -> tf.Tensor:
        """Mean squared error of repeating o_t, `[B]`."""
        following = self._frames(observation)[:, -self.future :]
        now = self._frames(observation)[:, -1 - self.future]
        return _mean_square(tf.repeat(now[:, None], self.future, axis=1), following)

    def _frames(self, observation: tf.Tensor) -> tf.Tensor:
        standardize = getattr(self.idm, "standardize", tf.identity)
        return to_float(standardize(observation), "float32")


def _mean_square(predicted: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
    errors = tf.square(tf.cast(predicted, tf.float32) - target)
    return tf.reduce_mean(tf.reshape(errors, (tf.shape(errors)[0], -1)), axis=-1)
