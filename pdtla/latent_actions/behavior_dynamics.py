"""`BehaviorDynamics`: predicts the next K observations, step by step."""

import keras
from keras import ops

from pdtla.latent_actions.forward_dynamics import ForwardDynamics


@keras.saving.register_keras_serializable(package="pdtla")
class BehaviorDynamics(keras.layers.Layer):
    """Unrolls one latent into K predictions.

    An LSTM reads the latent K times; its s-th output, beside the latent, tells the
    forward model which step of the behaviour to predict. Every prediction starts from
    the true context, so that errors do not add up.

    Args:
      decoder: frame decoder of the forward model, see `ForwardDynamics`.
      steps: K.
      rnn_width: width of the LSTM.
      predict: "frame", or "difference" to o_t.
      normalize_obs_pred: see `ForwardDynamics`.
      standardize: what states go through first.

    Call arguments:
      context: uint8 `[B, T, H, W, C]` or float `[B, T, D]`, o_{t-k} .. o_t.
      latent: float `[B, Z]`.

    Returns:
      float32 `[B, K, ...]`, the normalised o_{t+1} .. o_{t+K}.
    """

    def __init__(
        self,
        decoder: keras.layers.Layer,
        steps: int,
        rnn_width: int = 64,
        predict: str = "difference",
        normalize_obs_pred: bool = True,
        standardize: keras.layers.Layer | None = None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if steps < 1:
            raise ValueError(f"There is at least 1 step to predict, got {steps}.")
        self.steps = steps
        self.rnn_width = rnn_width
        self.autocast = False
        self.fdm = ForwardDynamics(
            decoder, predict, normalize_obs_pred, standardize, name="fdm"
        )
        # In float32, as everything between the encoder and the decoder.
        self.rnn = keras.layers.LSTM(
            rnn_width, return_sequences=True, dtype="float32", name="rnn"
        )

    def build(self, context_shape, latent_shape) -> None:
        width = latent_shape[-1]
        self.rnn.build((None, self.steps, width))
        self.fdm.build(context_shape, (None, width + self.rnn_width))
        self.built = True

    def call(self, context, latent, training: bool = False):
        latents = ops.repeat(latent[:, None], self.steps, axis=1)
        plan = ops.concatenate([latents, self.rnn(latents, training=training)], axis=-1)
        predicted = self.fdm(
            ops.repeat(context, self.steps, axis=0),
            ops.reshape(plan, (-1, plan.shape[-1])),
            training=training,
        )
        return ops.reshape(predicted, (-1, self.steps, *predicted.shape[1:]))

    def get_config(self) -> dict:
        return super().get_config() | {
            "decoder": keras.saving.serialize_keras_object(self.fdm.decoder),
            "steps": self.steps,
            "rnn_width": self.rnn_width,
            "predict": self.fdm.predict,
            "normalize_obs_pred": self.fdm.normalize_obs_pred,
            "standardize": keras.saving.serialize_keras_object(self.fdm.standardize),
        }

    @classmethod
    def from_config(cls, config: dict) -> "BehaviorDynamics":
        config = dict(config)
        for name in ("decoder", "standardize"):
            config[name] = keras.saving.deserialize_keras_object(config[name])
        return cls(**config)
