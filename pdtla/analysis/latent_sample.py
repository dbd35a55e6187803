"""`LatentSample`: what a latent action model makes of some transitions."""

import dataclasses
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from pdtla import specs
from pdtla.analysis.latent_model import LatentModel
from pdtla.datasets.window_dataset import WindowDataset

SHIFTS = (-1, 0, 1)


@dataclasses.dataclass(frozen=True)
class LatentSample:
    """N transitions of whole episodes, in a shuffled order.

    Attributes:
      bases: flat index of o_t within the dataset, int64 `[N]`.
      episodes: number of the episode, int64 `[N]`.
      parts: number of the dataset among joint ones, int64 `[N]`.
      now: o_t, `[N, ...]`.
      following: o_{t+1}, `[N, ...]`.
      inferred: the latent that the model infers, before quantisation, float32 `[N, D]`.
      quantized: the latent that the forward model reads, float32 `[N, D]`.
      frozen: the latent of the window in which nothing happens after o_t, `[N, D]`.
      codes: int32 `[N, M]`, or None where latents are continuous.
      errors: squared error of the prediction for each transition, float32 `[N]`: `true`
        under its own latent, `swapped` under that of another one, `copied` of
        repeating o_t.
      actions: a_{t-1}, a_t and a_{t+1} by their shift, int32 `[N]` or float32
        `[N, A]`.
      known: for each shift whether the episode has that action, bool `[N]`.
    """

    bases: np.ndarray
    episodes: np.ndarray
    parts: np.ndarray
    now: np.ndarray
    following: np.ndarray
    inferred: np.ndarray
    quantized: np.ndarray
    frozen: np.ndarray
    codes: np.ndarray | None
    errors: dict[str, np.ndarray]
    actions: dict[int, np.ndarray]
    known: dict[int, np.ndarray]

    def __len__(self) -> int:
        return len(self.bases)


class Examined(NamedTuple):
    """A sample and the latents of it that are examined, float `[N, D]`."""

    sample: LatentSample
    latents: np.ndarray

    @property
    def action(self) -> np.ndarray:
        """a_t."""
        return self.sample.actions[0]


def sample(
    model: LatentModel,
    windows: WindowDataset,
    trajectories: np.ndarray,
    *,
    max_windows: int,
    batch_size: int = 128,
    seed: int = 0,
) -> LatentSample:
    """Runs a model over transitions of randomly chosen trajectories.

    Args:
      model: the model.
      windows: windows of the shape that the model takes, with observation and action.
      trajectories: numbers of the trajectories to choose from.
      max_windows: number of transitions at most.
      batch_size: windows in a forward pass.
      seed: seed of the choice and of the order.

    Raises:
      ValueError: the trajectories have fewer than two transitions.
    """
    bases = _choose(windows, trajectories, max_windows, model.future, seed)
    if len(bases) < 2:
        raise ValueError(
            "The health of latents needs at least 2 transitions to look at, got "
            f"{len(bases)} of {len(trajectories)} trajectories."
        )
    run = tf.function(lambda observation: _infer(model, observation))
    found: dict[str, list[np.ndarray]] = {}
    for start in range(0, len(bases), batch_size):
        # The last batch is filled up, so that one graph serves all.
        chosen = bases[np.arange(start, start + batch_size) % len(bases)]
        observation = windows.about(chosen)[specs.OBSERVATION]
        for name, value in run(observation).items():
            found.setdefault(name, []).append(value.numpy())
    arrays = {
        name: np.concatenate(values)[: len(bases)] for name, values in found.items()
    }
    errors = {name: arrays.pop(name) for name in ("true", "swapped", "copied")}
    codes = arrays.pop("codes") if model.has_codes else arrays.pop("codes", None)
    episodes = np.searchsorted(windows.source.starts, bases, side="right") - 1
    actions, known = _actions(windows, bases, episodes)
    parts = getattr(windows.source, "parts", np.zeros_like(windows.source.starts))
    return LatentSample(
        bases=bases,
        episodes=episodes,
        parts=parts[episodes],
        codes=codes if model.has_codes else None,
        errors=errors,
        actions=actions,
        known=known,
        **arrays,
    )


def _choose(
    windows: WindowDataset,
    trajectories: np.ndarray,
    max_windows: int,
    future: int,
    seed: int,
) -> np.ndarray:
    """Bases of whole episodes until there are enough, shuffled."""
    rng = np.random.default_rng(seed)
    starts, lengths = windows.source.starts, windows.source.lengths
    chosen, total = [], 0
    for number in rng.permutation(trajectories):
        chosen.append(np.arange(starts[number], starts[number] + lengths[number]))
        chosen[-1] = chosen[-1][: max(0, lengths[number] - future)]
        total += len(chosen[-1])
        if total >= max_windows:
            break
    bases = np.concatenate(chosen) if chosen else np.zeros(0, np.int64)
    return rng.permutation(bases)[:max_windows]


def _infer(model: LatentModel, observation: tf.Tensor) -> dict[str, tf.Tensor]:
    latent = model.idm(observation)
    quantized, codes = model.quantize(latent)
    # Transitions come shuffled: the next one is hardly ever of the same episode.
    swapped = tf.roll(quantized, 1, axis=0)
    now = -1 - model.future
    return {
        "now": observation[:, now],
        "following": observation[:, now + 1],
        "inferred": tf.cast(model.last(latent), tf.float32),
        "quantized": tf.cast(model.last(quantized), tf.float32),
        "frozen": tf.cast(
            model.last(model.idm(model.without_future(observation))), tf.float32
        ),
        "codes": codes,
        "true": model.error(observation, quantized),
        "swapped": model.error(observation, swapped),
        "copied": model.copy_error(observation),
    }


def _actions(
    windows: WindowDataset, bases: np.ndarray, episodes: np.ndarray
) -> tuple[dict[int, np.ndarray], dict[int, np.ndarray]]:
    first = windows.source.starts[episodes]
    last = first + windows.source.lengths[episodes] - 1
    if not windows.last_step_valid:
        last = last - 1
    actions, known = {}, {}
    for shift in SHIFTS:
        rows = np.clip(bases + shift, first, last)
        known[shift] = rows == bases + shift
        actions[shift] = windows.steps(specs.ACTION).gather(tf.constant(rows)).numpy()
    return actions, known
