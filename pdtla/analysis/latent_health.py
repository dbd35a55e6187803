"""Is a latent action model healthy: codes in use, z used, actions readable."""

import dataclasses
from collections.abc import Iterable

import keras
import numpy as np
import tensorflow as tf

from pdtla import specs
from pdtla.analysis import probes
from pdtla.layers.frame_stack import to_float
from pdtla.stage import Batch


@dataclasses.dataclass(frozen=True)
class Latents:
    """What a latent action model makes of held-out windows, in the order of the data.

    Attributes:
      latents: float32 `[N, D]`, as the IDM infers them, before quantisation.
      codes: int32 `[N, M]`, or None where latents are continuous.
      actions: int32 `[N]`, the true a_t, or None where the data has none.
      errors: mean squared error of the predicted frame, float64 means over windows:
        `true` under the window's own latent, `swapped` under another window's, `copied`
        of repeating the last frame.
    """

    latents: np.ndarray
    codes: np.ndarray | None
    actions: np.ndarray | None
    errors: dict[str, float]


def latent_health(
    idm: keras.layers.Layer,
    vq: keras.layers.Layer,
    fdm: keras.layers.Layer,
    batches: Iterable[Batch],
    *,
    num_actions: int | None = None,
    few_labels: int = 128,
    max_windows: int = 4096,
    seed: int = 0,
) -> dict[str, float]:
    """Measures a latent action model on held-out windows.

    Args:
      idm: from frames uint8 `[B, T, H, W, C]` to latents `[B, D]`.
      vq: the quantizer.
      fdm: from (frames `[B, T-1, H, W, C]`, latents `[B, D]`) to the next frame in
        [-0.5, 0.5].
      batches: held-out windows of T frames; with their actions, probes are fitted.
      num_actions: number of actions A; None skips the probes.
      few_labels: labels of the probe with few of them.
      max_windows: windows to look at.
      seed: seed of the swapped latents and of the probes.

    Returns:
      `copy_frame_ratio`: error of the prediction over that of repeating o_t, below 1
      where the model predicts anything. `swap_gap`: how much of the copying error a
      random other latent costs, 0 where the FDM ignores z. With codes, `perplexity`
      (mean over the M codes of a latent), `dead_codes` (share of codes that never
      occur) and, given actions, `nmi` of the most telling position. With actions,
      `probe_*` accuracies, see `probes.probe_report`.

    Raises:
      ValueError: there are no windows.
    """
    found = infer(idm, vq, fdm, batches, max_windows=max_windows, seed=seed)
    copied = max(found.errors["copied"], 1e-12)
    report = {
        "windows": float(len(found.latents)),
        "prediction_error": found.errors["true"],
        "copy_frame_error": found.errors["copied"],
        "copy_frame_ratio": found.errors["true"] / copied,
        "swap_gap": (found.errors["swapped"] - found.errors["true"]) / copied,
        "latent_std": float(found.latents.std(axis=0).mean()),
    }
    if found.codes is not None:
        counts = code_counts(found.codes, vq.num_codes)
        report |= codebook_report(counts)
    if found.actions is None or num_actions is None:
        return report
    if found.codes is not None:
        report["nmi"] = max(
            probes.normalized_mutual_information(
                probes.contingency(column, found.actions, vq.num_codes, num_actions)
            )
            for column in found.codes.T
        )
    accuracies = probes.probe_report(
        found.latents,
        found.actions,
        num_actions=num_actions,
        few_labels=few_labels,
        seed=seed,
    )
    return report | {f"probe_{name}": value for name, value in accuracies.items()}


def infer(
    idm: keras.layers.Layer,
    vq: keras.layers.Layer,
    fdm: keras.layers.Layer,
    batches: Iterable[Batch],
    *,
    max_windows: int = 4096,
    seed: int = 0,
) -> Latents:
    """Runs a latent action model over windows; see `latent_health`."""

    @tf.function(reduce_retracing=True)
    def model(frames, order):
        latents = tf.cast(idm(frames), tf.float32)
        outputs = vq(latents)
        codes = outputs["codes"] if has_codes else tf.zeros([0, 0], tf.int32)
        context, following = frames[:, :-1], to_float(frames[:, -1], "float32")
        z = outputs["quantized"]
        predictions = {
            "true": fdm(context, z),
            "swapped": fdm(context, tf.gather(z, order)),
            "copied": to_float(frames[:, -2], "float32"),
        }
        errors = {
            name: tf.reduce_mean(tf.square(tf.cast(frame, tf.float32) - following))
            for name, frame in predictions.items()
        }
        return latents, codes, errors

    has_codes = bool(vq.num_codes_per_latent)
    rng = np.random.default_rng(seed)
    latents, codes, actions, errors, weights = [], [], [], [], []
    for batch in batches:
        frames = batch[specs.OBSERVATION]
        size = int(frames.shape[0])
        z, code, error = model(frames, tf.constant(rng.permutation(size)))
        latents.append(z.numpy())
        codes.append(code.numpy())
        errors.append({name: float(value) for name, value in error.items()})
        weights.append(size)
        if specs.ACTION in batch:
            actions.append(np.asarray(batch[specs.ACTION])[:, -2])
        if sum(weights) >= max_windows:
            break
    if not weights:
        raise ValueError("The health of latents needs held-out windows, got none.")
    return Latents(
        latents=np.concatenate(latents),
        codes=np.concatenate(codes) if has_codes else None,
        actions=np.concatenate(actions) if actions else None,
        errors={
            name: float(np.average([error[name] for error in errors], weights=weights))
            for name in errors[0]
        },
    )


def code_counts(codes: np.ndarray, num_codes: int) -> np.ndarray:
    """How often each code occurs in each of the M places, int64 `[M, K]`.

    Args:
      codes: int `[N, M]`.
      num_codes: K.
    """
    return np.stack([np.bincount(column, minlength=num_codes) for column in codes.T])


def codebook_report(counts: np.ndarray) -> dict[str, float]:
    """Perplexity and dead codes of counts `[M, K]`."""
    shares = counts / counts.sum(axis=1, keepdims=True)
    perplexities = [np.exp(probes.entropy(place)) for place in shares]
    return {
        "perplexity": float(np.mean(perplexities)),
        "dead_codes": float(np.mean(counts == 0)),
    }
