"""`HierarchicalInverseNetwork`: the IDM that sees several steps ahead."""

import keras

from pdtla.layers.observation_network import ObservationNetwork


@keras.saving.register_keras_serializable(package="pdtla")
class HierarchicalInverseNetwork(ObservationNetwork):
    """Encodes o_{t-k..t+K} into the latent of what is done from o_t on.

    Args:
      encoder: see `ObservationNetwork`; a frame encoder.
      output_dim: width of the latent.
      frames: see `ObservationNetwork`.
      standardize: see `ObservationNetwork`.
      future: K, how many of the observations follow o_t; relabelling cuts its windows
        by it.
    """

    def __init__(
        self,
        encoder: keras.layers.Layer,
        output_dim: int,
        frames: keras.layers.Layer | None = None,
        standardize: keras.layers.Layer | None = None,
        future: int = 1,
        **kwargs,
    ):
        super().__init__(encoder, output_dim, frames, standardize, **kwargs)
        if self.over_windows:
            raise ValueError(
                f"A hierarchical IDM infers one latent of a whole window, "
                f"{type(encoder).__name__} one of each transition."
            )
        self.future = future

    def get_config(self) -> dict:
        return super().get_config() | {"future": self.future}
