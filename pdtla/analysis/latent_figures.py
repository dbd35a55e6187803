"""Figures of what a latent action model has learnt."""

import numpy as np
import tensorflow as tf

from pdtla.analysis import code_usage, plots
from pdtla.analysis.latent_model import LatentModel

FRAMES = "True and predicted frames"
USAGE = "Codebook usage"
EFFECTS = "What each code does"


def latent_figures(
    model: LatentModel,
    observation: np.ndarray,
    codes: np.ndarray | None,
    *,
    num_frames: int = 8,
    num_effects: int = 4,
    num_codes: int = 8,
) -> dict[str, bytes]:
    """Draws predictions and, where there are codes, their usage and their effects.

    Args:
      model: a model of images.
      observation: windows to choose the shown ones from, uint8 `[B, T, H, W, C]`.
      codes: to count, int `[N, M]`, or None.
      num_frames: windows in the figure of predictions.
      num_effects: windows in the figure of effects.
      num_codes: the most frequent codes of the most varied place are shown.

    Returns:
      PNG bytes for each title.
    """
    shown = _most_changing(np.asarray(observation), num_frames)
    latent = model.idm(shown)
    quantized, own = model.quantize(latent)
    predicted = np.asarray(model.predict(shown, quantized))
    now = -1 - model.future
    rows = {
        "o_t": shown[:, now],
        "o_t+1, true": shown[:, now + 1],
        "predicted": predicted,
        "error ×4": np.abs(predicted - _normalised(shown[:, now + 1])) * 4 - 0.5,
    }
    figures = {FRAMES: plots.frames_grid(rows)}
    if codes is None:
        return figures
    counts = code_usage.code_counts(codes, model.vq.num_codes)
    figures[USAGE] = plots.codebook_usage(counts)
    few = tf.constant(shown[:num_effects])
    place = _most_used_place(counts)
    figures[EFFECTS] = plots.code_effects(
        lambda codes: np.asarray(
            model.predict_codes(few, quantized[:num_effects], codes)
        ),
        shown[:num_effects, now],
        np.asarray(own)[:num_effects],
        place=place,
        shown=_frequent(counts[place], num_codes),
    )
    return figures


def _most_changing(frames: np.ndarray, number: int) -> np.ndarray:
    """Windows whose last frame differs most: where nothing moves nothing shows."""
    change = np.abs(_normalised(frames[:, -1]) - _normalised(frames[:, -2]))
    order = np.argsort(-change.reshape(len(frames), -1).mean(axis=1), kind="stable")
    return frames[order[:number]]


def _most_used_place(counts: np.ndarray) -> int:
    """The place of the latent whose codes have the highest entropy."""
    perplexities = [
        code_usage.codebook_report(row[None])["perplexity"] for row in counts
    ]
    return int(np.argmax(perplexities))


def _frequent(counts: np.ndarray, number: int) -> list[int]:
    """The most frequent codes, those that occur at all."""
    order = np.argsort(-counts, kind="stable")[:number]
    return [int(code) for code in order if counts[code]]


def _normalised(frames: np.ndarray) -> np.ndarray:
    """uint8 0..255 to float32 in [-0.5, 0.5]."""
    return frames.astype(np.float32) / 255.0 - 0.5
