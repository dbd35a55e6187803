"""`ByObservation`: the network that suits the observations, unless one is named."""

import dataclasses

import keras

from pdtla import specs


@dataclasses.dataclass(frozen=True)
class ByObservation:
    """Stands in a slot until the dataset is known.

    Attributes:
      image: the network for images.
      state: the network for vectors.
    """

    image: keras.layers.Layer
    state: keras.layers.Layer


def choose(
    network: "keras.layers.Layer | ByObservation", spec: specs.ArraySpec
) -> keras.layers.Layer:
    """The network for observations of a spec; one that was named is taken as it is."""
    if not isinstance(network, ByObservation):
        return network
    return network.image if spec.is_image else network.state
