"""Figures of what a latent action model has learnt."""

from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from pdtla import specs
from pdtla.analysis import latent_health, plots
from pdtla.stage import Batch

FRAMES = "True and predicted frames"
USAGE = "Codebook usage"
EFFECTS = "What each code does"


def latent_figures(
    idm: keras.layers.Layer,
    vq: keras.layers.Layer,
    fdm: keras.layers.Layer,
    batches: Iterable[Batch],
    *,
    num_frames: int = 8,
    num_effects: int = 4,
    num_codes: int = 8,
    max_windows: int = 4096,
) -> dict[str, bytes]:
    """Draws predictions and, where there are codes, their usage and their effects.

    Args:
      idm: see `latent_health.latent_health`.
      vq: the quantizer.
      fdm: the forward model.
      batches: held-out windows; the first batch is the one shown.
      num_frames: windows in the figure of predictions.
      num_effects: windows in the figure of effects.
      num_codes: the most frequent codes of the most varied place are shown.
      max_windows: windows to count codes over.

    Returns:
      PNG bytes for each title.
    """
    batches = list(_take(batches, max_windows))
    shown = _most_changing(np.asarray(batches[0][specs.OBSERVATION]), num_frames)
    outputs = vq(idm(shown))
    predicted = np.asarray(fdm(shown[:, :-1], outputs["quantized"]))
    rows = {
        "o_t": shown[:, -2],
        "o_t+1, true": shown[:, -1],
        "predicted": predicted,
        "error ×4": np.abs(predicted - _normalised(shown[:, -1])) * 4 - 0.5,
    }
    figures = {FRAMES: plots.frames_grid(rows)}
    if not vq.num_codes_per_latent:
        return figures
    found = latent_health.infer(idm, vq, fdm, batches, max_windows=max_windows)
    counts = latent_health.code_counts(found.codes, vq.num_codes)
    figures[USAGE] = plots.codebook_usage(counts)

    context = tf.constant(shown[:num_effects, :-1])
    place = _most_used_place(counts)
    figures[EFFECTS] = plots.code_effects(
        lambda codes: np.asarray(fdm(context, vq.codes_to_latent(codes))),
        shown[:num_effects, -2],
        np.asarray(outputs["codes"])[:num_effects],
        place=place,
        shown=_frequent(counts[place], num_codes),
    )
    return figures


def _take(batches: Iterable[Batch], max_windows: int) -> Iterable[Batch]:
    taken = 0
    for batch in batches:
        yield batch
        taken += int(batch[specs.OBSERVATION].shape[0])
        if taken >= max_windows:
            return


def _most_changing(frames: np.ndarray, number: int) -> np.ndarray:
    """Windows whose last frame differs most: where nothing moves nothing shows."""
    change = np.abs(_normalised(frames[:, -1]) - _normalised(frames[:, -2]))
    order = np.argsort(-change.reshape(len(frames), -1).mean(axis=1), kind="stable")
    return frames[order[:number]]


def _most_used_place(counts: np.ndarray) -> int:
    """The place of the latent whose codes have the highest entropy."""
    perplexities = [
        latent_health.codebook_report(row[None])["perplexity"] for row in counts
    ]
    return int(np.argmax(perplexities))


def _frequent(counts: np.ndarray, number: int) -> list[int]:
    """The most frequent codes, those that occur at all."""
    order = np.argsort(-counts, kind="stable")[:number]
    return [int(code) for code in order if counts[code]]


def _normalised(frames: np.ndarray) -> np.ndarray:
    """uint8 0..255 to float32 in [-0.5, 0.5]."""
    return frames.astype(np.float32) / 255.0 - 0.5
