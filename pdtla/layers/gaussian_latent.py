"""`GaussianLatent`: a continuous latent whose information costs."""

import keras
from keras import ops

from pdtla.layers import replica_noise


@keras.saving.register_keras_serializable(package="pdtla")
class GaussianLatent(keras.layers.Layer):
    """A diagonal Gaussian posterior with a Kullback-Leibler cost to N(0, I).

    The input is the mean; its log-variance is a linear function of it. The forward
    model is trained on samples and otherwise given the mean, which is also what later
    stages imitate and decode.

    Everything is float32 under every dtype policy and the same on any number of
    replicas.

    Args:
      dim: width D of the latent.
      kl_weight: weight of the divergence, summed over features. 1e-2 in the code of
        CLAM (arXiv 2505.04999) and of AdaWorld (arXiv 2503.18938); with hardly any the
        latent is that of an autoencoder.
      seed: seed of the samples.

    Call arguments:
      inputs: float `[B, D]`.
      training: whether to sample.

    Returns:
      A dict of `quantized`, float32 `[B, D]`, a sample in training, else the mean;
      `loss`, the weighted divergence; `kl`, the divergence, nats. There are no codes.

    Reference: Kingma and Welling 2013 (arXiv 1312.6114), appendix B.
    """

    num_codes_per_latent = 0

    def __init__(
        self, dim: int = 128, kl_weight: float = 1e-2, seed: int = 0, **kwargs
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if kl_weight < 0.0:
            raise ValueError(f"kl_weight must not be negative, got {kl_weight}.")
        self.dim = dim
        self.kl_weight = kl_weight
        self.seed = seed
        self.input_dim = dim
        self.output_dim = dim
        self.log_variance = keras.layers.Dense(
            dim, kernel_initializer="zeros", name="log_variance", dtype="float32"
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        if input_shape[-1] != self.dim:
            raise ValueError(
                f"The latent has width {self.dim}, got inputs of shape {input_shape}."
            )
        self.log_variance.build((None, self.dim))
        self.seed_generator = keras.random.SeedGenerator(self.seed)
        self.built = True

    def call(self, inputs, training: bool = False):
        mean = ops.cast(inputs, "float32")
        log_variance = self.log_variance(mean)
        terms = ops.square(mean) + ops.exp(log_variance) - 1.0 - log_variance
        divergence = ops.mean(0.5 * ops.sum(terms, axis=-1))
        quantized = mean
        if training:
            noise = replica_noise.standard_normal(ops.shape(mean), self.seed_generator)
            quantized = mean + ops.exp(0.5 * log_variance) * noise
        return {
            "quantized": quantized,
            "loss": self.kl_weight * divergence,
            "kl": divergence,
        }

    def codes_to_latent(self, codes):
        """Always an error: a continuous latent has no codes."""
        raise ValueError("Latents are continuous here: there are no codes to decode.")

    def get_config(self) -> dict:
        return super().get_config() | {
            "dim": self.dim,
            "kl_weight": self.kl_weight,
            "seed": self.seed,
        }
