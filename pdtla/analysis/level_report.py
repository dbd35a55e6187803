"""What each level of a residual quantizer is good for."""

import dataclasses
from collections.abc import Iterable, Mapping

import keras
import numpy as np
import tensorflow as tf

from pdtla import specs
from pdtla.analysis import code_usage, probes
from pdtla.layers.frame_stack import to_float
from pdtla.stage import Batch

CONTINUOUS = "unquantized"
_TINY = 1e-12

Rows = dict[str, dict[str, float]]


@dataclasses.dataclass(frozen=True)
class _Found:
    """Of N windows: what the rows of the report are made of.

    Attributes:
      latents: of every row, `[N, D]`.
      codes: int `[N, L * M]`.
      actions: int `[N]` or float `[N, A]`, or None.
      errors: squared error of each prediction over that of repeating o_t, by row.
    """

    latents: dict[str, np.ndarray]
    codes: np.ndarray
    actions: np.ndarray | None
    errors: dict[str, dict[str, float]]


def level_report(
    modules: Mapping[str, keras.layers.Layer],
    batches: Iterable[Batch],
    fit: Iterable[Batch] | None = None,
    *,
    num_actions: int | None = None,
    max_windows: int = 4096,
    seed: int = 0,
) -> Rows:
    """Measures the sums of the first 1..L levels, and the latent before quantisation.

    Args:
      modules: `idm`, `vq` and `fdm` of a latent action model with a residual quantizer,
        and `skill` of a hierarchical one.
      batches: held-out windows.
      fit: windows of other episodes; where both have actions, probes are fitted on
        these and scored on the held-out ones.
      num_actions: number of discrete actions; None for continuous ones.
      max_windows: windows to look at, of either kind.
      seed: seed of the probes.

    Returns:
      A row for each number of levels, `"1"` to `str(L)`, and one for the unquantised
      latent. `copy_ratio`: error of the forward model, given these levels alone, over
      that of repeating o_t; `swapped_copy_ratio`: given those of another window, as
      large where the model ignores them; `skill_copy_ratio`: that of a skill's model,
      which is trained on the first level. `perplexity` and `dead_codes` (share of the
      codes that never occur) of the level itself. `probe_linear`, `probe_mlp`: accuracy
      of a probe for a_t, or R² where actions are continuous.

    Raises:
      ValueError: there are no windows, or the quantizer has no levels.
    """
    vq = modules["vq"]
    if not hasattr(vq, "codes_to_levels"):
        raise ValueError(
            f"A report by level needs a residual quantizer, got {type(vq).__name__}."
        )
    found = _infer(modules, batches, max_windows)
    rows = {name: dict(errors) for name, errors in found.errors.items()}
    per_level = np.split(found.codes, vq.num_quantizers, axis=1)
    for level, codes in enumerate(per_level, start=1):
        counts = code_usage.code_counts(codes, vq.num_codes)
        rows[str(level)] |= code_usage.codebook_report(counts)
    if fit is not None and found.actions is not None:
        others = _infer(modules, fit, max_windows)
        for name, latents in found.latents.items():
            data = others.latents[name], others.actions, latents, found.actions
            rows[name] |= _probe(data, num_actions, seed)
    return rows


def table(rows: Rows) -> str:
    """The report as lines of text."""
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    lines = ["".join([f"{'levels':<12}", *(f"{name:>20}" for name in columns)])]
    for name, row in rows.items():
        values = (f"{row[c]:>20.4g}" if c in row else f"{'-':>20}" for c in columns)
        lines.append("".join([f"{name:<12}", *values]))
    return "\n".join(lines)


def _probe(
    data: tuple[np.ndarray, ...], num_actions: int | None, seed: int
) -> dict[str, float]:
    scores = {}
    for name, hidden in (("linear", ()), ("mlp", probes.HIDDEN)):
        if num_actions is None:
            score = probes.probe_r2(*data, hidden=hidden, seed=seed)
        else:
            score = probes.probe_accuracy(
                *data, num_actions=num_actions, hidden=hidden, seed=seed
            )
        scores[f"probe_{name}"] = score
    return scores


