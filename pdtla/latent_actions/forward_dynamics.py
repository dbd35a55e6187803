"""`ForwardDynamics`: predicts the next observation from a latent action."""

import keras
from keras import ops

from pdtla.layers.frame_stack import FrameStack, to_float
from pdtla.layers.standardize import Standardize


@keras.saving.register_keras_serializable(package="pdtla")
class ForwardDynamics(keras.layers.Layer):
    """The forward dynamics model (FDM) of a latent action model.

    Args:
      decoder: a frame decoder, called with (stacked observations `[B, H, W, (T-1)*C]`
        or `[B, (T-1)*D]`, latent `[B, Z]`), that predicts the last observation; or a
        window decoder (`over_windows`), called with (observations `[B, T-1, ...]`,
        latents `[B, T-1, Z]`), that predicts the successor of each.
      predict: "frame" predicts o_{t+1} itself; "difference" predicts o_{t+1} - o_t, so
        that a static background costs the decoder nothing and only change is left to
        explain.
      normalize_obs_pred: squash a predicted image with tanh(x) / 2, the range of
        normalised images (LAPO, arXiv 2312.10812). Needs predict="frame"; states are
        not bounded and stay as they are.
      standardize: what states go through first.

    Call arguments:
      context: uint8 `[B, T-1, H, W, C]` or float `[B, T-1, D]`, o_{t-k} .. o_t.
      latent: float `[B, Z]`, or `[B, T-1, Z]` for a window decoder.

    Returns:
      float32, the normalised successor of o_t, `[B, H, W, C]` or `[B, D]`; a window
      decoder's has the shape of the context.
    """

    def __init__(
        self,
        decoder: keras.layers.Layer,
        predict: str = "frame",
        normalize_obs_pred: bool = True,
        standardize: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if predict not in ("frame", "difference"):
            raise ValueError(
                f"predict must be 'frame' or 'difference', got {predict!r}."
            )
        self.decoder = decoder
        self.predict = predict
        self.normalize_obs_pred = normalize_obs_pred
        self.standardize = standardize or Standardize()
        self.over_windows = getattr(decoder, "over_windows", False)
        self.frames = FrameStack()
        self.autocast = False

    def build(self, context_shape, latent_shape) -> None:
        self.standardize.build(context_shape)
        if getattr(self.decoder, "output_dim", 0) is None:
            self.decoder.output_dim = context_shape[-1]
        shape = context_shape
        if not self.over_windows:
            self.frames.build(context_shape)
            shape = self.frames.compute_output_shape(context_shape)
        self.decoder.build(shape, latent_shape)

    def call(self, context, latent, training: bool = False):
        is_image = len(context.shape) == 5
        context = self.standardize(context)
        if self.over_windows:
            last = context
            inputs = to_float(context, self.compute_dtype)
        else:
            last = context[:, -1]
            inputs = self.frames(context)
        output = self.decoder(inputs, latent, training=training)
        output = ops.cast(output, "float32")
        if self.predict == "difference":
            return to_float(last, "float32") + output
        if self.normalize_obs_pred and is_image:
            return ops.tanh(output) / 2.0
        return output

    def get_config(self) -> dict:
        return super().get_config() | {
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "predict": self.predict,
            "normalize_obs_pred": self.normalize_obs_pred,
            "standardize": keras.saving.serialize_keras_object(self.standardize),
        }

    @classmethod
    def from_config(cls, config: dict) -> "ForwardDynamics":
        config = dict(config)
        for name in ("decoder", "standardize"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
