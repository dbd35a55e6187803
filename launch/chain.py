"""`Chain`: the stages of an experiment in one process, each skipped if up to date."""

import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any

import gin
import keras
from absl import logging

from launch import trained_run
from pdtla.analysis import results as results_lib
from pdtla.datasets import build, rlds_reader, window_dataset
from pdtla.experts import expert as expert_lib
from pdtla.latent_actions import labeller as labeller_lib
from pdtla.latent_actions import relabel as relabel_lib
from pdtla.layers import module_io
from pdtla.training import configs, set_up
from pdtla.training import train as train_lib
from pdtla.training import workdir as workdir_lib

# Macros that name the run of a model that another one stands on.
_MODELS = ("LAM_RUN", "DECODER_RUN")


class Chain:
    """Runs stages under one preset, data directory and directory of results.

    A preset is a folder of gin files: `common.gin`, read by every stage, which includes
    the environment's file, and one file for each kind of stage that needs numbers of
    its own.

    Args:
      preset: folder of the preset.
      data_dir: where datasets are.
      directory: where the workdirs go.

    Attributes:
      wall_seconds: seconds that each step took when it was run.
    """

    def __init__(self, preset: str, data_dir: str, directory: pathlib.Path):
        self.preset = preset
        self.data_dir = data_dir
        self.directory = directory
        self._timings = directory / "wall_seconds.json"
        self.wall_seconds = (
            results_lib.read_json(self._timings) if self._timings.exists() else {}
        )

    def build_dataset(self, name: str = "dataset", **bindings: Any) -> pathlib.Path:
        """Builds the dataset, or one that these macros change, unless it is there."""
        self._parse_data(bindings)
        make = gin.get_configurable(build.build)
        with set_up.setting_up():
            return self._timed(name, make)

    def player(self) -> expert_lib.Expert | None:
        """Who plays the preset's dataset; None for the best there is."""
        self._parse_data({})
        with set_up.setting_up():
            return gin.get_bindings(build.build)["expert"]

    def train(
        self,
        name: str,
        stage: str,
        numbers: str,
        files: Sequence[str] = (),
        **bindings: Any,
    ) -> results_lib.Results:
        """Trains a stage, or returns the results of the finished run.

        Args:
          name: of the workdir, below the directory of results.
          stage: file in `gin/stages`.
          numbers: file of the preset.
          files: further gin files, read last.
          **bindings: macros of this run.

        Raises:
          ConfigError: the workdir holds a run of another configuration or other data.
        """
        own = [f"gin/stages/{stage}.gin", f"{self.preset}/{numbers}.gin"]
        self._parse(
            [*own, *files], {"DATA_DIR": self.data_dir} | bindings, [train_lib.train]
        )
        workdir = str(self.run(name))
        self._check_models(name, bindings)
        train = gin.get_configurable(train_lib.train)
        results = self._timed(name, lambda: train(workdir=workdir))
        self._check_data(name, results)
        keras.backend.clear_session()
        return results_lib.as_trained(results)

    def evaluate(
        self,
        run: str,
        name: str,
        files: Sequence[str] = (),
        decoder: str | None = None,
        **bindings: Any,
    ) -> results_lib.Results:
        """Rolls a run's policy out, or returns the outcome of the last time.

        Args:
          run: the finished run.
          name: of the outcome, in the run's workdir.
          files: gin files that replace parts of the run's configuration.
          decoder: the run whose decoder a latent policy without one acts through.
          **bindings: macros that replace those of the run's configuration.

        Returns:
          The section `rollouts` of results, with the levels of the episodes.
        """
        workdir = self.run(run)
        path = workdir / "evaluations" / f"{name}.json"
        decoder_run = str(self.run(decoder)) if decoder else None
        replaced = [f"{key} = {value!r}" for key, value in bindings.items()]
        trained_run.read_settings(str(workdir), list(files), replaced)
        settings = {"config": gin.config_str(), "models": _digests(workdir)}
        if decoder_run:
            settings["decoder"] = _digests(decoder_run)
        if path.exists():
            stored = results_lib.read_json(path)
            if stored["settings"] == settings:
                return stored["rollouts"]
        section = self._timed(
            f"{run}, {name}",
            lambda: _evaluated(workdir, list(files), replaced, decoder_run),
        )
        path.parent.mkdir(exist_ok=True)
        results_lib.write_json(path, {"settings": settings, "rollouts": section})
        keras.backend.clear_session()
        return section

    def relabel(
        self, name: str, run: str, latent: str = "continuous", **bindings: Any
    ) -> pathlib.Path:
        """Writes latents of this name with the modules of a run.

        Args:
          name: of the latents.
          run: the workdir whose modules label.
          latent: "continuous" or "quantized", see `Labeller`.
          **bindings: macros that name another dataset than the preset's.
        """
        source = self.source(**bindings)
        with set_up.setting_up():
            labeller = labeller_lib.Labeller(str(self.run(run)), latent=latent)
            label = lambda: relabel_lib.relabel(  # noqa: E731
                source=source, labeller=labeller, name=name
            )
            store = self._timed(f"{run}, relabelling", label)
        keras.backend.clear_session()
        return store.directory

    def source(self, **bindings: Any) -> rlds_reader.RldsReader:
        """The reader of the dataset, or of one that these macros name."""
        bindings = {"DATA_DIR": self.data_dir} | bindings
        self._parse(["gin/data/rlds.gin"], bindings, [rlds_reader.RldsReader])
        with set_up.setting_up():
            return gin.get_configurable(rlds_reader.RldsReader)()

    def windows(self, **arguments: Any) -> window_dataset.WindowDataset:
        """LAPO windows of the dataset."""
        bindings = {"DATA_DIR": self.data_dir}
        windows = window_dataset.WindowDataset
        self._parse(["gin/data/lapo.gin"], bindings, [windows])
        with set_up.setting_up():
            return gin.get_configurable(windows)(**arguments)

    def make(
        self, configurable: Callable, macros: dict[str, Any] | None = None, **arguments
    ) -> Any:
        """Makes something that the environment file and the preset configure."""
        self._parse([], macros or {}, [configurable])
        with set_up.setting_up():
            return gin.get_configurable(configurable)(**arguments)

    def run(self, name: str) -> pathlib.Path:
        """The workdir of a stage."""
        return self.directory / name

    def _parse_data(self, bindings: dict[str, Any]) -> None:
        self._parse(
            [f"{self.preset}/data.gin"],
            {"DATA_DIR": self.data_dir} | bindings,
            [build.build],
            base_file="gin/data/build.gin",
        )

    def _parse(
        self,
        files: Sequence[str],
        bindings: dict[str, Any],
        roots: Sequence[Callable],
        **kwargs: Any,
    ) -> None:
        configs.parse_gin(
            [f"{self.preset}/common.gin", *files],
            [f"{name} = {value!r}" for name, value in bindings.items()],
            roots=roots,
            **kwargs,
        )

    def _check_data(self, name: str, results: results_lib.Results) -> None:
        """A finished run is only up to date if its data is still what it was."""
        settings = gin.get_bindings(train_lib.train)
        fingerprint = settings["dataset"]().fingerprint
        if results["dataset_fingerprint"] != fingerprint:
            raise configs.ConfigError(
                f"{self.run(name)} was trained on other data than there is now; "
                "remove it, or give another output directory."
            )

    def _check_models(self, name: str, bindings: dict[str, Any]) -> None:
        """Likewise if the models that it stands on are still what they were.

        A run that was stopped does not go on with others, either.
        """
        found = {
            macro: _digests(bindings[macro]) for macro in _MODELS if macro in bindings
        }
        path = self.run(name) / "models.json"
        held = workdir_lib.holds_run(self.run(name)) and path.exists()
        stored = results_lib.read_json(path) if held else found
        if stored != found:
            raise configs.ConfigError(
                f"{self.run(name)} was trained with another {_changed(stored, found)} "
                "than there is now; remove it, or give another output directory."
            )
        if found:
            path.parent.mkdir(parents=True, exist_ok=True)
            results_lib.write_json(path, found)

    def _timed(self, name: str, step: Callable[[], Any]) -> Any:
        """Runs a step; a skipped one keeps the seconds it once took."""
        logging.info("== %s", name)
        start = time.monotonic()
        result = step()
        seconds = time.monotonic() - start
        self.wall_seconds[name] = max(seconds, self.wall_seconds.get(name, 0.0))
        self.directory.mkdir(parents=True, exist_ok=True)
        results_lib.write_json(self._timings, self.wall_seconds)
        return result


def _digests(run: str | pathlib.Path) -> dict[str, str]:
    """Digests of the weights of a run's modules."""
    return {
        path.name: module_io.read_digest(path)
        for path in sorted((pathlib.Path(run) / "modules").glob("*"))
    }


def _changed(before: dict[str, Any], now: dict[str, Any]) -> str:
    return ", ".join(key for key in now if before.get(key) != now[key])


def _evaluated(
    workdir: pathlib.Path,
    files: list[str],
    bindings: list[str],
    decoder_run: str | None,
) -> results_lib.Results:
    run = trained_run.load_run(str(workdir), files, bindings)
    if decoder_run:
        run = trained_run.with_decoder(run, decoder_run)
    evaluator = trained_run.make_evaluator(run)
    return evaluator.section(evaluator(run.stage, run.step))
