"""Figures of a report, as PNG bytes."""

import io
import json
import os
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

Curves = Mapping[str, tuple[Sequence[float], Sequence[float]]]

_DPI = 130
_COLORS = colormaps["tab10"].colors
_GREY = "#8a8f98"


METRICS = "metrics.jsonl"


def metrics_files(workdir: str | os.PathLike) -> list[str]:
    """The metrics of a run: its own, and those of who evaluated it beside it."""
    paths = (os.path.join(workdir, folder, METRICS) for folder in ("", "rollouts"))
    return [path for path in paths if os.path.isfile(path)]


def read_metrics(
    path: str | os.PathLike, split: str | None = None
) -> dict[str, tuple[list[float], list[float]]]:
    """Reads `metrics.jsonl` as curves.

    Args:
      path: one JSON object a line with `step`, `split`, `time` and any scalars.
      split: which split to read; None reads all.

    Returns:
      Steps and values of each scalar.

    Raises:
      FileNotFoundError: there is no such file.
    """
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There are no metrics in {os.fspath(path)}.")
    curves = {}
    with open(path) as file:
        for line in file:
            if not line.endswith("\n"):
                break  # a running or killed run has not finished this line
            record = json.loads(line)
            if split is not None and record["split"] != split:
                continue
            for name, value in record.items():
                if name in ("step", "split", "time"):
                    continue
                steps, values = curves.setdefault(name, ([], []))
                steps.append(record["step"])
                values.append(value)
    return curves


def learning_curves(panels: Mapping[str, Curves]) -> bytes:
    """One panel for each title, one line for each curve (steps and values) in it."""
    figure, axes = _grid(len(panels), columns=3, size=(3.9, 2.7))
    labels = list(
        dict.fromkeys(label for curves in panels.values() for label in curves)
    )
    for axis, (title, curves) in zip(axes, panels.items(), strict=True):
        for label, (steps, values) in curves.items():
            color = _COLORS[labels.index(label) % 10]  # the same in every panel
            marker = "o" if len(steps) < 3 else None  # a line shows no single point
            axis.plot(
                steps, values, color=color, label=label, lw=1.6, marker=marker, ms=4
            )
        axis.set_title(title, fontsize=10)
        axis.set_xlabel("updates", fontsize=8)
        axis.legend(fontsize=7, frameon=False)
        _tidy(axis)
    return _png(figure)


def frames_grid(rows: Mapping[str, np.ndarray]) -> bytes:
    """Frames in labelled rows, one column for each window.

    Args:
      rows: uint8 `[N, H, W, 3]`, or float in [-0.5, 0.5], for each label.
    """
    arrays = {label: _as_uint8(np.asarray(frames)) for label, frames in rows.items()}
    columns = max(len(frames) for frames in arrays.values())
    figure = Figure(figsize=(1.0 * columns + 1.0, 1.05 * len(arrays)))
    axes = figure.subplots(len(arrays), columns, squeeze=False)
    for row, (label, frames) in zip(axes, arrays.items(), strict=True):
        for axis, frame in zip(row, frames, strict=False):
            axis.imshow(frame, interpolation="nearest")
        for axis in row:
            axis.set_xticks([])
            axis.set_yticks([])
            axis.spines[:].set_visible(False)
        row[0].set_ylabel(label, fontsize=8, rotation=0, ha="right", va="center")
    return _png(figure)


def codebook_usage(counts: np.ndarray) -> bytes:
    """Share of windows for each code, most frequent first, one panel a place.

    Args:
      counts: `[M, K]`, how often each code occurs in each place of the latent.
    """
    figure, axes = _grid(len(counts), columns=4, size=(2.7, 1.8))
    for place, (axis, row) in enumerate(zip(axes, counts, strict=False)):
        shares = np.sort(row)[::-1] / max(row.sum(), 1)
        axis.bar(np.arange(len(row)), shares, width=1.0, color=_COLORS[0])
        axis.axhline(1 / len(row), color=_GREY, lw=0.8, ls="--")
        used = int(np.count_nonzero(row))
        axis.set_title(f"place {place + 1}: {used} of {len(row)} used", fontsize=8)
        _tidy(axis)
    return _png(figure)


