r"""Shows what each level of a run's residual quantizer is good for.

    python -m launch.report_levels --run=runs/lam_hierarchical

For the sums of the first levels: the error of the forward models, perplexity, and
probes for the true action, on held-out windows of the run's own dataset. The table is
logged and written to `levels.json` in the run.
"""

import pathlib

from absl import app, flags, logging

from launch import levels_of_run
from pdtla.analysis import level_report, results
from pdtla.training import configs

_RUN = flags.DEFINE_string("run", None, "Workdir of a latent action model.")
_MAX_WINDOWS = flags.DEFINE_integer("max_windows", 4096, "Held-out windows to use.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Windows in a forward pass.")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    if not _RUN.value:
        raise configs.ConfigError("--run must be set: the workdir of a trained run.")
    rows = levels_of_run.report(
        _RUN.value,
        flags.FLAGS.gin_file,
        flags.FLAGS.gin_bindings,
        _BATCH_SIZE.value,
        _MAX_WINDOWS.value,
    )
    results.write_json(pathlib.Path(_RUN.value) / "levels.json", rows)
    logging.info("Levels of %s:\n%s", _RUN.value, level_report.table(rows))


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
