"""`compare`, everything that a comparison of runs says."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from launch import compared_run
from pdtla.analysis import comparison as comparison_lib
from pdtla.analysis import results as results_lib
from pdtla.analysis import summary
from pdtla.training import configs


def compare(runs: Sequence[compared_run.ComparedRun]) -> dict[str, Any]:
    """Compares the methods of some runs.

    Args:
      runs: finished and rolled out.

    Returns:
      `env_id`; `evaluation`, what all runs share of it, and `evaluated_differently`,
      what they don't; `methods`, rows as of
      `summary.method_rows` with `runs`, the workdirs, `training_seeds` and `settings`,
      what tells the method from the others; `differences`, see
      `pdtla.analysis.comparison`, if all were rolled out alike.

    Raises:
      ConfigError: two runs are the same, or the levels of rollouts differ.
    """
    groups = compared_run.by_method(runs)
    names = compared_run.names(groups)
    played = {
        name: comparison_lib.Played(
            {run.results["seed"]: _flat(run, "returns") for run in group},
            {run.results["seed"]: _flat(run, "levels") for run in group},
        )
        for name, group in zip(names, groups, strict=True)
    }
    varying = compared_run.differences([run.evaluation for run in runs])
    try:
        differences = [] if varying else comparison_lib.paired_differences(played)
    except ValueError as error:
        raise configs.ConfigError(configs.one_line(error)) from error
    labels = {
        name: group[0].results["labels"]
        for name, group in zip(names, groups, strict=True)
    }
    returns = {name: list(each.returns.values()) for name, each in played.items()}
    rows = summary.method_rows(returns, labels)
    apart = compared_run.differences([group[0].method for group in groups])
    for index, (row, group) in enumerate(zip(rows, groups, strict=True)):
        row["runs"] = [str(run.workdir) for run in group]
        row["training_seeds"] = [run.results["seed"] for run in group]
        row["wall_seconds"] = sum(run.results["wall_seconds"] for run in group)
        row["settings"] = {name: values[index] for name, values in apart.items()}
    return {
        "env_id": runs[0].results["env_id"],
        "evaluation": {
            name: str(value)
            for name, value in sorted(runs[0].evaluation.items())
            if name not in varying and value is not None
        },
        "evaluated_differently": varying,
        "methods": rows,
        "differences": differences,
    }


def _flat(run: compared_run.ComparedRun, name: str) -> np.ndarray | None:
    values = run.results["rollouts"].get(name)
    return None if values is None else np.array(results_lib.flat(values))
