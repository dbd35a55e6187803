"""`Experiment`, one label budget: labels x method x seed."""

import pathlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from launch import budget_settings, provenance, references
from launch import chain as chain_lib
from launch import few_labels_family as family_lib
from launch import few_labels_study as study_lib
from pdtla.analysis import budget_page, label_budget
from pdtla.analysis import results as results_lib


class Experiment:
    """Runs one experiment and writes what it finds.

    Args:
      name: of the experiment.
      settings: what it compares.
      data_dir: of the datasets.
      directory: of its results.
    """

    def __init__(
        self,
        name: str,
        settings: budget_settings.BudgetSettings,
        data_dir: str,
        directory: pathlib.Path,
    ):
        self._name = name
        self._settings = settings
        self._family = family_lib.family_of(settings.env_id)
        self._chain = chain_lib.Chain(settings.preset, data_dir, directory)

    def run(self) -> dict[str, Any]:
        """Runs what is not done yet; returns the summary, which is written as well."""
        env_id = self._settings.env_id
        for pool in dict.fromkeys((family_lib.EXPERT, self._settings.pool)):
            macros = dict(self._family.pools[pool].macros) | dict(self._settings.data)
            self._chain.build_dataset(f"{pool} data", ENV_ID=env_id, **macros)
        played = references.measure_with_trivial(
            self._chain,
            self._family.make_expert,
            self._family.source(family_lib.EXPERT, env_id),
            {"ENV_ID": env_id},
        )
        found: dict[str, Any] = {
            name: [each[self._family.outcome]] for name, each in played.items()
        }
        for done, seed in enumerate(self._settings.seeds, start=1):
            study = study_lib.Study(self._chain, env_id, seed)
            rollouts = study.run("bc_all", None)
            found.setdefault("bc_all", []).append(self._episodes(rollouts))
            for number in self._settings.labels:
                labels = self._settings.labels_of(number)
                for method in self._settings.methods:
                    rollouts = study.run(budget_settings.METHODS[method], labels)
                    key = f"{method} {number}"
                    found.setdefault(key, []).append(self._episodes(rollouts))
            summary = self._summary(found, self._settings.seeds[:done])
            self._write(summary)
        return summary

    def _episodes(self, rollouts: results_lib.Results) -> list[float]:
        return np.ravel(rollouts[self._family.outcome]).astype(float).tolist()

    def _summary(
        self, found: dict[str, list[list[float]]], seeds: Sequence[int]
    ) -> dict[str, Any]:
        settings = self._settings
        rows = [
            {"method": method, "labels": number, "returns": found[f"{method} {number}"]}
            for method in settings.methods
            for number in settings.labels
        ]
        names = (*references.TRIVIAL, references.EXPERT, "bc_all")
        others = {name: found[name] for name in names}
        said = label_budget.summarize(
            label_budget.of_rows(rows, others), settings.share
        )
        said["rows"] = [
            row | each for row, each in zip(said["rows"], rows, strict=True)
        ]
        return {
            "experiment": self._name,
            "env_id": settings.env_id,
            "pool": settings.pool,
            "outcome": self._family.outcome,
            "labels": list(settings.labels),
            **provenance.of(self._chain, "label_budget", seeds),
            "references": others,
            **said,
        }

    def _write(self, summary: dict[str, Any]) -> None:
        directory = self._chain.directory
        results_lib.write_json(directory / "summary.json", summary)
        budget_page.write(summary, directory)
