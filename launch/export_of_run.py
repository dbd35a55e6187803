"""`export`, a run as a SavedModel, for programs and tests."""

import os
import pathlib
import tempfile
from typing import Any

import tensorflow as tf

from launch import trained_run
from launch.commit import commit
from pdtla import specs, version
from pdtla.analysis import results as results_lib
from pdtla.export.labeller_functions import labeller_functions
from pdtla.export.policy_functions import policy_functions
from pdtla.export.saved_functions import Functions, describe, save_functions
from pdtla.latent_actions import labeller as labeller_lib
from pdtla.layers import module_io
from pdtla.training import configs, set_up

FACTS = "export.json"


def export(
    run: str,
    to: str,
    *,
    files: list[str] = (),
    bindings: list[str] = (),
    decoder_run: str | None = None,
    latent: str = "continuous",
    overwrite: bool = False,
) -> dict[str, Any]:
    """Exports what a run has learnt.

    Args:
      run: workdir of the run.
      to: the directory to write.
      files: gin files that replace parts of the run's configuration.
      bindings: bindings that do.
      decoder_run: see `Labeller`.
      latent: see `Labeller`.
      overwrite: replace an earlier export.

    Returns:
      What `export.json` tells.

    Raises:
      ConfigError: there is no such run, it neither acts nor infers latents, or the
        target is there.
    """
    target = pathlib.Path(to).absolute()
    _check_target(target, overwrite)
    with set_up.setting_up():
        settings = trained_run.read_settings(run, files, bindings)
        if (pathlib.Path(run) / "modules" / "idm").exists():
            functions, facts = _labeller(run, decoder_run, latent)
        else:
            if decoder_run or latent != "continuous":
                raise configs.ConfigError(
                    "--decoder_run and --latent are for latent action models; a policy "
                    "takes --gin.DECODER_RUN=..."
                )
            functions, facts = _policy(run, settings)
        facts = {
            "run": os.path.abspath(run),
            "stage": settings["stage"].__name__,
            "env_id": settings.get("env_id", ""),
            **facts,
            "functions": describe(functions),
            "pdtla": version.__version__,
            "commit": commit(),
            "tensorflow": tf.__version__,
        }
        _write(target, functions, facts)
    return facts


def _policy(run: str, settings: dict[str, Any]) -> tuple[Functions, dict[str, Any]]:
    loaded = trained_run.restore_latest(trained_run.build_run(run, settings))
    element_spec = loaded.dataset.element_spec
    functions = policy_functions(loaded.stage, element_spec)
    modules = loaded.stage.modules()
    observation = element_spec[specs.OBSERVATION]
    action = functions["act"].structured_outputs[specs.ACTION]
    distribution = modules.get("decoder", modules["policy"]).distribution
    bounds = distribution.action_spec()
    return functions, {
        "kind": "policy",
        "step": loaded.step,
        "observation": {
            "shape": observation.shape[1:],
            "dtype": observation.dtype,
        },
        "action": {
            "shape": action.shape[1:].as_list(),
            "dtype": action.dtype.name,
            "num_values": bounds.num_values,
            "minimum": bounds.minimum,
            "maximum": bounds.maximum,
        },
        "context_window": getattr(loaded.stage, "context_window", 1),
    }


def _labeller(
    run: str, decoder_run: str | None, latent: str
) -> tuple[Functions, dict[str, Any]]:
    labeller = labeller_lib.Labeller(run, decoder_run, latent)
    metadata = module_io.read_metadata(pathlib.Path(run) / "modules" / "idm")
    return labeller_functions(labeller), {
        "kind": "labeller",
        "step": metadata.get("step"),
        "window": {
            "shape": labeller.window.shape,
            "dtype": labeller.window.dtype,
            "now": labeller.num_frames - 1 - labeller.future,
        },
        "latent": latent,
        "num_codes": getattr(labeller.vq, "num_codes", None),
        "num_actions": labeller.fields[specs.ACTION].num_values
        if specs.ACTION in labeller.fields
        else None,
        "fingerprint": labeller.fingerprint,
    }


def _check_target(target: pathlib.Path, overwrite: bool) -> None:
    if not target.exists():
        return
    if not overwrite:
        raise configs.ConfigError(f"{target} is there; --overwrite replaces it.")
    if not (target / FACTS).is_file():
        raise configs.ConfigError(
            f"{target} is no earlier export (no {FACTS}); it is left alone."
        )


def _write(target: pathlib.Path, functions: Functions, facts: dict[str, Any]) -> None:
    """Writes the export beside its target, and gives it the name when it is whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".export-") as folder:
        made = pathlib.Path(folder) / "made"
        save_functions(functions, made)
        results_lib.write_json(made / FACTS, facts)
        if target.exists():
            target.rename(pathlib.Path(folder) / "replaced")
        made.rename(target)
