"""`report`, the health of a run's latent action model, for programs and tests."""

import pathlib
from typing import NamedTuple

import numpy as np
import tensorflow as tf

from launch import trained_run
from pdtla import specs
from pdtla.analysis import (
    health_figures,
    health_page,
    health_report,
    latent_figures,
    projector,
    results,
)
from pdtla.analysis.latent_model import LatentModel
from pdtla.datasets.joint_latents import open_latents
from pdtla.datasets.latent_store import LatentStore
from pdtla.datasets.window_dataset import WindowDataset
from pdtla.latent_actions.labeller import LATENTS, Labeller
from pdtla.layers import module_io
from pdtla.training import set_up
from pdtla.training.sinks.tensor_board import TensorBoard

DIRECTORY = "health"  # within the run

_SHOWN = 256  # windows from which those with most movement are shown


class Health(NamedTuple):
    """What was found about a run.

    Attributes:
      report: see `health_report.as_json`.
      figures: PNG bytes by title.
    """

    report: health_report.Report
    figures: dict[str, bytes]


def report(
    run: str,
    files: list[str],
    bindings: list[str],
    *,
    latents: str | None = None,
    max_windows: int = 4096,
    output: str | None = None,
) -> Health:
    """Examines a run and writes what is found, with pictures, into its workdir.

    Args:
      run: workdir of the run.
      files: gin files that replace parts of the run's configuration.
      bindings: bindings that do.
      latents: name of latents beside the dataset to examine, instead of those that
        the run's modules infer.
      max_windows: training and held-out transitions to look at, each.
      output: the page, by default `health/report.html` in the run.

    Raises:
      ConfigError: there is no such run, or it has no latent action model, or none of
        frames or states.
    """
    fields = (specs.OBSERVATION, specs.ACTION)
    settings = trained_run.read_settings(
        run, files, [f"FIELDS = {fields!r}", *bindings]
    )
    with set_up.setting_up():
        model = _load_model(run)
        dataset = settings["dataset"]()
        windows = getattr(dataset, "unlabelled", dataset)
        fit, test = health_report.draw(model, windows, max_windows=max_windows)
        stored = _stored_latents(run, windows, latents)
        num_actions = windows.element_spec[specs.ACTION].num_values
        items = health_report.examine(
            fit,
            test,
            vq=model.vq,
            num_actions=num_actions,
            stored=stored,
            examined=latents,
            games=getattr(windows.source, "names", ()),
        )
    found = health_report.as_json(
        items,
        run=run,
        env_id=settings["env_id"],
        step=module_io.read_metadata(pathlib.Path(run) / "modules" / "idm").get(
            "step", 0
        ),
        latents=latents or "inferred",
        unit="R²" if num_actions is None else "accuracy",
        windows={"fit": len(fit), "test": len(test)},
    )
    shown = test.inferred if latents is None else stored[latents][test.bases]
    figures = health_figures.figures(found, run, shown, test.actions[0])
    if windows.element_spec[specs.OBSERVATION].is_image:
        observation = windows.about(test.bases[:_SHOWN])[specs.OBSERVATION]
        figures |= latent_figures.latent_figures(model, observation, test.codes)
    directory = pathlib.Path(run) / DIRECTORY
    results.write_json(directory / "health.json", found)
    health_page.write_page(found, figures, output or directory / "report.html")
    _write_tensor_board(pathlib.Path(run), found, figures)
    projector.write_projector(directory, shown, test.actions[0], test.now)
    return Health(found, figures)


def _load_model(run: str) -> LatentModel:
    folder = pathlib.Path(run) / "modules"
    missing = [n for n in ("idm", "vq", "fdm") if not (folder / n).exists()]
    if missing:
        raise ValueError(
            f"A health report needs a latent action model; {run} has no module "
            f"{', '.join(missing)}."
        )
    return LatentModel.of(
        {name: module_io.load_module(folder / name) for name in ("idm", "vq", "fdm")}
    )


def _stored_latents(
    run: str, windows: WindowDataset, latents: str | None
) -> dict[str, np.ndarray]:
    """Latents beside the dataset that this run wrote, and those of the given name."""
    models = [Labeller(run, latent=latent) for latent in LATENTS]
    own = {model.fields[specs.LATENT_ACTION].made_by for model in models}
    older = {model.fingerprint for model in models}  # whose sets do not tell that
    found = {}
    source = windows.source
    directory = getattr(source, "directory", None)
    readers = getattr(source, "readers", (source,))
    for path in sorted(pathlib.Path(directory).glob(f"latents/*/{source.split}")):
        name = path.parent.name
        stores = [LatentStore(reader, name) for reader in readers]
        if all(
            store.exists
            and (
                store.manifest["model_fingerprint"] in older
                or getattr(store.element_spec.get(specs.LATENT_ACTION), "made_by", None)
                in own
            )
            for store in stores
        ):
            found[name] = open_latents(source, name).read()[specs.LATENT_ACTION]
    if latents is not None and latents not in found:
        found[latents] = open_latents(source, latents).read()[specs.LATENT_ACTION]
    return found


def _write_tensor_board(
    run: pathlib.Path, found: health_report.Report, figures: dict[str, bytes]
) -> None:
    step = found["step"]
    sink = TensorBoard(run, step=step - 1)
    scalars = {
        f"{name}/{key}": value
        for name, item in found["items"].items()
        for key, value in item["values"].items()
    }
    sink.scalars(step, DIRECTORY, scalars)
    sink.text(step, DIRECTORY, "verdicts", health_report.markdown_table(found))
    pictures = {
        title: tf.io.decode_png(data, channels=3)[None]
        for title, data in figures.items()
    }
    sink.images(step, DIRECTORY, pictures)
    sink.close()
