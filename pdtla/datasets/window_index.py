"""Which steps make up a window: plain index arithmetic on flat arrays of steps.

A window is named by its base, the flat index of the step t whose action it is about.
"""

import dataclasses

import numpy as np
import tensorflow as tf

from pdtla import specs

KINDS = ("chunk", "lapo", "n_step", "sequence", "transitions")


@dataclasses.dataclass(frozen=True)
class WindowKind:
    """The steps of a window around its base step t.

    Attributes:
      before: steps before t.
      after: steps after t.
      last_action: of these, the last one whose action must be real.
      moves: whether a window that would reach over an end of its episode is moved
        inside, and only padded, at its end, where the episode is shorter than itself.
    """

    before: int
    after: int
    last_action: int = 0
    moves: bool = False

    @property
    def length(self) -> int:
        """The number of steps T."""
        return self.before + 1 + self.after


def window_kind(name: str, context_len: int, k_step_preds: int = 1) -> WindowKind:
    """The steps of windows by their name, with k past and K future steps.

    `transitions`: o_t alone.
    `lapo`: o_{t-k}, ..., o_t, o_{t+1}.
    `n_step`: o_{t-k}, ..., o_t, ..., o_{t+K}, with the actions up to a_{t+K-1}.
    `chunk`: o_t, ..., o_{t+K-1}, with the action of each, K in all.
    `sequence`: k steps around t, moved so that they are all within the episode. There
    is one for each step, so the ends of an episode, although no window reaches over
    them, are in half as many windows as its other steps.

    Args:
      name: name of the kind.
      context_len: k, of effect on `lapo`, `n_step` and `sequence`.
      k_step_preds: K, of effect on `n_step` and `chunk`.

    Raises:
      ValueError: an unknown name, a negative context, no step to predict or a sequence
        of none.
    """
    if name not in KINDS:
        raise ValueError(f"window must be one of {list(KINDS)}, got {name!r}.")
    if context_len < 0:
        raise ValueError(f"context_len must be at least 0, got {context_len}.")
    if name == "sequence" and not context_len:
        raise ValueError("context_len of sequences must be at least 1, got 0.")
    if k_step_preds < 1:
        raise ValueError(f"k_step_preds must be at least 1, got {k_step_preds}.")
    last = k_step_preds - 1
    return {
        "transitions": WindowKind(0, 0),
        "lapo": WindowKind(context_len, 1),
        "n_step": WindowKind(context_len, k_step_preds, last_action=last),
        "sequence": WindowKind(
            context_len // 2, context_len - 1 - context_len // 2, moves=True
        ),
        "chunk": WindowKind(0, last, last_action=last),
    }[name]


def steps_of(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Flat indices of the steps of some episodes, int64 `[sum(lengths)]`.

    Args:
      starts: first step of each episode, int64 `[E]`.
      lengths: steps of each episode, int64 `[E]`.
    """
    offsets = np.cumsum(lengths) - lengths
    return np.arange(lengths.sum()) + np.repeat(starts - offsets, lengths)


def window_bases(
    kind: WindowKind,
    starts: np.ndarray,
    lengths: np.ndarray,
    pad_start: bool,
    last_step_valid: bool,
    pad_end: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The windows of some episodes, in order.

    Args:
      kind: the steps of a window.
      starts: first step of each episode, int64 `[E]`.
      lengths: steps of each episode, int64 `[E]`.
      pad_start: keep windows that begin before their episode, whose first step is then
        repeated, instead of leaving them out.
      last_step_valid: whether the action of an episode's last step is real.
      pad_end: keep windows about a step with a successor that end after their episode,
        whose last step is then repeated.

    Returns:
      Base step of each window, int64 `[W]`, and the first and the last step of its
      episode, int64 `[W, 2]`.
    """
    skipped = 0 if pad_start or kind.moves else kind.before
    cut = kind.last_action + (0 if last_step_valid else 1)
    if not kind.moves:
        cut = max(kind.after, cut)
    if pad_end:
        cut = min(cut, 1)
    counts = np.maximum(lengths - skipped - cut, 0)
    bounds = np.stack([starts, starts + lengths - 1], axis=1)
    return steps_of(starts + skipped, counts), np.repeat(bounds, counts, axis=0)


def window_rows(kind: WindowKind, bases: tf.Tensor, bounds: tf.Tensor) -> tf.Tensor:
    """Flat indices of the steps of windows, int64 `[B, T]`.

    Args:
      kind: the steps of a window.
      bases: base step of each window, int64 `[B]`.
      bounds: first and last step of its episode, int64 `[B, 2]`.
    """
    low, high = bounds[:, :1], bounds[:, 1:]
    first = bases[:, None] - kind.before
    if kind.moves:
        first = tf.maximum(tf.minimum(first, high - kind.length + 1), low)
    rows = first + tf.range(kind.length, dtype=tf.int64)
    return tf.clip_by_value(rows, low, high)


def sequence_fields(
    rows: tf.Tensor, bounds: tf.Tensor, starts: tf.Tensor, last_step_valid: bool
) -> dict[str, tf.Tensor]:
    """What the steps of a sequence tell of themselves, `[B, T]`.

    Args:
      rows: what `window_rows` gives, int64 `[B, T]`.
      bounds: first and last step of the episode, int64 `[B, 2]`.
      starts: first step of every episode of the dataset, int64 `[E]`.
      last_step_valid: whether the action of an episode's last step is real.
    """
    low, high = bounds[:, :1], bounds[:, 1:]
    padding = rows - rows[:, :1] != tf.range(tf.shape(rows)[1], dtype=tf.int64)
    last = high if last_step_valid else high - 1
    episode = tf.searchsorted(starts, low[:, 0], side="right") - 1
    return {
        specs.TIMESTEP: tf.cast(rows - low, tf.int32),
        specs.EPISODE: tf.broadcast_to(episode[:, None], tf.shape(rows)),
        specs.VALID: ~padding & (rows <= last),
    }


def sequence_spec(length: int) -> dict[str, specs.ArraySpec]:
    """The spec of `sequence_fields`."""
    return {
        specs.TIMESTEP: specs.ArraySpec((length,), "int32"),
        specs.EPISODE: specs.ArraySpec((length,), "int32"),
        specs.VALID: specs.ArraySpec((length,), "bool"),
    }
