"""Markdown tables of the documents, from the stored results."""

import pathlib
from collections.abc import Callable, Mapping
from typing import Any

import jinja2
import numpy as np

from launch import ablation_table, few_labels_table, offline_table, prompting_table
from pdtla.analysis import budget_page, label_budget, page, stored_table, summary
from pdtla.training import configs

TRANSCRIBED = "Transcribed: the files of these runs are gone."


class Tables:
    """What the templates of the documents call.

    Args:
      directory: of the stored tables.

    Attributes:
      used: names of the tables that were called for.
    """

    def __init__(self, directory: pathlib.Path):
        self._directory = directory
        self.used: set[str] = set()

    def table(self, name: str) -> str:
        """A table with its provenance below."""
        stored = self._read(name)
        return f"{markdown(stored)}\n{provenance(stored)}"

    def scores(self, **names: str) -> str:
        """Scores of `launch.offline`, a column for each table.

        Args:
          **names: of the tables, by what their columns are called.
        """
        columns, notes = {}, []
        for title, name in names.items():
            stored = self._read(name)
            rows = _offline_rows(stored)
            columns[title] = {(row["data"], row["method"]): row for row in rows}
            notes.append(f"{title}: {provenance(stored)}")
        lines = ["| data | method | " + " | ".join(columns) + " |"]
        lines.append("|---|---|" + "---:|" * len(columns))
        for data, method in next(iter(columns.values())):
            found = [rows[data, method] for rows in columns.values()]
            cells = [f"{row['score']:.2f} ({row['mean']:.0f})" for row in found]
            lines.append(f"| {data} | `{method}` | " + " | ".join(cells) + " |")
        return "\n".join([*lines, "", *notes])

    def _read(self, name: str) -> stored_table.Table:
        path = self._directory / f"{name}.json"
        if not path.is_file():
            known = sorted(each.stem for each in self._directory.glob("*.json"))
            raise configs.ConfigError(
                f"There is no table {name!r}.{configs.nearest(name, known)}"
            )
        stored = stored_table.read(path)
        if stored["kind"] not in _KINDS:
            raise configs.ConfigError(
                f"{path}: tables are of {', '.join(_KINDS)}; got {stored['kind']!r}."
            )
        self.used.add(name)
        return stored


def documents(docs: pathlib.Path) -> dict[pathlib.Path, str]:
    """What each document with tables should hold, by its path.

    Args:
      docs: directory of the documents and their templates, `*.md.j2`.

    Raises:
      ConfigError: a template names a table that there is not, or a table is damaged.
    """
    tables = Tables(docs / "results")
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, keep_trailing_newline=True
    )
    environment.globals |= {"table": tables.table, "scores": tables.scores}
    found = {}
    for path in sorted(docs.glob("*.md.j2")):
        try:
            text = environment.from_string(path.read_text()).render()
        except (jinja2.TemplateError, ValueError, KeyError) as error:
            raise configs.ConfigError(f"{path}: {configs.one_line(error)}") from error
        found[path.with_suffix("")] = text
    stored = {path.stem for path in (docs / "results").glob("*.json")}
    if left := sorted(stored - tables.used):
        raise configs.ConfigError(f"No document shows the tables {', '.join(left)}.")
    return found


def markdown(stored: Mapping[str, Any]) -> str:
    """A table without its provenance."""
    return _KINDS[stored["kind"]](stored)


def provenance(stored: Mapping[str, Any]) -> str:
    """The command, preset, seeds, commit and wall time of a table, in a line."""
    words = [f"`{stored['command']}`"]
    if stored["preset"]:
        words.append(f"preset `{stored['preset']}`")
    seeds = stored["seeds"]
    if seeds:
        numbers = ", ".join(str(seed) for seed in seeds)
        words.append(f"seed{'s' if len(seeds) > 1 else ''} {numbers}")
    words.append(f"commit {stored['commit'] or 'not noted'}")
    if stored["wall_seconds"]:
        words.append(f"{page.format_duration(stored['wall_seconds'])} of all steps")
    note = ", ".join(words) + "."
    if stored.get("remark"):
        note += f" {stored['remark']}"
    return f"{note} {TRANSCRIBED}" if stored.get("transcribed") else note


def _cells(stored: Mapping[str, Any]) -> str:
    lines = [stored["columns"], stored["align"], *stored["rows"]]
    bars = ["|".join(line) if line is stored["align"] else None for line in lines]
    text = [
        f"|{bar}|" if bar else "| " + " | ".join(line) + " |"
        for bar, line in zip(bars, lines, strict=True)
    ]
    return "\n".join(text) + "\n"


def _ablations(stored: Mapping[str, Any]) -> str:
    rows = ablation_table.make_rows(stored["rows"])
    return ablation_table.table(rows, stored["base"], stored["outcome"])


def _few_labels(stored: Mapping[str, Any]) -> str:
    returns = {(row["labels"], row["method"]): row["returns"] for row in stored["rows"]}
    rows = few_labels_table.make_rows(returns)
    return few_labels_table.table(rows, stored["outcome"])


def _offline_rows(stored: Mapping[str, Any]) -> list[dict]:
    found = {
        (row["data"], row["method"]): [np.array(seed) for seed in row["returns"]]
        for row in stored["rows"]
    }
    random, expert = (float(np.mean(found["-", x][0])) for x in ("random", "expert"))
    return offline_table.make_rows(found, random, expert)


def _offline(stored: Mapping[str, Any]) -> str:
    return offline_table.table(_offline_rows(stored))


def _prompting(stored: Mapping[str, Any]) -> str:
    found = {
        (row["method"], row["prompt"]): [
            prompting_table.Episodes(np.array(seed), np.arange(len(seed)))
            for seed in row["returns"]
        ]
        for row in stored["rows"]
    }
    told = {row["method"]: row["told"] for row in stored["rows"]}
    rows = prompting_table.make_rows(found, stored["most"])
    return prompting_table.table(rows, told)


def _quickstart(stored: Mapping[str, Any]) -> str:
    rows = summary.method_rows(
        {row["method"]: list(map(np.array, row["returns"])) for row in stored["rows"]},
        {row["method"]: row["labels"] for row in stored["rows"]},
    )
    return summary.markdown_table(rows)


def _label_budget(stored: Mapping[str, Any]) -> str:
    budget = label_budget.of_rows(stored["rows"], stored["references"])
    said = label_budget.summarize(budget, stored["share"])
    return budget_page.text({**stored, **said})


def _train_expert(stored: Mapping[str, Any]) -> str:
    """Curves of greedy returns over frames, and the end by seed."""
    frames = [f"{number / 1000:.0f}k" for number in stored["frames"]]
    lines = ["| | " + " | ".join(frames) + " | end | by seed |"]
    lines.append("|---|" + "---:|" * (len(frames) + 1) + "---|")
    for row in stored["rows"]:
        means = np.mean(row["curves"], axis=0)
        ends = [float(np.mean(seed)) for seed in row["returns"]]
        cells = [f"{mean:.0f}" for mean in (*means, np.mean(ends))]
        by_seed = ", ".join(f"{end:.0f}" for end in ends)
        lines.append(f"| {row['method']} | " + " | ".join(cells) + f" | {by_seed} |")
    return "\n".join(lines) + "\n"


_KINDS: dict[str, Callable[[Mapping[str, Any]], str]] = {
    stored_table.CELLS: _cells,
    "ablations": _ablations,
    "few_labels": _few_labels,
    "label_budget": _label_budget,
    "offline": _offline,
    "prompting": _prompting,
    "quickstart": _quickstart,
    "train_expert": _train_expert,
}
