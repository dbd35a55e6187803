"""`HierarchicalLatentActionModel`: a skill and, within it, a behaviour."""

import keras
import tensorflow as tf
from keras import ops

from pdtla import specs
from pdtla.latent_actions.behavior_dynamics import BehaviorDynamics
from pdtla.latent_actions.forward_dynamics import ForwardDynamics
from pdtla.latent_actions.hierarchical_inverse_network import (
    HierarchicalInverseNetwork,
)
from pdtla.layers.by_observation import ByObservation, choose
from pdtla.layers.frame_stack import to_float
from pdtla.layers.standardize import Standardize
from pdtla.stage import Batch, Scalars, Stage, require_fields


class HierarchicalLatentActionModel(Stage):
    """Explains o_{t-k..t} -> o_{t+1..t+K} by levels of a residual quantizer.

    The IDM infers one latent from o_{t-k..t+K}. Its first level, the *skill*, has to
    predict where things end, o_{t+K}; the sum of all levels, the *behaviour*, has to
    predict every step on the way, o_{t+1} .. o_{t+K}. No action enters. With K = 1 and
    one level it is a `LatentActionModel` with two forward models.

    Args:
      encoder: the IDM's encoder, see `ObservationNetwork`; a frame encoder.
      skill_decoder: decoder of the skill's forward model, see `ForwardDynamics`.
      behavior_decoder: decoder of the behaviour's, another object.
      vq: a residual quantizer; its `input_dim` is the width of the latent.
      k_step_preds: K.
      frames: how the IDM sees its observations.
      predict: what is predicted, "frame" or "difference" to o_t.
      normalize_obs_pred: squash predicted images into the range of the inputs.
      rnn_width: width of the LSTM that unrolls the behaviour.
      reconstruction_weight: weight of both squared errors.
      skill_weight: further weight of the skill's.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer | ByObservation,
        skill_decoder: keras.layers.Layer | ByObservation,
        behavior_decoder: keras.layers.Layer | ByObservation,
        vq: keras.layers.Layer,
        k_step_preds: int = 5,
        frames: keras.layers.Layer | None = None,
        predict: str = "difference",
        normalize_obs_pred: bool = True,
        rnn_width: int = 64,
        reconstruction_weight: float = 1.0,
        skill_weight: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not hasattr(vq, "codes_to_levels"):
            raise ValueError(
                "A hierarchical model needs a residual quantizer, such as "
                f"gin/vq/residual_vq.gin; got {type(vq).__name__}."
            )
        if k_step_preds < 1:
            raise ValueError(f"k_step_preds must be at least 1, got {k_step_preds}.")
        self.encoder = encoder
        self.skill_decoder = skill_decoder
        self.behavior_decoder = behavior_decoder
        self.vq = vq
        self.k_step_preds = k_step_preds
        self.frames = frames
        self.predict = predict
        self.normalize_obs_pred = normalize_obs_pred
        self.rnn_width = rnn_width
        self.reconstruction_weight = reconstruction_weight
        self.skill_weight = skill_weight

    def build(self, element_spec: specs.ElementSpec) -> None:
        require_fields(element_spec, specs.OBSERVATION)
        spec = element_spec[specs.OBSERVATION]
        past = spec.shape[0] - self.k_step_preds
        if past < 1:
            raise ValueError(
                f"Windows need o_t and the {self.k_step_preds} observations after it "
                f"(DATA_TYPE n_step), got {spec.shape[0]}."
            )
        self.standardize = Standardize.of(spec)
        self.idm = HierarchicalInverseNetwork(
            choose(self.encoder, spec),
            self.vq.input_dim,
            self.frames,
            Standardize.of(spec),
            future=self.k_step_preds,
            name="idm",
        )
        self.skill = ForwardDynamics(
            choose(self.skill_decoder, spec),
            self.predict,
            self.normalize_obs_pred,
            Standardize.of(spec),
            name="skill",
        )
        self.fdm = BehaviorDynamics(
            choose(self.behavior_decoder, spec),
            self.k_step_preds,
            self.rnn_width,
            self.predict,
            self.normalize_obs_pred,
            Standardize.of(spec),
            name="fdm",
        )
        context, latent = (None, past, *spec.shape[1:]), (None, self.vq.output_dim)
        self.idm.build((None, *spec.shape))
        self.vq.build((None, self.vq.input_dim))
        self.skill.build(context, latent)
        self.fdm.build(context, latent)

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        observation = batch[specs.OBSERVATION]
        code = self.vq(self.idm(observation, training=training), training=training)
        skill, behavior = self._predict(observation, code["levels"], training)
        observation = to_float(self.standardize(observation), "float32")
        future = observation[:, -self.k_step_preds :]
        now = observation[:, -self.k_step_preds - 1]
        errors = {
            "skill": ops.mean(ops.square(skill - future[:, -1])),
            "behavior": ops.mean(ops.square(behavior - future)),
        }
        copied = {
            "skill": ops.mean(ops.square(now - future[:, -1])),
            "behavior": ops.mean(ops.square(now[:, None] - future)),
        }
        weight = self.reconstruction_weight
        losses = {
            "skill": weight * self.skill_weight * errors["skill"],
            "behavior": weight * errors["behavior"],
            "vq": code["loss"],
        }
        metrics = {
            # Below 1 a level predicts better than repeating o_t does.
            **{f"{n}_copy_ratio": e / _positive(copied[n]) for n, e in errors.items()},
            **{f"{name}_copy_error": error for name, error in copied.items()},
            "perplexity": code["perplexity"],
            "dead_codes": code["dead_codes"],
        }
        for name in ("perplexity", "dead_codes"):
            for level, value in enumerate(ops.unstack(code[f"level_{name}"]), start=1):
                metrics[f"{name}_level_{level}"] = value
        return losses, metrics

    def _predict(self, observation, levels, training: bool = False):
        """o_{t+K} by the first level, o_{t+1} .. o_{t+K} by the sum of all."""
        context = observation[:, : -self.k_step_preds]
        return (
            self.skill(context, levels[:, 0], training=training),
            self.fdm(context, levels[:, -1], training=training),
        )

    def modules(self) -> dict[str, keras.layers.Layer]:
        return {"idm": self.idm, "vq": self.vq, "fdm": self.fdm, "skill": self.skill}

    def images(self, batch: Batch) -> dict[str, tf.Tensor]:
        """o_t, o_{t+K} and both predictions of it, side by side, of up to 8 windows."""
        observation = batch[specs.OBSERVATION][:8]
        if len(observation.shape) != 5:
            return {}
        levels = self.vq(self.idm(observation))["levels"]
        skill, behavior = self._predict(observation, levels)
        row = [observation[:, -self.k_step_preds - 1], observation[:, -1]]
        for predicted in (skill, behavior[:, -1]):
            pixels = tf.clip_by_value((predicted + 0.5) * 255.0, 0.0, 255.0)
            row.append(tf.cast(pixels, tf.uint8))
        return {"current_future_skill_behavior": tf.concat(row, axis=2)}


def _positive(value):
    return ops.maximum(value, 1e-12)
