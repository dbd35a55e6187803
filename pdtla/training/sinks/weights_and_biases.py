"""`WeightsAndBiases`, a mirror of the scalars of a run."""

import functools
import math
import os
import pathlib
import secrets
import types
from collections.abc import Callable, Mapping

from pdtla.analysis import files
from pdtla.training.config_error import ConfigError
from pdtla.training.sinks import sink

MODES = ("offline", "online", "disabled")
_STEP = "step"


class WeightsAndBiases(sink.Sink):
    """Mirrors scalars, hyperparameters and headline numbers to Weights & Biases.

    A resumed run goes on under the id that its workdir holds. Nothing can be taken
    back there: what the resumed run reports again stands twice, with the same values
    at the same steps. Offline records are in `<workdir>/wandb`; `wandb sync --append`
    sends them.

    Args:
      directory: the workdir; its last two folders name the run.
      step: number of updates made so far.
      project: of Weights & Biases.
      mode: one of `MODES`.
    """

    def __init__(self, directory: pathlib.Path, *, step: int, project: str, mode: str):
        wandb = _import_wandb()
        folders = directory.resolve().parts[-2:]
        self._run = wandb.init(
            project=project,
            mode=mode,
            id=_run_id(directory),
            name="/".join(folders),
            group=folders[0],
            dir=str(directory),
            resume="allow" if step else None,
            settings=wandb.Settings(console="off", silent=True),
        )
        # Splits report at steps of their own, which W&B's own count can't go back to.
        self._run.define_metric(_STEP, hidden=True)
        self._run.define_metric("*", step_metric=_STEP)
        self._finished = False

    def hyperparameters(self, values: sink.Hyperparameters) -> None:
        self._run.config.update(dict(values), allow_val_change=True)

    def scalars(self, step: int, split: str, values: Mapping[str, float]) -> None:
        record = {f"{split}/{name}": value for name, value in values.items()}
        self._run.log({_STEP: step, **record})

    def headline(self, step: int, values: Mapping[str, float]) -> None:
        finite = {name: v for name, v in values.items() if math.isfinite(v)}
        self._run.summary.update({"headline_step": step, **finite})

    def finished(self) -> None:
        self._finished = True

    def flush(self) -> None:
        """Does nothing: what was logged is in the hands of W&B's own process."""

    def close(self) -> None:
        self._run.finish(exit_code=0 if self._finished else 1)


def mirror(project: str, mode: str | None) -> Callable[..., WeightsAndBiases]:
    """Returns what makes the sink of a run, given `directory` and `step`.

    Args:
      project: of Weights & Biases.
      mode: one of `MODES`; None for `WANDB_MODE` where that is set, else online with
        `WANDB_API_KEY` and offline without.

    Raises:
      ConfigError: wandb is not installed, or there is no such mode.
    """
    if mode is None:
        keyed = "online" if os.environ.get("WANDB_API_KEY") else "offline"
        mode = os.environ.get("WANDB_MODE") or keyed
    if mode not in MODES:
        raise ConfigError(f"The mode of wandb must be one of {MODES}, got {mode!r}.")
    _import_wandb()
    return functools.partial(WeightsAndBiases, project=project, mode=mode)


def _import_wandb() -> types.ModuleType:
    try:
        import wandb
    except ImportError as error:
        raise ConfigError(
            "--wandb needs the package wandb: pip install -r requirements-wandb.txt."
        ) from error
    return wandb


def _run_id(directory: pathlib.Path) -> str:
    file = directory / "wandb_run_id"
    if not file.exists():
        files.write_atomically(file, secrets.token_hex(4).encode())
    return file.read_text()
