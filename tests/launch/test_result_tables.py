"""The documents' tables: made from the stored results, and from nothing else."""

import json
import re
import shutil

import commands
import pytest

from launch import result_tables
from pdtla.analysis import stored_table
from pdtla.training import configs

DOCS = configs.REPOSITORY / "docs"
STORED = sorted((DOCS / "results").glob("*.json"))


def test_documents_are_what_their_tables_make():
    found = result_tables.documents(DOCS)
    assert {path.name for path in found} == {"results.md", "sequence_models.md"}
    for path, text in found.items():
        assert path.read_text() == text, f"{path.name}: run python -m launch.results"


@pytest.mark.parametrize("template", sorted(DOCS.glob("*.md.j2")), ids=lambda p: p.stem)
def test_templates_have_no_table_of_numbers(template):
    """Numbers are what is set to the right."""
    lines = [line for line in template.read_text().splitlines() if line[:1] == "|"]
    assert not [line for line in lines if "---:" in line]


@pytest.mark.parametrize("path", STORED, ids=lambda p: p.stem)
def test_stored_table_is_small_and_as_it_would_be_written(path, tmp_path):
    table = stored_table.read(path)
    stored_table.write(tmp_path / path.name, table)
    assert (tmp_path / path.name).read_text() == path.read_text()
    assert path.stat().st_size < 100_000
    if not table.get("transcribed"):
        assert table["seeds"] and table["preset"]
        seeds = [seed for row in table["rows"] for seed in row["returns"]]
        assert min(map(len, seeds)) > 1


@pytest.fixture
def docs(tmp_path):
    shutil.copytree(DOCS, tmp_path / "docs")
    return tmp_path / "docs"


def test_another_return_makes_another_table(docs):
    path = docs / "results/offline_hopper.json"
    table = json.loads(path.read_text())
    (row,) = (r for r in table["rows"] if (r["data"], r["method"]) == ("medium", "bc"))
    row["returns"] = [[1000.0, 1200.0], [1100.0, 1100.0]]
    path.write_text(json.dumps(table))
    text = result_tables.documents(docs)[docs / "sequence_models.md"]
    assert re.search(r"\| medium \| `bc` \| .* \| 0\.31 \(1100\) \|", text)


def test_check_tells_what_differs_and_the_program_mends_it(docs):
    page = docs / "results.md"
    page.write_text(page.read_text().replace("10.00", "11.00"))
    program = ["results", f"--docs={docs}"]
    stale, made, checked = commands.run_all(
        [[*program, "--check"], program, [*program, "--check"]]
    )
    assert stale["status"] == 1
    assert "error: results.md differ from their tables" in stale["stderr"]
    assert (made["status"], checked["status"]) == (0, 0)
    assert page.read_text() == (DOCS / "results.md").read_text()


def summary(rows):
    return {
        "kind": "offline",
        "command": "python -m launch.offline --env_id=hopper",
        "preset": "gin/presets/offline",
        "seeds": [0, 1],
        "commit": "1a2b3c",
        "wall_seconds": 90.0,
        "env_id": "hopper",
        "rows": rows,
    }


def test_a_comparison_is_stored_and_shown(docs, tmp_path):
    rows = [
        {"data": "-", "method": "random", "returns": [[0.0, 2.0]], "mean": 1.0},
        {"data": "-", "method": "expert", "returns": [[10.0, 12.0]], "ci95": [10, 12]},
        {"data": "medium", "method": "bc", "returns": [[5.0, 7.0], [6.0, 6.123456789]]},
    ]
    run = tmp_path / "run"
    run.mkdir()
    (run / "summary.json").write_text(json.dumps(summary(rows)))
    with open(docs / "results.md.j2", "a") as file:
        file.write('\n{{ table("mine") }}\n')
    program = ["results", f"--docs={docs}", "--store=mine"]
    empty = tmp_path / "empty"
    (done, missing, alone) = commands.run_all(
        [[*program, f"--run={run}"], [*program, f"--run={empty}"], program]
    )
    assert done["status"] == 0, done["stderr"]
    table = stored_table.read(docs / "results/mine.json")
    assert table["rows"][2]["returns"] == [[5, 7], [6, 6.12346]]
    assert "mean" not in table["rows"][0] and "ci95" not in table["rows"][1]
    text = (docs / "results.md").read_text()
    assert "| medium | `bc` | 6 | " in text and "| 0.50 | 6, 6 |" in text
    assert (
        "`python -m launch.offline --env_id=hopper`, preset `gin/presets/offline`, "
        "seeds 0, 1, commit 1a2b3c, 1 min 30 s of all steps."
    ) in text
    assert missing["status"] == 2
    assert f"There is no file {empty / 'summary.json'}" in missing["stderr"]
    assert alone["status"] == 2 and "--store and --run belong" in alone["stderr"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"commit": None, "rows": []}, "has no rows"),
        ({"rows": [{"data": "-", "method": "random"}]}, "returns of its seeds"),
        ({"kind": "cells", "columns": ["a"], "rows": [["1"]]}, "cells is transcribed"),
    ],
)
def test_incomplete_tables_are_refused_in_one_line(change, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        stored_table.write(tmp_path / "x.json", summary([]) | change)
    with pytest.raises(ValueError, match="x.json lacks seeds, commit"):
        stored_table.validate(
            {n: 1 for n in ("kind", "command", "preset", "wall_seconds", "rows")},
            "x.json",
        )


def test_tables_without_returns_are_of_an_older_version():
    for rows in ([], [{"method": "bc", "mean": 1.0}]):
        with pytest.raises(ValueError, match="run its command again"):
            stored_table.of_summary(summary(rows))


def test_misspelt_and_forgotten_tables_are_named(docs):
    template = docs / "results.md.j2"
    text = template.read_text()
    template.write_text(text.replace("speed_of_steps", "speed_of_step"))
    with pytest.raises(configs.ConfigError, match="Did you mean speed_of_steps"):
        result_tables.documents(docs)
    template.write_text(
        template.read_text().replace('{{ table("speed_of_step") }}', "")
    )
    with pytest.raises(
        configs.ConfigError, match="No document shows .* speed_of_steps"
    ):
        result_tables.documents(docs)


def test_budget_and_other_kinds_are_shown():
    episodes = lambda mean: [[mean, mean + 1], [mean, mean + 2]]  # noqa: E731
    table = summary([]) | {
        "kind": "label_budget",
        "outcome": "returns",
        "share": 0.8,
        "labels": [8, 32],
        "references": {
            "random": [[0.0, 0.0]],
            "expert": [[20.0, 20.0]],
            "bc_all": episodes(10.0),
        },
        "rows": [
            {"method": "bc", "labels": 8, "returns": episodes(2.0)},
            {"method": "bc", "labels": 32, "returns": episodes(9.0)},
        ],
    }
    text = result_tables.markdown(table)
    assert re.search(r"^\| 8 \| 2\.75 \(.*\) \|$", text, re.MULTILINE)
    assert re.search(r"^\| for 80% \| 2\d \(.*\) \|$", text, re.MULTILINE)
    assert "`random` 0.00, `bc_all` 10.75, `expert` 20.00." in text
    quick = summary([]) | {
        "kind": "quickstart",
        "rows": [
            {"method": "random", "labels": 0, "returns": [[0.0, 2.0]]},
            {"method": "bc_all", "labels": None, "returns": [[8.0, 9.0], [8.0, 9.0]]},
        ],
    }
    assert "| `bc_all` | all | 4 | 8.50 |" in result_tables.markdown(quick)
