"""`report`, the levels of a run's residual quantizer, for programs and tests."""

import pathlib

from launch import trained_run
from pdtla import specs
from pdtla.analysis import level_report
from pdtla.layers import module_io
from pdtla.training import set_up


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
    fields = (specs.OBSERVATION, specs.ACTION)
    settings = trained_run.read_settings(
        run, files, [f"FIELDS = {fields!r}", *bindings]
    )
    with set_up.setting_up():
        folder = pathlib.Path(run) / "modules"
        names = ["idm", "vq", "fdm"]
        if (folder / "skill").exists():
            names.append("skill")
        modules = {name: module_io.load_module(folder / name) for name in names}
        windows = settings["dataset"]()
        return level_report.level_report(
            modules,
            windows.heldout_batches(batch_size),
            windows.train_batches(batch_size, seed=0),
            num_actions=windows.element_spec[specs.ACTION].num_values,
            max_windows=max_windows,
        )
