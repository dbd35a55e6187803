"""`SpaceTimeDecoder`, a transformer that predicts the successor of each observation."""

import keras
from keras import ops

from pdtla.layers.space_time_transformer import SpaceTimeTransformer
from pdtla.layers.window_embedding import from_patches, patched_shape


@keras.saving.register_keras_serializable(package="pdtla")
class SpaceTimeDecoder(SpaceTimeTransformer):
    """Predicts o_{s+1} for every step s of a context, given a latent for each.

    It embeds its context itself. Were it given the features of an encoder that has
    seen o_{s+1}, it could copy from them what the latent should have had to say. For
    the arguments and errors see `SpaceTimeTransformer`.

    Call arguments:
      context: float `[B, S, H, W, C]` or `[B, S, D]`, normalised: o_0 .. o_{S-1}.
      latent: float `[B, S, Z]`: z_s explains o_s -> o_{s+1}.

    Returns:
      float, of the shape of `context`; prediction s is of o_{s+1}, from o_0 .. o_s and
      z_0 .. z_s. It begins near 0.
    """

    def build(
        self,
        context_shape: tuple[int | None, ...],
        latent_shape: tuple[int | None, ...],
    ) -> None:
        tokens_shape = self.embedding.compute_output_shape(context_shape)
        self.embedding.build(context_shape)
        self.latent_projection = keras.layers.Dense(
            self.width, dtype=self.dtype_policy, name="latent_projection"
        )
        self.latent_projection.build(latent_shape)
        self.blocks.build(tokens_shape)
        # Near 0, so that a predicted difference begins as "nothing changes".
        self.output_projection = keras.layers.Dense(
            patched_shape(context_shape, self.patch_size)[-1],
            kernel_initializer=keras.initializers.VarianceScaling(1e-4),
            dtype=self.dtype_policy,
            name="output_projection",
        )
        self.output_projection.build(tokens_shape)
        self.built = True

    def call(self, context, latent, training: bool = False):
        tokens = self.embedding(context)
        tokens = tokens + ops.expand_dims(self.latent_projection(latent), 2)
        patches = self.output_projection(self.blocks(tokens, training=training))
        return from_patches(patches, context.shape, self.patch_size)

    def compute_output_shape(self, context_shape, latent_shape):
        del latent_shape
        return context_shape
