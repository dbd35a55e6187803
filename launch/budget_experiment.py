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
            macros = self._family.pools[pool].macros
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
        budget = label_budget.Budget(
            labels=settings.labels,
            returns={
                method: np.array([found[f"{method} {n}"] for n in settings.labels])
                for method in settings.methods
            },
            all_labels=np.array(found["bc_all"]),
            trivial={name: np.array(found[name][0]) for name in references.TRIVIAL},
        )
        return {
            "experiment": self._name,
            "env_id": settings.env_id,
            "preset": settings.preset,
            "pool": settings.pool,
            "outcome": self._family.outcome,
            "seeds": list(seeds),
            "labels": list(settings.labels),
            "command": provenance.command("label_budget"),
            "commit": provenance.commit(),
            "wall_seconds": sum(self._chain.wall_seconds.values()),
            "expert": float(np.mean(found[references.EXPERT])),
            **label_budget.summarize(budget, settings.share),
            "episodes": found,
        }

    def _write(self, summary: dict[str, Any]) -> None:
        directory = self._chain.directory
        results_lib.write_json(directory / "summary.json", summary)
        budget_page.write(summary, directory)
