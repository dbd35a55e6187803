"""From the arguments of the command line to the points of a grid."""

import itertools
import pathlib
import re
from collections.abc import Sequence
from typing import NamedTuple

from launch.sweeps.point import Point
from pdtla.training import configs, statements

_MAX_NAME = 200  # bytes; file systems take 255
_UNFIT = re.compile(r"[^\w.+=-]+")
_OPENING, _CLOSING = "([{", ")]}"


class _Choice(NamedTuple):
    """One value of one axis."""

    label: str
    files: tuple[str, ...] = ()
    bindings: tuple[str, ...] = ()


def make_points(
    *,
    grid: Sequence[str],
    grid_files: Sequence[str],
    files: Sequence[str],
    bindings: Sequence[str],
) -> list[Point]:
    """All combinations, the last axis running fastest.

    A point is named after its values, `ENV_ID=maze,SEED=0`, in alphabetical order of
    the axes; those of files are called after the folder of the files, `vq=none`.

    Args:
      grid: axes `NAME=VALUE,VALUE,...` with values as on the command line.
      grid_files: axes `FILE,FILE,...` of gin files, read after `files`.
      files: gin files of every point.
      bindings: statements of every point. `{NAME}` in them stands for the point's value
        of this axis, and `{vq}` for that of the files in `gin/vq`.

    Raises:
      ConfigError: an axis is malformed, given twice or also bound, a value is given
        twice, or names of points coincide or are too long.
    """
    bound = [s.name for text in bindings for s in statements.read_bindings(text)]
    axes: dict[str, list[_Choice]] = {}
    for name, choices in [*map(_file_axis, grid_files), *map(_value_axis, grid)]:
        if name in axes:
            raise configs.ConfigError(f"The axis {name} of the grid is given twice.")
        if name in bound:
            raise configs.ConfigError(
                f"{name} is an axis of the grid and bound by --gin.{name} as well."
            )
        labels = [choice.label for choice in choices]
        if len(set(labels)) < len(labels):
            raise configs.ConfigError(f"{name} has a value twice: {', '.join(labels)}.")
        axes[name] = choices
    if not axes:
        raise configs.ConfigError("A sweep needs --grid=NAME=VALUE,VALUE,...")
    points = [
        _make_point(dict(zip(axes, choices, strict=True)), files, bindings)
        for choices in itertools.product(*axes.values())
    ]
    _check_names([point.name for point in points])
    return points


def _value_axis(text: str) -> tuple[str, list[_Choice]]:
    name, equals, values = text.partition("=")
    name = name.strip()
    if not equals or not name or not values.strip():
        raise configs.ConfigError(f"Write --grid=NAME=VALUE,VALUE,..., got {text!r}.")
    choices = []
    for value in _split(values):
        if not value:
            raise configs.ConfigError(f"--grid={text} has an empty value.")
        statement = configs.binding(f"{name}={value}")
        choices.append(_Choice(value, bindings=(statement,)))
    return name, choices


def _file_axis(text: str) -> tuple[str, list[_Choice]]:
    paths = [pathlib.PurePath(file.strip()) for file in text.split(",")]
    folders = {path.parent for path in paths}
    if len(folders) > 1 or not all(path.suffix == ".gin" for path in paths):
        raise configs.ConfigError(
            f"An axis of files takes gin files of one folder, got --grid_file={text}."
        )
    choices = [_Choice(path.stem, files=(str(path),)) for path in paths]
    return folders.pop().name or "file", choices


def _split(values: str) -> list[str]:
    """Splits at commas that are not within brackets or quotes."""
    parts, depth, quote = [""], 0, ""
    for character in values:
        if quote:
            quote = "" if character == quote else quote
        elif character in "\"'":
            quote = character
        elif character in _OPENING or character in _CLOSING:
            depth += 1 if character in _OPENING else -1
        elif character == "," and not depth:
            parts.append("")
            continue
        parts[-1] += character
    if quote or depth:
        raise configs.ConfigError(f"Brackets or quotes do not match in {values!r}.")
    return [part.strip() for part in parts]


def _make_point(
    choices: dict[str, _Choice], files: Sequence[str], bindings: Sequence[str]
) -> Point:
    def fill(text: str) -> str:
        for name, choice in choices.items():
            text = text.replace(f"{{{name}}}", choice.label)
        return text

    chosen = choices.values()
    parts = sorted(f"{name}={choice.label}" for name, choice in choices.items())
    return Point(
        name=",".join(_UNFIT.sub("_", part.strip("\"'")) for part in parts),
        files=(*files, *(file for choice in chosen for file in choice.files)),
        bindings=(
            *map(fill, bindings),
            *(binding for choice in chosen for binding in choice.bindings),
        ),
    )


def _check_names(names: Sequence[str]) -> None:
    for name in names:
        if len(name.encode()) > _MAX_NAME:
            raise configs.ConfigError(
                f"The name of a point takes {_MAX_NAME} bytes at most, got {name}."
            )
        if names.count(name) > 1:
            raise configs.ConfigError(f"Two points of the grid are named {name}.")
