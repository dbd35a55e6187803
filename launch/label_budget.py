r"""Measures what action labels buy: labels x method x seed in one environment.

    python -m launch.label_budget --gin_file=gin/presets/label_budget_halfcheetah.gin
    python -m launch.label_budget --gin_file='gin/presets/label_budget_*.gin'

Every method is trained on 8 to 4096 labelled transitions beside videos without actions,
and rolled out on the same unseen levels. What sees no label is trained once a seed, and
a step whose result is up to date is skipped, so the same command goes on where it
stopped. A pattern runs one experiment after the other. `--gin.LABELS=8,128`,
`--gin.METHODS=bc,vpt_bc` and `--gin.SEEDS=0` take a part of one.

Writes `summary.json`, with the returns of all episodes, `curves.png`, `profiles.png`
and `report.html` to `<output>/<experiment>`.
"""

import pathlib
import sys

from absl import app, flags, logging

from launch import budget_experiment, budget_settings
from pdtla.analysis import budget_page
from pdtla.training import configs

_OUTPUT = flags.DEFINE_string(
    "output", "results/label_budget", "Directory of the experiments' results."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Of the datasets, by default data/<name of the preset's folder>."
)


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    chosen = {
        name: budget_settings.read(files, flags.FLAGS.gin_bindings)
        for name, files in budget_settings.experiments(flags.FLAGS.gin_file).items()
    }
    if flags.FLAGS.dry_run:
        for name, settings in chosen.items():
            sys.stdout.write(f"{name}: {settings}\n")
        return
    for name, settings in chosen.items():
        data = _DATA_DIR.value or f"data/{pathlib.Path(settings.preset).name}"
        directory = pathlib.Path(_OUTPUT.value) / name
        experiment = budget_experiment.Experiment(name, settings, data, directory)
        summary = experiment.run()
        sys.stdout.write(budget_page.text(summary))
        logging.info("Report: %s.", directory / "report.html")


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
