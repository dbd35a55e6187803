"""`LatentActionModel`: latent actions that explain what happens in videos."""

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import ops

from pdtla import specs
from pdtla.latent_actions.forward_dynamics import ForwardDynamics
from pdtla.layers.action_distributions import make_distribution
from pdtla.layers.by_observation import ByObservation, choose
from pdtla.layers.frame_stack import to_float
from pdtla.layers.latent_decoder import LatentDecoder
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.layers.standardize import Standardize
from pdtla.stage import Batch, Scalars, Stage, action_spec, require_fields


class LatentActionModel(Stage):
    """Explains o_{t-k..t} -> o_{t+1} by a latent action z (LAPO, arXiv 2312.10812).

    The IDM infers z from o_{t-k..t+1}, the quantizer limits what z can carry, the FDM
    predicts o_{t+1} from o_{t-k..t} and z. No action enters. A window encoder infers a
    latent for every transition of the window, a window decoder predicts the successor
    of every observation (ViT and space-time transformers; see `ObservationNetwork`).

    Where the dataset also gives a few labelled transitions (`batch["labelled"]`), a
    decoder head on the unquantised z is trained on them together with the rest, and its
    gradient reaches the IDM (the joint form of CLAM, arXiv 2505.04999, and of LAOM,
    arXiv 2502.00379).

    Args:
      encoder: the IDM's encoder, see `ObservationNetwork`.
      decoder: the FDM's decoder, see `ForwardDynamics`.
      vq: the quantizer; its `input_dim` is the width D of the latent.
      frames: how the IDM sees its frames (stacked, or as differences).
      predict: what the FDM predicts, "frame" or "difference".
      normalize_obs_pred: squash predicted images into the range of the inputs.
      reconstruction_weight: weight of the squared error of the prediction. Where little
        moves the error is small (see the metric `copy_frame_error`), and with a weight
        of 1 the quantizer's loss drowns it: about 1 / copy_frame_error balances them.
      action_hidden: hidden widths of the joint decoder head.
      action_activation: name of the activation after each.
      action_head: for continuous actions, see `make_distribution`.
      action_encoder: encoder of o_t for a joint decoder that sees it beside z.
      action_loss_weight: weight of the labelled loss.
      action_loss_every: updates from one use of the labelled loss to the next (CLAM's
        code uses 2, the code before it 50). The weight is not scaled by it.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer | ByObservation,
        decoder: keras.layers.Layer | ByObservation,
        vq: keras.layers.Layer,
        frames: keras.layers.Layer | None = None,
        predict: str = "frame",
        normalize_obs_pred: bool = True,
        reconstruction_weight: float = 1.0,
        action_hidden: Sequence[int] = (128, 128),
        action_activation: str = "gelu",
        action_head: str = "deterministic",
        action_encoder: keras.layers.Layer | None = None,
        action_loss_weight: float = 1.0,
        action_loss_every: int = 1,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if action_loss_every < 1:
            raise ValueError(
                f"action_loss_every must be at least 1, got {action_loss_every}."
            )
        self.encoder = encoder
        self.decoder = decoder
        self.vq = vq
        self.frames = frames
        self.predict = predict
        self.normalize_obs_pred = normalize_obs_pred
        self.reconstruction_weight = reconstruction_weight
        self.action_hidden = tuple(action_hidden)
        self.action_activation = action_activation
        self.action_head = action_head
        self.action_encoder = action_encoder
        self.action_loss_weight = action_loss_weight
        self.action_loss_every = action_loss_every
        self.action_decoder = None

    def build(self, element_spec: specs.ElementSpec) -> None:
        require_fields(element_spec, specs.OBSERVATION)
        spec = element_spec[specs.OBSERVATION]
        shape = spec.shape
        if shape[0] < 2:
            raise ValueError(
                "A latent action model needs windows of at least 2 observations "
                f"(DATA_TYPE lapo or n_step), got {shape[0]}."
            )
        latent_dim = self.vq.input_dim
        self.standardize = Standardize.of(spec)
        encoder, decoder = (choose(x, spec) for x in (self.encoder, self.decoder))
        self.idm = ObservationNetwork(
            encoder, latent_dim, self.frames, Standardize.of(spec), name="idm"
        )
        self.fdm = ForwardDynamics(
            decoder,
            self.predict,
            self.normalize_obs_pred,
            Standardize.of(spec),
            name="fdm",
        )
        if self.fdm.over_windows and not self.idm.over_windows:
            raise ValueError(
                f"{type(decoder).__name__} needs a latent for every transition of the "
                f"window; {type(encoder).__name__} infers the last one only."
            )
        self.idm.build((None, *shape))
        self.vq.build((None, latent_dim))
        latents = (shape[0] - 1, latent_dim) if self.fdm.over_windows else (latent_dim,)
        self.fdm.build((None, shape[0] - 1, *shape[1:]), (None, *latents))
        if specs.LABELLED in element_spec:
            self._build_joint(element_spec[specs.LABELLED], spec)

    def _build_joint(
        self, labelled: specs.ElementSpec, observation: specs.ArraySpec
    ) -> None:
        require_fields(labelled, specs.OBSERVATION)
        if labelled[specs.OBSERVATION].shape != observation.shape:
            raise ValueError(
                f"Labelled windows must have the shape {observation.shape} of the "
                f"others, got {labelled[specs.OBSERVATION].shape}."
            )
        self.action_decoder = LatentDecoder(
            make_distribution(action_spec(labelled), self.action_head),
            self.action_hidden,
            self.action_activation,
            encoder=self.action_encoder,
            standardize=Standardize.of(observation),
            name="action_decoder",
        )
        shapes = [(None, self.vq.input_dim)]
        if self.action_encoder is not None:
            shapes.append((None, 1, *observation.shape[1:]))
        self.action_decoder.build(*shapes)
        if self.action_loss_every > 1:
            self.updates = self.add_weight(
                shape=(),
                dtype="int32",
                initializer="zeros",
                trainable=False,
                aggregation="only_first_replica",
                name="updates",
            )

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        observation = batch[specs.OBSERVATION]
        if self.action_decoder is None:
            latent = self.idm(observation, training=training)
            losses, metrics = {}, {}
        else:
            latent, losses, metrics = self._joint(observation, batch, training)
        code = self._quantize(latent, training)
        error, copy_error = self._errors(observation, code["quantized"], training)
        losses |= {
            "reconstruction": self.reconstruction_weight * error,
            "vq": code["loss"],
        }
        metrics |= {
            # Below 1 the model predicts better than repeating the last frame does.
            "copy_frame_ratio": error / ops.maximum(copy_error, 1e-12),
            "copy_frame_error": copy_error,
        }
        # A continuous latent has no codes.
        metrics |= {
            name: code[name]
            for name in ("perplexity", "dead_codes", "kl")
            if name in code
        }
        return losses, metrics

    def _quantize(self, latent, training: bool) -> dict:
        """Quantizes `[B, D]`, or every transition of `[B, T-1, D]`."""
        code = self.vq(ops.reshape(latent, (-1, self.vq.input_dim)), training=training)
        quantized = ops.reshape(code["quantized"], ops.shape(latent))
        return dict(code) | {"quantized": quantized}

    def _predict(self, observation, latent, training: bool = False):
        """The FDM's successor of o_t, or of every observation but the last."""
        if self.idm.over_windows and not self.fdm.over_windows:
            latent = latent[:, -1]
        return self.fdm(observation[:, :-1], latent, training=training)

    def _errors(self, observation, latent, training: bool):
        """Squared errors of the FDM, and of repeating the frame before each."""
        predicted = self._predict(observation, latent, training)
        observation = to_float(self.standardize(observation), "float32")
        if self.fdm.over_windows:
            target, copied = observation[:, 1:], observation[:, :-1]
        else:
            target, copied = observation[:, -1], observation[:, -2]
        error = ops.mean(ops.square(predicted - target))
        return error, ops.mean(ops.square(copied - target))

    def _joint(self, observation, batch: Batch, training: bool):
        """One IDM pass over unlabelled and labelled windows; loss on the labelled."""
        labelled = batch[specs.LABELLED]
        action = labelled[specs.ACTION][:, -2]
        both = ops.concatenate([observation, labelled[specs.OBSERVATION]], axis=0)
        latents = self.idm(both, training=training)
        size = ops.shape(observation)[0]
        latent = latents[size:]
        if self.idm.over_windows:  # the labels of a window are its last one
            latent = latent[:, -1]
        params = self.action_decoder(
            latent, labelled[specs.OBSERVATION][:, -2:-1], training=training
        )
        distribution = self.action_decoder.distribution
        weight = self.action_loss_weight * self._is_due(training)
        loss = weight * distribution.loss(params, action)
        found = distribution.metrics(params, action)
        metrics = {f"labelled_{name}": value for name, value in found.items()}
        return latents[:size], {"action": loss}, metrics

    def _is_due(self, training: bool):
        """1 in the updates that use the labels, 0 in the others."""
        if not training or self.action_loss_every == 1:
            return 1.0
        due = ops.equal(self.updates % self.action_loss_every, 0)
        self.updates.assign(self.updates + 1)
        return ops.cast(due, "float32")

    def modules(self) -> dict[str, keras.layers.Layer]:
        modules = {"idm": self.idm, "vq": self.vq, "fdm": self.fdm}
        if self.action_decoder is not None:
            modules["decoder"] = self.action_decoder
        return modules

    def images(self, batch: Batch) -> dict[str, tf.Tensor]:
        """o_t, o_{t+1} and the prediction side by side for up to 8 windows."""
        observation = batch[specs.OBSERVATION][:8]
        if len(observation.shape) != 5:
            return {}
        latent = self._quantize(self.idm(observation), False)["quantized"]
        predicted = self._predict(observation, latent)
        if self.fdm.over_windows:
            predicted = predicted[:, -1]
        predicted = tf.clip_by_value((predicted + 0.5) * 255.0, 0.0, 255.0)
        row = [observation[:, -2], observation[:, -1], tf.cast(predicted, tf.uint8)]
        return {"current_next_predicted": tf.concat(row, axis=2)}