def code_effects(
    predict: Callable[[np.ndarray], np.ndarray],
    current: np.ndarray,
    codes: np.ndarray,
    *,
    place: int,
    shown: Sequence[int],
) -> bytes:
    """What each code does: its predicted next frame less the mean over codes.

    Args:
      predict: from codes int `[N, M]` of N windows to predicted frames, float
        `[N, H, W, 3]` in [-0.5, 0.5].
      current: the frames o_t of the windows, uint8 `[N, H, W, 3]`.
      codes: the codes that the IDM infers for the windows, int `[N, M]`.
      place: which of the M codes is replaced, the others stay.
      shown: the codes to put there.

    Returns:
      A row for each window, a column for each code, and a last row with the mean size
      of the effect over the windows.
    """
    predictions = []
    for code in shown:
        replaced = codes.copy()
        replaced[:, place] = code
        predictions.append(predict(replaced))
    effects = np.stack(predictions, axis=1)  # [N, codes, H, W, 3]
    effects = (effects - effects.mean(axis=1, keepdims=True)).mean(axis=-1)
    size = np.abs(effects).mean(axis=0)  # [codes, H, W]
    limit = max(np.percentile(np.abs(effects), 99.5), 1e-6)
    figure = Figure(figsize=(1.0 * (len(shown) + 1) + 0.8, 1.05 * (len(current) + 1)))
    axes = figure.subplots(len(current) + 1, len(shown) + 1)
    for row, frame, effect in zip(axes, current, effects, strict=False):
        row[0].imshow(frame, interpolation="nearest")
        for axis, picture in zip(row[1:], effect, strict=True):
            axis.imshow(picture, cmap="RdBu_r", vmin=-limit, vmax=limit)
    for axis, picture in zip(axes[-1][1:], size, strict=True):
        axis.imshow(picture, cmap="magma", vmin=0.0, vmax=max(size.max(), 1e-6))
    for axis, code in zip(axes[0][1:], shown, strict=True):
        axis.set_title(f"code {code}", fontsize=8)
    axes[0][0].set_title("o_t", fontsize=8)
    axes[-1][0].text(0.5, 0.5, "mean size", fontsize=8, ha="center", va="center")
    for axis in axes.ravel():
        axis.set_xticks([])
        axis.set_yticks([])
        axis.spines[:].set_visible(False)
    return _png(figure)


def method_bars(
    names: Sequence[str],
    means: Sequence[float],
    intervals: Sequence[tuple[float, float]],
    *,
    lines: Mapping[str, float] | None = None,
    x_label: str = "episode return",
) -> bytes:
    """Horizontal bars with 95% intervals.

    Args:
      names: the methods, top to bottom.
      means: one a method.
      intervals: low and high, one a method.
      lines: labelled values to mark, e.g. the expert's return.
      x_label: name of the axis.
    """
    means, limits = np.asarray(means, float), np.asarray(intervals, float)
    errors = np.abs(np.stack([means - limits[:, 0], limits[:, 1] - means]))
    figure = Figure(figsize=(7.2, 0.38 * len(names) + 1.0))
    axis = figure.subplots()
    places = np.arange(len(names))[::-1]
    axis.barh(places, means, color=_COLORS[0], height=0.62, alpha=0.85)
    axis.errorbar(means, places, xerr=errors, fmt="none", color="#222", capsize=3, lw=1)
    axis.set_yticks(places, names, fontsize=9)
    axis.set_xlabel(x_label, fontsize=9)
    for index, (label, value) in enumerate((lines or {}).items()):
        color = _COLORS[1 + index % 9]
        axis.axvline(value, color=color, lw=1.2, ls="--", label=label)
    if lines:
        axis.legend(
            fontsize=8,
            frameon=False,
            ncols=len(lines),
            loc="lower center",
            bbox_to_anchor=(0.5, 1.0),
        )
    _tidy(axis)
    return _png(figure)


def value_bars(values: Mapping[str, float], x_label: str) -> bytes:
    """Horizontal bars with their numbers, one for each label, top to bottom."""
    figure = Figure(figsize=(5.0, 0.36 * len(values) + 0.7))
    axis = figure.subplots()
    places = np.arange(len(values))[::-1]
    bars = axis.barh(places, list(values.values()), color=_COLORS[0], height=0.62)
    axis.bar_label(bars, fmt="%.2f", fontsize=8, padding=3)
    axis.set_yticks(places, list(values), fontsize=8)
    axis.set_xlabel(x_label, fontsize=8)
    axis.margins(x=0.12)
    _tidy(axis)
    return _png(figure)


def budget_curve(
    labels: Sequence[int],
    curves: Mapping[str, Sequence[tuple[float, float]]],
    *,
    chance: float,
    y_label: str,
) -> bytes:
    """Scores over numbers of labels, mean and deviation between draws of each."""
    figure = Figure(figsize=(5.6, 3.0))
    axis = figure.subplots()
    for color, (name, points) in zip(_COLORS, curves.items(), strict=False):
        means, deviations = np.asarray(points).T
        axis.plot(labels, means, color=color, marker="o", ms=3, lw=1.6, label=name)
        axis.fill_between(
            labels, means - deviations, means + deviations, color=color, alpha=0.2
        )
    axis.axhline(chance, color=_GREY, ls="--", lw=1.0, label="chance")
    axis.set_xscale("log", base=2)
    axis.set_xticks(labels, [f"{label}" for label in labels])
    axis.set_ylim(bottom=max(axis.get_ylim()[0], -0.5))
    axis.set_xlabel("labels", fontsize=8)
    axis.set_ylabel(y_label, fontsize=8)
    axis.legend(fontsize=8, frameon=False)
    _tidy(axis)
    return _png(figure)


