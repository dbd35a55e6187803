"""`WindowEmbedding`: the tokens of a window of observations, and patches of images."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="pdtla")
class WindowEmbedding(keras.layers.Layer):
    """Makes tokens of the observations of a window and adds where and when they are.

    A patch of an image is a token, so is a whole state. Beside its value, a token holds
    how it changed since the step before (0 at the first): a linear layer then finds
    what moved, which attention would first have to learn to compare.

    Args:
      width: W, the width of a token.
      patch_size: side of a patch in pixels; states have no patches.

    Call arguments:
      observation: float `[B, T, H, W, C]` or `[B, T, D]`.

    Returns:
      float `[B, T, N, width]`, N patches a frame or 1.

    Raises:
      ValueError: a patch size that does not divide height and width, observations of
        another rank, or more steps than it was built for.

    Reference: Dosovitskiy et al. 2021, ViT (arXiv 2010.11929), equation 1.
    """

    def __init__(self, width: int, patch_size: int, **kwargs) -> None:
        super().__init__(**kwargs)
        self.width = width
        self.patch_size = patch_size

    def build(self, observation_shape: tuple[int | None, ...]) -> None:
        batch, steps, places, size = patched_shape(observation_shape, self.patch_size)
        self.projection = keras.layers.Dense(
            self.width, dtype=self.dtype_policy, name="projection"
        )
        self.projection.build((batch, steps, places, 2 * size))
        # Two initializers: one would draw the same values for both.
        self.time_embedding = self.add_weight(
            shape=(steps, 1, self.width),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="time_embedding",
        )
        self.space_embedding = self.add_weight(
            shape=(places, self.width),
            initializer=keras.initializers.TruncatedNormal(stddev=0.02),
            name="space_embedding",
        )
        self.built = True

    def call(self, observation):
        steps, most = observation.shape[1], self.time_embedding.shape[0]
        if steps > most:
            raise ValueError(
                f"A window must have at most the {most} observations that the network "
                f"was built for, got {steps}."
            )
        values = to_patches(observation, self.patch_size)
        changes = values[:, 1:] - values[:, :-1]
        changes = ops.pad(changes, ((0, 0), (1, 0), (0, 0), (0, 0)))
        tokens = self.projection(ops.concatenate([values, changes], axis=-1))
        return tokens + self.time_embedding[:steps] + self.space_embedding

    def compute_output_shape(self, observation_shape):
        return (*patched_shape(observation_shape, self.patch_size)[:3], self.width)

    def get_config(self) -> dict:
        return super().get_config() | {
            "width": self.width,
            "patch_size": self.patch_size,
        }


def patched_shape(
    shape: tuple[int | None, ...], size: int
) -> tuple[int | None, int, int, int]:
    """Shape `[B, T, N, P]` of the patches of observations of a shape.

    Raises:
      ValueError: a patch size that does not divide height and width, or observations
        that are neither images nor states.
    """
    if len(shape) == 3:
        batch, steps, dim = shape
        return batch, steps, 1, dim
    if len(shape) != 5:
        raise ValueError(
            "A window has images [B, T, H, W, C] or states [B, T, D], got shape "
            f"{tuple(shape)}."
        )
    batch, steps, height, width, channels = shape
    if height % size or width % size:
        raise ValueError(
            f"Patches of {size} pixels need a height and width that are multiples of "
            f"it, got {height} x {width}."
        )
    return batch, steps, height * width // size**2, size**2 * channels


def to_patches(observation, size: int):
    """Patches of images `[B, T, N, size*size*C]`, row by row; states `[B, T, 1, D]`."""
    _, steps, places, values = patched_shape(observation.shape, size)
    if len(observation.shape) == 5:
        _, _, height, width, channels = observation.shape
        grid = (-1, height // size, size, width // size, size, channels)
        observation = ops.transpose(ops.reshape(observation, grid), (0, 1, 3, 2, 4, 5))
    return ops.reshape(observation, (-1, steps, places, values))


def from_patches(patches, shape: tuple[int | None, ...], size: int):
    """Observations whose shape is `[B, T, *shape[2:]]` from their patches."""
    steps = patches.shape[1]
    if len(shape) == 5:
        _, _, height, width, channels = shape
        grid = (-1, height // size, width // size, size, size, channels)
        patches = ops.transpose(ops.reshape(patches, grid), (0, 1, 3, 2, 4, 5))
    return ops.reshape(patches, (-1, steps, *shape[2:]))
