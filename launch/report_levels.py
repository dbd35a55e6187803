r"""Shows what each level of a run's residual quantizer is good for.

    python -m launch.report_levels --run=runs/lam_hierarchical

For the sums of the first levels: the error of the forward models, perplexity, and
probes for the true action, on held-out windows of the run's own dataset. The table is
logged and written to `levels.json` in the run.
"""

import os
import pathlib

import gin
from absl import app, flags, logging

from pdtla import specs
from pdtla.analysis import level_report, results
from pdtla.layers import module_io
from pdtla.training import configs, set_up
from pdtla.training import train as train_lib

_RUN = flags.DEFINE_string("run", None, "Workdir of a latent action model.")
_MAX_WINDOWS = flags.DEFINE_integer("max_windows", 4096, "Held-out windows to use.")
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 128, "Windows in a forward pass.")


def report(
    run: str, files: list[str], bindings: list[str], batch_size: int, max_windows: int
) -> level_report.Rows:
    """Measures the levels of a run; see `level_report.level_report`.

    Args:
      run: workdir of the run.
      files: gin files that replace parts of the run's configuration.
      bindings: bindings that do.
      batch_size: windows in a forward pass.
      max_windows: held-out windows to look at.

    Raises:
      ConfigError: there is no such run, or it has no levels.
    """
    config = os.path.join(run, "config.gin")
    if not os.path.exists(config):
        raise configs.ConfigError(f"There is no run in {run}: no config.gin.")
    fields = (specs.OBSERVATION, specs.ACTION)
    configs.parse_gin(
        [config, *files],
        [f"FIELDS = {fields!r}", *bindings],
        roots=[train_lib.train],
        base_file=None,
    )
    with set_up.setting_up():
        folder = pathlib.Path(run) / "modules"
        names = ["idm", "vq", "fdm"]
        if (folder / "skill").exists():
            names.append("skill")
        modules = {name: module_io.load_module(folder / name) for name in names}
        windows = gin.get_bindings(train_lib.train)["dataset"]()
        return level_report.level_report(
            modules,
            windows.heldout_batches(batch_size),
            num_actions=windows.element_spec[specs.ACTION].num_values,
            max_windows=max_windows,
        )


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    if not _RUN.value:
        raise configs.ConfigError("--run must be set: the workdir of a trained run.")
    rows = report(
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
