"""`ForwardDynamics`: predicts the next observation from a latent action."""

import keras
from keras import ops

from pdtla.layers.frame_stack import FrameStack, to_float


@keras.saving.register_keras_serializable(package="pdtla")
class ForwardDynamics(keras.layers.Layer):
    """The forward dynamics model (FDM) of a latent action model.

    Args:
      decoder: layer called with (stacked frames `[B, H, W, (T-1)*C]`, latent `[B, D]`)
        that returns `[B, H, W, C]`.
      predict: "frame" predicts o_{t+1} itself; "difference" predicts o_{t+1} - o_t, so
        that a static background costs the decoder nothing and only change is left to
        explain.
      normalize_obs_pred: squash a predicted frame with tanh(x) / 2, the range of
        normalised images (LAPO, arXiv 2312.10812). Needs predict="frame".

    Call arguments:
      context: uint8 `[B, T-1, H, W, C]`, the frames o_{t-k} .. o_t.
      latent: float `[B, D]`.

    Returns:
      float32 `[B, H, W, C]`, the normalised next frame, in [-0.5, 0.5] where the model
      is right.
    """

    def __init__(
        self,
        decoder: keras.layers.Layer,
        predict: str = "frame",
        normalize_obs_pred: bool = True,
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
        self.frames = FrameStack()

    def build(self, context_shape, latent_shape) -> None:
        self.frames.build(context_shape)
        stacked = self.frames.compute_output_shape(context_shape)
        self.decoder.build(stacked, latent_shape)

    def call(self, context, latent, training: bool = False):
        output = self.decoder(self.frames(context), latent, training=training)
        output = ops.cast(output, "float32")
        if self.predict == "difference":
            return to_float(context[:, -1], "float32") + output
        if self.normalize_obs_pred:
            return ops.tanh(output) / 2.0
        return output

    def get_config(self) -> dict:
        return super().get_config() | {
            "decoder": keras.saving.serialize_keras_object(self.decoder),
            "predict": self.predict,
            "normalize_obs_pred": self.normalize_obs_pred,
        }

    @classmethod
    def from_config(cls, config: dict) -> "ForwardDynamics":
        decoder = keras.saving.deserialize_keras_object(config["decoder"])
        return cls(**(config | {"decoder": decoder}))