def _infer(modules, batches: Iterable[Batch], max_windows: int) -> _Found:
    @tf.function(reduce_retracing=True)
    def model(observation):
        return _one_batch(modules, observation)

    latents, codes, actions, errors, sizes = [], [], [], [], []
    base = -1 - getattr(modules["idm"], "future", 1)
    for batch in batches:
        latent, code, error = model(batch[specs.OBSERVATION])
        latents.append(keras.tree.map_structure(np.asarray, latent))
        codes.append(code.numpy())
        errors.append(keras.tree.map_structure(float, error))
        sizes.append(len(code))
        if specs.ACTION in batch:
            actions.append(np.asarray(batch[specs.ACTION])[:, base])
        if sum(sizes) >= max_windows:
            break
    if not sizes:
        raise ValueError("A report by level needs held-out windows, got none.")
    weighted = keras.tree.map_structure(
        lambda *values: float(np.average(values, weights=sizes)), *errors
    )
    copied = weighted.pop("copied")
    return _Found(
        latents={n: np.concatenate([each[n] for each in latents]) for n in latents[0]},
        codes=np.concatenate(codes),
        actions=np.concatenate(actions) if actions else None,
        errors={
            row: {f"{n}copy_ratio": e / max(copied[n], _TINY) for n, e in found.items()}
            for row, found in weighted.items()
        },
    )


def _one_batch(modules, observation):
    """Latents `[B, D]` by row, codes `[B, L * M]` and squared errors by row."""
    idm, vq = modules["idm"], modules["vq"]
    latent = idm(observation)
    code = vq(tf.reshape(latent, (-1, vq.input_dim)))
    sums = tf.unstack(code["levels"], num=vq.num_quantizers, axis=1)
    rows = {str(n): tf.reshape(z, tf.shape(latent)) for n, z in enumerate(sums, 1)}
    rows[CONTINUOUS] = latent
    codes = tf.reshape(code["codes"], (*latent.shape[:-1], code["codes"].shape[-1]))
    if idm.over_windows:
        codes = codes[:, -1]
    if "skill" in modules:
        errors = _hierarchical_errors(modules, observation, rows)
    else:
        errors = _plain_errors(idm, modules["fdm"], observation, rows)
    last = {n: z[:, -1] if idm.over_windows else z for n, z in rows.items()}
    return last, codes, errors


def _plain_errors(idm, fdm, observation, rows):
    frames = to_float(idm.standardize(observation), "float32")
    target, copied = frames[:, -1], frames[:, -2]
    if fdm.over_windows:
        target, copied = frames[:, 1:], frames[:, :-1]
    errors = {"copied": dict.fromkeys(("", "swapped_"), _error(copied, target))}
    for name, latent in rows.items():
        if idm.over_windows and not fdm.over_windows:
            latent = latent[:, -1]
        errors[name] = _with_swapped(fdm, observation[:, :-1], latent, target)
    return errors


def _hierarchical_errors(modules, observation, rows):
    idm, fdm, skill = (modules[name] for name in ("idm", "fdm", "skill"))
    frames = to_float(idm.standardize(observation), "float32")
    context, future = observation[:, : -idm.future], frames[:, -idm.future :]
    now = frames[:, -idm.future - 1]
    copied = {
        "": _error(now[:, None], future),
        "swapped_": _error(now[:, None], future),
        "skill_": _error(now, future[:, -1]),
    }
    return {"copied": copied} | {
        name: _with_swapped(fdm, context, latent, future)
        | {
            "skill_": _error(skill(context, latent), future[:, -1]),
        }
        for name, latent in rows.items()
    }


def _with_swapped(fdm, context, latent, target):
    """Errors under the windows' own latents and under those of other windows."""
    return {
        "": _error(fdm(context, latent), target),
        "swapped_": _error(fdm(context, latent[::-1]), target),
    }


def _error(predicted, target):
    return tf.reduce_mean(tf.square(tf.cast(predicted, tf.float32) - target))
