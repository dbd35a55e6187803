"""`ResidualQuantizer`: each level quantizes what the levels before left over."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pdtla")
class ResidualQuantizer(keras.layers.Layer):
    """Residual quantization over any quantizer with codes.

    Level 1 quantizes the input, level l the input less the sum of the levels before it.
    The sum of the first levels is hence a coarser version of the whole latent, and the
    gradient of every such sum passes straight through to the input, once.

    Args:
      quantizer: what each level is a copy of, with a seed of its own; its latent is as
        wide as its input. Finite scalars have a residual form of their own.
      num_quantizers: levels L.
      shared_codebook: use one quantizer for all levels.

    Call arguments:
      inputs: float `[B, D]`.
      training: whether to update the quantizers with this batch.

    Returns:
      A dict of `quantized`, float32 `[B, D]`, the sum of all levels; `levels`
      `[B, L, D]`, the sums of the first 1..L levels; `codes`, int32 `[B, L * M]`, level
      by level; `loss`, the sum of the levels' losses; `perplexity`, the mean of
      `level_perplexity` `[L]`; `dead_codes`, the sum of `level_dead_codes` `[L]`.

    Raises:
      ValueError: fewer than one level, or a quantizer without codes.

    Reference: Zeghidour et al. 2021, SoundStream (arXiv 2107.03312), algorithm 1.
    """

    def __init__(
        self,
        quantizer: keras.layers.Layer,
        num_quantizers: int = 2,
        shared_codebook: bool = False,
        **kwargs,
    ) -> None:
        super().__init__(autocast=False, **kwargs)
        if num_quantizers < 1:
            raise ValueError(f"num_quantizers is at least 1, got {num_quantizers}.")
        if not quantizer.num_codes_per_latent:
            raise ValueError(
                f"Residual levels need a quantizer with codes, got {quantizer}."
            )
        self.quantizer = quantizer
        self.num_quantizers = num_quantizers
        self.shared_codebook = shared_codebook
        copies = 0 if shared_codebook else num_quantizers - 1
        self.finer = tuple(_copy(quantizer, index + 1) for index in range(copies))
        self.num_codes = quantizer.num_codes
        self.num_codes_per_latent = num_quantizers * quantizer.num_codes_per_latent
        self.input_dim = quantizer.input_dim
        self.output_dim = quantizer.output_dim
        # Of a shared level of one codebook every place has the same.
        books = getattr(quantizer, "num_codebooks", quantizer.num_codes_per_latent)
        shared = self.shared_codebook and books == 1
        self.num_codebooks = 1 if shared else num_quantizers * books

    @property
    def quantizers(self) -> tuple[keras.layers.Layer, ...]:
        """The quantizer of each level."""
        if self.shared_codebook:
            return (self.quantizer,) * self.num_quantizers
        return (self.quantizer, *self.finer)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        for quantizer in (self.quantizer, *self.finer):
            quantizer.build(input_shape)
        self.built = True

    def call(self, inputs, training: bool = False):
        inputs = ops.cast(inputs, "float32")
        covered = ops.zeros_like(inputs)
        levels, outputs = [], []
        for index, quantizer in enumerate(self.quantizers):
            residual = inputs - ops.stop_gradient(covered)
            output = quantizer(residual, training=training)
            step = output["quantized"]
            if getattr(quantizer, "gives_noise", False):
                # The input but for noise of this level's error, with all its gradient;
                # what the level covers are its codes.
                levels.append(covered + step)
                covered = covered + quantizer.codes_to_latent(output["codes"])
            else:
                if index:
                    # Each level passes on all of the input's gradient: count one.
                    step = step - (residual - ops.stop_gradient(residual))
                covered = covered + step
                levels.append(covered)
            outputs.append(output)
        perplexity = ops.stack([output["perplexity"] for output in outputs])
        dead = ops.stack([output["dead_codes"] for output in outputs])
        return {
            "quantized": levels[-1],
            "levels": ops.stack(levels, axis=1),
            "codes": ops.concatenate([output["codes"] for output in outputs], axis=-1),
            "loss": sum(output["loss"] for output in outputs),
            "perplexity": ops.mean(perplexity),
            "level_perplexity": perplexity,
            "dead_codes": ops.sum(dead),
            "level_dead_codes": dead,
        }

    def codes_to_latent(self, codes):
        """Looks codes up: int `[..., L * M]` to float32 `[..., D]`."""
        return self.codes_to_levels(codes)[..., -1, :]

    def codes_to_levels(self, codes):
        """Looks the sums up: int `[..., L * M]` to float32 `[..., L, D]`."""
        width = self.quantizer.num_codes_per_latent
        steps = [
            quantizer.codes_to_latent(codes[..., index * width : (index + 1) * width])
            for index, quantizer in enumerate(self.quantizers)
        ]
        return ops.cumsum(ops.stack(steps, axis=-2), axis=-2)

    def get_config(self) -> dict:
        return super().get_config() | {
            "quantizer": keras.saving.serialize_keras_object(self.quantizer),
            "num_quantizers": self.num_quantizers,
            "shared_codebook": self.shared_codebook,
        }

    @classmethod
    def from_config(cls, config: dict) -> "ResidualQuantizer":
        quantizer = keras.saving.deserialize_keras_object(config["quantizer"])
        return cls(**(config | {"quantizer": quantizer}))


def _copy(quantizer: keras.layers.Layer, index: int) -> keras.layers.Layer:
    """An unbuilt quantizer with the same settings and another seed."""
    config = quantizer.get_config()
    config["name"] = f"{config['name']}_{index}"
    if "seed" in config:
        config["seed"] += index
    return type(quantizer).from_config(config)
