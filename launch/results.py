r"""Makes the tables of the documents from the stored results.

    python -m launch.results
    python -m launch.results --store=offline_hopper --run=results/offline/hopper

Every `docs/*.md.j2` becomes the document of its name; `table("NAME")` in it stands for
`docs/results/NAME.json`. `--store` puts what a comparison (ablations, quickstart,
few_labels, label_budget, offline, prompting) left in its directory there first.
`--check` writes nothing and fails where a document is not what it would be made.
"""

import pathlib

from absl import app, flags, logging

from launch import result_tables
from pdtla.analysis import files, stored_table
from pdtla.analysis import results as results_lib
from pdtla.training import configs

_DOCS = flags.DEFINE_string("docs", "docs", "Directory of the documents.")
_STORE = flags.DEFINE_string("store", None, "Name under which to store a result.")
_RUN = flags.DEFINE_string("run", None, "Directory of the result to store.")
_CHECK = flags.DEFINE_bool("check", False, "Write nothing; fail if something differs.")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    docs = pathlib.Path(_DOCS.value)
    if bool(_STORE.value) != bool(_RUN.value):
        raise configs.ConfigError("--store and --run belong together.")
    if _STORE.value:
        store(docs / "results", _STORE.value, pathlib.Path(_RUN.value))
    stale = []
    for path, text in result_tables.documents(docs).items():
        if not path.is_file() or path.read_text() != text:
            stale.append(path.name)
            if not _CHECK.value:
                files.write_atomically(path, text.encode())
                logging.info("%s is made anew.", path)
    if _CHECK.value and stale:
        raise configs.RunError(
            f"{', '.join(stale)} differ from their tables: python -m launch.results."
        )


def store(directory: pathlib.Path, name: str, run: pathlib.Path) -> None:
    """Stores what a comparison left in its directory."""
    try:
        table = stored_table.of_summary(results_lib.read_json(run / "summary.json"))
        stored_table.write(directory / f"{name}.json", table)
    except (ValueError, FileNotFoundError) as error:
        raise configs.ConfigError(configs.one_line(error)) from error


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
