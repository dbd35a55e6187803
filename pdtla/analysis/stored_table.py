"""Tables of the documents, kept as small files of what was measured.

    {"kind": "offline", "command": "python -m launch.offline ...", "preset": ...,
     "seeds": [0, 1, 2], "commit": "1a2b3c", "wall_seconds": 5400.0,
     "rows": [{"data": "medium", "method": "bc", "returns": [[...], [...]]}, ...]}

`kind` is the program of `launch` that measured. A row has the returns of every episode,
a list for each seed, and whatever else tells it from the others: intervals and scores
are worked out of them when the table is made. Where the files of the runs are gone, a
table is "transcribed" and of the kind "cells": it has `columns`, `align` and `rows` of
texts.
"""

import json
import os
import pathlib
from collections.abc import Mapping
from typing import Any

from pdtla.analysis import files
from pdtla.analysis import results as results_lib

CELLS = "cells"
_FIELDS = ("kind", "command", "preset", "seeds", "commit", "wall_seconds", "rows")
_DIGITS = 6

Table = dict[str, Any]


def of_summary(summary: Mapping[str, Any]) -> Table:
    """What a program's `summary.json` says, without what can be worked out of it.

    Raises:
      ValueError: the summary has no returns.
    """
    rows = summary.get("rows") or [{}]
    if "kind" not in summary or "returns" not in rows[0]:
        raise ValueError(
            "The summary has no kind or no returns of episodes: it is of an older "
            "version; run its command again."
        )
    derived = ("mean", "iqm", "score", "standard_error", "normalized_mean", "gain")
    kept = [
        {
            name: value
            for name, value in row.items()
            if name not in (*derived, "seed_means", "episodes", "tasks")
            and "ci95" not in name
        }
        for row in rows
    ]
    dropped = (*_DERIVED_OF_SUMMARY, "rows")
    facts = {name: value for name, value in summary.items() if name not in dropped}
    if isinstance(facts.get("wall_seconds"), Mapping):
        facts["wall_seconds"] = sum(facts["wall_seconds"].values())
    return facts | {"rows": kept}


# Those of the quickstart's page, and what a label budget works out.
_DERIVED_OF_SUMMARY = (
    "all_labels",
    "data",
    "expert",
    "figures",
    "ground",
    "health",
    "improvement",
    "needed",
    "profiles",
    "runs",
    "trivial",
    "videos",
)


def write(path: str | os.PathLike, table: Mapping[str, Any]) -> None:
    """Writes a table, a line for each row, numbers to six digits."""
    validate(table, os.fspath(path))
    lines = [
        f"  {json.dumps(name)}: {json.dumps(_rounded(value), allow_nan=False)}"
        for name, value in table.items()
        if name != "rows"
    ]
    rows = [
        f"    {json.dumps(_rounded(row), allow_nan=False, ensure_ascii=False)}"
        for row in table["rows"]
    ]
    lines.append('  "rows": [\n' + ",\n".join(rows) + "\n  ]")
    files.write_atomically(path, ("{\n" + ",\n".join(lines) + "\n}\n").encode())


def read(path: str | os.PathLike) -> Table:
    """Reads a table.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged, or a field is missing.
    """
    table = results_lib.read_json(path)
    validate(table, os.fspath(path))
    return table


def validate(table: Mapping[str, Any], where: str) -> None:
    """Raises a one-line `ValueError` unless a table is complete."""
    missing = [name for name in _FIELDS if name not in table]
    if missing:
        raise ValueError(f"{where} lacks {', '.join(missing)}.")
    if not table["rows"]:
        raise ValueError(f"{where} has no rows.")
    if table["kind"] == CELLS:
        widths = {len(row) for row in table["rows"]} | {len(table["columns"])}
        if len(widths) > 1 or not table.get("transcribed"):
            raise ValueError(
                f"{where}: a table of cells is transcribed, and its rows have a cell "
                "for each column."
            )
    elif any(not row.get("returns") for row in table["rows"]):
        raise ValueError(f"{where}: every row must have the returns of its seeds.")


def stem(path: str | os.PathLike) -> str:
    """The name of a table, by its file."""
    return pathlib.Path(path).stem


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _rounded(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(item) for item in value]
    if isinstance(value, float):
        rounded = float(f"{value:.{_DIGITS}g}")
        return int(rounded) if rounded.is_integer() else rounded
    return value
