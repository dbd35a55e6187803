"""Field names, array specs and the shape legend that every package shares.

Shape legend, used in docstrings throughout:
  B batch, T time (environment steps), H W C image height, width, channels,
  A action dimensions or number of discrete actions, K codes in a codebook,
  M codes that make up one latent action, D width of a latent or embedding.

A batch is a dict from field name to tensor, `[B, T, ...]` for every field. Fields on
disk carry their RLDS names (Ramos et al. 2021, arXiv 2111.02767).
"""

import dataclasses

import numpy as np

STEPS = "steps"
OBSERVATION = "observation"  # uint8 [B, T, H, W, C] or float32 [B, T, D]
ACTION = "action"  # int32 [B, T] or float32 [B, T, A]
REWARD = "reward"  # float32 [B, T], the reward that follows the action of the step
DISCOUNT = "discount"  # float32 [B, T]
IS_FIRST = "is_first"  # bool [B, T]
IS_LAST = "is_last"  # bool [B, T]
IS_TERMINAL = "is_terminal"  # bool [B, T]

LATENT_ACTION = "latent_action"  # float32 [B, T, D], explains o_t -> o_{t+1}
LATENT_CODE = "latent_code"  # int32 [B, T, M]
LABELLED = "labelled"  # nested batch of the few transitions whose actions are known

# Of sequences of steps of one episode.
TIMESTEP = "timestep"  # int32 [B, T], number of the step within its episode
EPISODE = "episode"  # int32 [B, T], number of the episode within its dataset
VALID = "valid"  # bool [B, T], whether the step is real and its action to be learnt
RETURN_TO_GO = "return_to_go"  # float32 [B, T], rewards from this step's on, raw
PROMPT = "prompt"  # nested batch [B, P] of demonstrations in a row
DEMO = "demo"  # int32 [B, P], which demonstration of the prompt, from 1
ORDER = "order"  # int32 [B, P], place in the prompt where the step was before a shuffle

_STATISTICS = ("minimum", "maximum", "mean", "std")


@dataclasses.dataclass(frozen=True)
class ArraySpec:
    """Shape, type and range of one array, without the batch axis.

    Attributes:
      shape: sizes of all axes but the batch axis.
      dtype: NumPy name of the type, e.g. "uint8".
      num_values: for a categorical integer, the number of values it takes.
      minimum: lowest value, for bounded arrays.
      maximum: highest value, for bounded arrays.
      mean: of each component over the training episodes, for float arrays whose
        statistics are known.
      std: likewise the standard deviation, above 0.
      made_by: hex digest of the model that inferred it, for latents and labels.
    """

    shape: tuple[int, ...]
    dtype: str
    num_values: int | None = None
    minimum: float | None = None
    maximum: float | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None
    made_by: str | None = None

    def __post_init__(self):
        np.dtype(self.dtype)  # raises on an unknown name
        if self.num_values is not None and self.num_values < 1:
            raise ValueError(f"num_values must be at least 1, got {self.num_values}.")

    @property
    def is_discrete(self) -> bool:
        """Whether the values are categories."""
        return self.num_values is not None

    @property
    def is_image(self) -> bool:
        """Whether the last three axes are those of a uint8 image."""
        return self.dtype == "uint8" and len(self.shape) >= 3

    @property
    def num_bytes(self) -> int:
        """Size of one array."""
        return int(np.prod(self.shape, dtype=np.int64)) * np.dtype(self.dtype).itemsize

    def with_time(self, steps: int) -> "ArraySpec":
        """The spec of `steps` such arrays in a row, time first."""
        return dataclasses.replace(self, shape=(steps, *self.shape))


ElementSpec = dict[str, "ArraySpec | ElementSpec"]


def statistics(element_spec: ElementSpec) -> dict[str, dict]:
    """What the specs of float arrays tell of their values, as JSON has it.

    Returns:
      For each field, of nested ones `outer/inner`, what is known of `minimum`,
      `maximum`, `mean` and `std`.
    """
    found = {}
    for name, spec in element_spec.items():
        if isinstance(spec, dict):
            inner = statistics(spec).items()
            found |= {f"{name}/{field}": value for field, value in inner}
        elif spec.dtype.startswith("float"):
            told = {key: getattr(spec, key) for key in _STATISTICS}
            found[name] = {
                key: list(value) if isinstance(value, tuple) else value
                for key, value in told.items()
                if value is not None
            }
    return found