def return_curves(
    labels: Sequence[int],
    curves: Mapping[str, Sequence[tuple[float, float, float]]],
    *,
    lines: Mapping[str, float],
    y_label: str,
) -> bytes:
    """Returns over numbers of labels, one curve a method.

    Args:
      labels: where the points are.
      curves: mean, low and high at each.
      lines: labelled values to mark, such as those of policies without learning.
      y_label: name of the axis.
    """
    figure = Figure(figsize=(8.4, 4.4))
    axis = figure.subplots()
    for color, (name, points) in zip(_COLORS, curves.items(), strict=False):
        mean, low, high = np.asarray(points).T
        axis.plot(labels, mean, color=color, marker="o", ms=3.5, lw=1.6, label=name)
        axis.fill_between(labels, low, high, color=color, alpha=0.13, lw=0)
    styles = ("--", ":", "-.", (0, (1, 3)), (0, (5, 1)))
    for style, (name, value) in zip(styles, lines.items(), strict=False):
        axis.axhline(value, color=_GREY, lw=1.2, ls=style, label=name)
    axis.set_xscale("log", base=2)
    axis.set_xticks(labels, [f"{label}" for label in labels])
    axis.minorticks_off()
    axis.set_xlabel("action labels", fontsize=9)
    axis.set_ylabel(y_label, fontsize=9)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _tidy(axis)
    return _png(figure)


def profiles(
    scores: Sequence[float],
    curves: Mapping[str, Sequence[tuple[float, float, float]]],
) -> bytes:
    """Performance profiles: the share of runs above each score, one curve a method.

    Args:
      scores: where the points are.
      curves: share, low and high at each.
    """
    figure = Figure(figsize=(8.4, 3.4))
    axis = figure.subplots()
    for color, (name, points) in zip(_COLORS, curves.items(), strict=False):
        share, low, high = np.asarray(points).T
        axis.plot(scores, share, color=color, lw=1.6, label=name)
        axis.fill_between(scores, low, high, color=color, alpha=0.13, lw=0)
    axis.set_ylim(-0.02, 1.02)
    axis.set_xlabel("score", fontsize=9)
    axis.set_ylabel("share of runs above", fontsize=9)
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    _tidy(axis)
    return _png(figure)


def scatter(points: np.ndarray, actions: np.ndarray) -> bytes:
    """Points of a plane, coloured by their actions.

    Args:
      points: `[N, 2]`.
      actions: int `[N]`, the ten most frequent of which have a colour each; or float
        `[N, A]`, one panel for each of the first six dimensions.
    """
    if actions.ndim == 1:
        return _scatter_discrete(points, actions)
    shown = actions.T[:6]
    figure, axes = _grid(len(shown), columns=3, size=(2.9, 2.6))
    for index, (axis, values) in enumerate(zip(axes, shown, strict=True)):
        drawn = axis.scatter(*points.T, c=values, s=4, cmap="coolwarm", linewidths=0)
        axis.set_title(f"action {index + 1}", fontsize=9)
        figure.colorbar(drawn, ax=axis).ax.tick_params(labelsize=7)
        _tidy(axis)
    return _png(figure)


def _scatter_discrete(points: np.ndarray, actions: np.ndarray) -> bytes:
    figure = Figure(figsize=(6.2, 4.2))
    axis = figure.subplots()
    found, counts = np.unique(actions, return_counts=True)
    frequent = found[np.argsort(-counts, kind="stable")][: len(_COLORS)]
    rest = ~np.isin(actions, frequent)
    if rest.any():
        axis.scatter(*points[rest].T, s=5, color=_GREY, linewidths=0, label="others")
    for color, action in zip(_COLORS, frequent, strict=False):
        chosen = points[actions == action].T
        axis.scatter(*chosen, s=5, color=color, linewidths=0, label=f"action {action}")
    axis.legend(fontsize=8, frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    axis.set_xlabel("first principal component", fontsize=8)
    axis.set_ylabel("second", fontsize=8)
    _tidy(axis)
    return _png(figure)


def _grid(count: int, columns: int, size: tuple[float, float]):
    """A figure with `count` axes in rows of at most `columns`."""
    columns = min(columns, count)
    rows = -(-count // columns)
    figure = Figure(figsize=(size[0] * columns, size[1] * rows))
    axes = figure.subplots(rows, columns, squeeze=False).ravel()
    for axis in axes[count:]:
        axis.set_visible(False)
    return figure, axes[:count]


def _tidy(axis) -> None:
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8)
    axis.grid(alpha=0.25, lw=0.6)
    axis.set_axisbelow(True)


def _as_uint8(frames: np.ndarray) -> np.ndarray:
    if frames.dtype == np.uint8:
        return frames
    return np.clip(np.rint((frames + 0.5) * 255.0), 0, 255).astype(np.uint8)


def _png(figure: Figure) -> bytes:
    FigureCanvasAgg(figure)
    figure.tight_layout(pad=0.6)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=_DPI)
    return buffer.getvalue()
