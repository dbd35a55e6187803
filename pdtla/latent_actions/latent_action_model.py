"""`LatentActionModel`: IDM, quantizer and FDM learnt together from observations."""

from collections.abc import Sequence

import keras
import tensorflow as tf
from keras import ops

from pdtla import specs
from pdtla.latent_actions.forward_dynamics import ForwardDynamics
from pdtla.layers.categorical import accuracy, cross_entropy
from pdtla.layers.frame_stack import to_float
from pdtla.layers.mlp import MLP
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.stage import Batch, Scalars, Stage, num_actions, require_fields


class LatentActionModel(Stage):
    """Explains o_{t-k..t} -> o_{t+1} by a latent action z (LAPO, arXiv 2312.10812).

    The IDM infers z from o_{t-k..t+1}, the quantizer limits what z can carry, the FDM
    predicts o_{t+1} from o_{t-k..t} and z. No action enters.

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
      normalize_obs_pred: squash predicted frames into the range of the inputs.
      reconstruction_weight: weight of the squared error of the prediction. Where little
        moves the error is small (see the metric `copy_frame_error`), and with a weight
        of 1 the quantizer's loss drowns it: about 1 / copy_frame_error balances them.
      action_hidden: hidden widths of the joint decoder head.
      action_loss_weight: weight of the labelled cross entropy.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        decoder: keras.layers.Layer,
        vq: keras.layers.Layer,
        frames: keras.layers.Layer | None = None,
        predict: str = "frame",
        normalize_obs_pred: bool = True,
        reconstruction_weight: float = 1.0,
        action_hidden: Sequence[int] = (128, 128),
        action_loss_weight: float = 1.0,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vq = vq
        self.idm = ObservationNetwork(encoder, vq.input_dim, frames, name="idm")
        self.fdm = ForwardDynamics(decoder, predict, normalize_obs_pred, name="fdm")
        self.reconstruction_weight = reconstruction_weight
        self.action_hidden = tuple(action_hidden)
        self.action_loss_weight = action_loss_weight
        self.action_decoder = None

    def build(self, element_spec: specs.ElementSpec) -> None:
        require_fields(element_spec, specs.OBSERVATION)
        shape = element_spec[specs.OBSERVATION].shape
        if shape[0] < 2:
            raise ValueError(
                "A latent action model needs windows of at least 2 observations "
                f"(DATA_TYPE lapo or n_step), got {shape[0]}."
            )
        self.idm.build((None, *shape))
        self.vq.build((None, self.vq.input_dim))
        self.fdm.build((None, shape[0] - 1, *shape[1:]), (None, self.vq.input_dim))
        if specs.LABELLED in element_spec:
            labelled = element_spec[specs.LABELLED]
            require_fields(labelled, specs.OBSERVATION)
            self.action_decoder = MLP(
                self.action_hidden,
                num_actions(labelled),
                name="action_decoder",
                dtype="float32",
            )
            self.action_decoder.build((None, self.vq.input_dim))

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        observation = batch[specs.OBSERVATION]
        if self.action_decoder is None:
            latent = self.idm(observation, training=training)
            losses, metrics = {}, {}
        else:
            latent, losses, metrics = self._joint(observation, batch, training)
        code = self.vq(latent, training=training)
        predicted = self.fdm(observation[:, :-1], code["quantized"], training=training)
        target = to_float(observation[:, -1], "float32")
        copied = to_float(observation[:, -2], "float32")
        reconstruction = ops.mean(ops.square(predicted - target))
        copy_error = ops.mean(ops.square(copied - target))
        losses |= {
            "reconstruction": self.reconstruction_weight * reconstruction,
            "vq": code["loss"],
        }
        metrics |= {
            # Below 1 the model predicts better than repeating the last frame does.
            "copy_frame_ratio": reconstruction / ops.maximum(copy_error, 1e-12),
            "copy_frame_error": copy_error,
        }
        # A continuous latent has neither.
        metrics |= {
            name: code[name] for name in ("perplexity", "dead_codes") if name in code
        }
        return losses, metrics

    def _joint(self, observation, batch: Batch, training: bool):
        """One IDM pass over unlabelled and labelled windows; loss on the labelled."""
        labelled = batch[specs.LABELLED]
        action = labelled[specs.ACTION][:, -2]
        both = ops.concatenate([observation, labelled[specs.OBSERVATION]], axis=0)
        latents = self.idm(both, training=training)
        size = ops.shape(observation)[0]
        logits = self.action_decoder(latents[size:], training=training)
        loss = self.action_loss_weight * cross_entropy(logits, action)
        metrics = {"labelled_accuracy": accuracy(logits, action)}
        return latents[:size], {"action": loss}, metrics

    def modules(self) -> dict[str, keras.layers.Layer]:
        modules = {"idm": self.idm, "vq": self.vq, "fdm": self.fdm}
        if self.action_decoder is not None:
            modules["decoder"] = self.action_decoder
        return modules

    def images(self, batch: Batch) -> dict[str, tf.Tensor]:
        """o_t, o_{t+1} and the prediction side by side for up to 8 windows."""
        observation = batch[specs.OBSERVATION][:8]
        code = self.vq(self.idm(observation))
        predicted = self.fdm(observation[:, :-1], code["quantized"])
        predicted = tf.clip_by_value((predicted + 0.5) * 255.0, 0.0, 255.0)
        row = [observation[:, -2], observation[:, -1], tf.cast(predicted, tf.uint8)]
        return {"current_next_predicted": tf.concat(row, axis=2)}
