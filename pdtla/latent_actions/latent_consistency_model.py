"""`LatentConsistencyModel`: latent actions that predict in the space of an encoder."""

from collections.abc import Sequence

import keras
import tensorflow as tf
from absl import logging
from keras import ops

from pdtla import replica, specs
from pdtla.latent_actions.consistency_inverse_network import (
    ConsistencyInverseNetwork,
    frame,
)
from pdtla.layers import replica_noise
from pdtla.layers.action_distributions import make_distribution
from pdtla.layers.by_observation import ByObservation, choose
from pdtla.layers.latent_decoder import LatentDecoder
from pdtla.layers.mlp import MLP
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.layers.standardize import Standardize
from pdtla.stage import Batch, Scalars, Stage, action_spec, require_fields


class LatentConsistencyModel(Stage):
    """LAOM: no pixel is predicted, hence no background (arXiv 2502.00379).

    An encoder maps observations to embeddings. The IDM infers z from the embeddings of
    o_t and of a later observation (the last of an `n_step` window, K_STEP_PREDS
    ahead: the multi-step IDM), the FDM predicts the embedding of o_{t+1} from that of
    o_t and z. The target is the embedding by an exponential moving average of the
    encoder, without gradient. Nothing is quantized. Images are shifted at random, all
    frames of a window alike; states get noise.

    With `batch["labelled"]` a decoder of z is trained along, whose gradient reaches
    everything: the form with supervision.

    Args:
      encoder: from one observation, `[B, H, W, C]` or `[B, D]`, to features `[B, F]`.
      latent_dim: width of z.
      embedding_dim: width of the embeddings.
      hidden: hidden widths of the IDM's and the FDM's heads.
      horizon: K, steps from o_t to the later observation.
      target_rate: share of the encoder that the target takes over at every update.
      shift: largest shift of images by augmentation, in pixels; 0 for none.
      noise: standard deviation of the noise on standardised states.
      action_hidden: hidden widths of the decoder.
      action_head: for continuous actions, see `make_distribution`.
      action_loss_weight: weight of the labelled loss.

    Raises:
      ValueError: `target_rate` is no fraction above 0.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer | ByObservation,
        latent_dim: int = 128,
        embedding_dim: int = 256,
        hidden: Sequence[int] = (256, 256),
        horizon: int = 1,
        target_rate: float = 0.001,
        shift: int = 4,
        noise: float = 0.0,
        action_hidden: Sequence[int] = (128, 128),
        action_head: str = "deterministic",
        action_loss_weight: float = 0.01,
        **kwargs,
    ):
        super().__init__(**kwargs)
        if not 0.0 < target_rate <= 1.0:
            raise ValueError(
                f"target_rate must be above 0 and at most 1, got {target_rate}."
            )
        self.encoder = encoder
        self.latent_dim = latent_dim
        self.embedding_dim = embedding_dim
        self.hidden = tuple(hidden)
        self.horizon = horizon
        self.target_rate = target_rate
        self.shift = shift
        self.noise = noise
        self.action_hidden = tuple(action_hidden)
        self.action_head = action_head
        self.action_loss_weight = action_loss_weight
        self.action_decoder = None
        self.seeds = keras.random.SeedGenerator(0)

    def build(self, element_spec: specs.ElementSpec) -> None:
        require_fields(element_spec, specs.OBSERVATION)
        spec = element_spec[specs.OBSERVATION]
        if spec.shape[0] < 2:
            raise ValueError(
                "A latent action model needs windows of at least 2 observations "
                f"(DATA_TYPE lapo or n_step), got {spec.shape[0]}."
            )
        if spec.shape[0] > self.horizon + 1:
            logging.warning(
                "LAOM reads o_t and o_{t+%d}; what windows of %d hold before that "
                "(CONTEXT_LEN) is of no effect.",
                self.horizon,
                spec.shape[0],
            )
        encoder = choose(self.encoder, spec)
        # Copied while neither is built: a built layer can't be built again.
        copy = type(encoder).from_config(encoder.get_config())
        embedding, self.target = (
            ObservationNetwork(
                network,
                self.embedding_dim,
                standardize=Standardize.of(spec),
                name=name,
            )
            for network, name in ((encoder, "embedding"), (copy, "target"))
        )
        self.idm = ConsistencyInverseNetwork(
            embedding, self.latent_dim, self.hidden, self.horizon, name="idm"
        )
        self.idm.build((None, *spec.shape))
        self.target.build((None, 1, *spec.shape[1:]))
        self.target.trainable = False
        for target, source in self._pairs():
            target.assign(source)
        self.fdm = MLP(self.hidden, self.embedding_dim, name="fdm", dtype="float32")
        self.fdm.build((None, self.embedding_dim + self.latent_dim))
        if specs.LABELLED in element_spec:
            labelled = element_spec[specs.LABELLED]
            self.action_decoder = LatentDecoder(
                make_distribution(action_spec(labelled), self.action_head),
                self.action_hidden,
                name="action_decoder",
            )
            self.action_decoder.build((None, self.latent_dim))

    def _pairs(self):
        """The target's variables beside those of the encoder they follow."""
        return zip(self.target.variables, self.idm.embedding.variables, strict=True)

    def call(self, batch: Batch, training: bool = False) -> tuple[Scalars, Scalars]:
        if training:
            # The weights before this update, as every update sees them but one.
            rate = self.target_rate
            for target, source in self._pairs():
                target.assign(target + rate * (ops.cast(source, target.dtype) - target))
        losses, metrics = {}, {}
        observation = self._augment(batch[specs.OBSERVATION], training)
        now, following = self.idm.positions
        before = frame(observation, now)
        embedding = self.idm.embedding(before, training=training)
        latent = self.idm.infer(embedding, observation, training)
        predicted = self.fdm(ops.concatenate([embedding, latent], axis=-1))
        goal = ops.stop_gradient(self.target(frame(observation, following)))
        error = ops.mean(ops.square(predicted - goal))
        losses["consistency"] = error
        # Near 0 the embeddings have collapsed into one point.
        metrics["embedding_variance"] = ops.mean(ops.var(goal, axis=0))
        if not training:  # costs a pass of the encoder
            copied = ops.mean(ops.square(self.target(before) - goal))
            metrics["copy_frame_ratio"] = error / ops.maximum(copied, 1e-12)
        if self.action_decoder is not None:
            labelled = batch[specs.LABELLED]
            seen = self._augment(labelled[specs.OBSERVATION], training)
            params = self.action_decoder(self.idm(seen, training=training))
            action = labelled[specs.ACTION][:, now]
            distribution = self.action_decoder.distribution
            loss = distribution.loss(params, action)
            losses["action"] = self.action_loss_weight * loss
            found = distribution.metrics(params, action)
            metrics |= {f"labelled_{name}": value for name, value in found.items()}
        return losses, metrics

    def _augment(self, observation, training: bool):
        if not training:
            return observation
        if len(observation.shape) == 5:
            return self._shift_images(observation) if self.shift else observation
        if not self.noise:
            return observation
        noise = replica_noise.standard_normal(ops.shape(observation), self.seeds)
        std = self.idm.embedding.standardize.std or (1.0,)
        return observation + self.noise * noise * ops.array(std, "float32")

    def _shift_images(self, observation):
        """Shifts every window by its own number of pixels, edges repeated."""
        size = self.shift
        _, steps, height, width, channels = observation.shape
        seed = self.seeds.next()
        windows = tf.shape(observation)[0]
        offsets = tf.random.stateless_uniform(
            (windows * replica.num_replicas(), 2), seed, 0, 2 * size + 1, tf.int32
        )
        offsets = replica_noise.own_rows(offsets, windows)
        rows = tf.range(height)[None] + offsets[:, :1] - size
        columns = tf.range(width)[None] + offsets[:, 1:] - size
        rows = tf.clip_by_value(rows, 0, height - 1)
        columns = tf.clip_by_value(columns, 0, width - 1)
        frames = tf.transpose(observation, (0, 2, 3, 1, 4))
        frames = tf.reshape(frames, (-1, height, width, steps * channels))
        frames = tf.gather(frames, rows, axis=1, batch_dims=1)
        frames = tf.gather(frames, columns, axis=2, batch_dims=1)
        frames = tf.reshape(frames, (-1, height, width, steps, channels))
        return tf.transpose(frames, (0, 3, 1, 2, 4))

    def modules(self) -> dict[str, keras.layers.Layer]:
        modules = {"idm": self.idm}
        if self.action_decoder is not None:
            modules["decoder"] = self.action_decoder
        return modules
