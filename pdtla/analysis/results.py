"""`results.json`, what a run leaves behind for tables and reports."""

import json
import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from pdtla.analysis import aggregate, files

FILE_NAME = "results.json"

Results = dict[str, Any]

_NUMBER = (int, float)
# Field -> the types it may have. `labels` counts labelled steps, None means all.
_FIELDS = {
    "stage": (str,),
    "env_id": (str,),
    "dataset": (str,),
    "seed": (int,),
    "step": (int,),
    "labels": (int, type(None)),
    "heldout": (dict,),
    "wall_seconds": _NUMBER,
    "frames_per_second": _NUMBER,
}
_OF_TRAINING = "rollouts_of_training"
_ROLLOUT_FIELDS = {
    "returns": (list,),
    "lengths": (list,),
    "mean": _NUMBER,
    "median": _NUMBER,
    "iqm": _NUMBER,
    "ci95": (list,),
}


def summarize_rollouts(
    returns: np.ndarray,
    lengths: np.ndarray,
    *,
    successes: np.ndarray | None = None,
    reference: Mapping[str, float | str] | None = None,
    seed: int = 0,
) -> Results:
    """The `rollouts` section of `results.json` for one set of episodes.

    Args:
      returns: `[N, E]` raw, undiscounted episode returns, terminal reward included.
      lengths: `[N, E]` steps of the episodes.
      successes: bool `[N, E]`, which episodes solved their task, or None.
      reference: `min` and `max` (returns that normalise to 0 and 1) and their `name`.
      seed: seed of the bootstrap of the 95% interval of the mean.

    Returns:
      `returns` and `lengths` as lists of N lists of E numbers, the statistics of the
      pooled returns and, where given, `successes` as such lists, `success_rate` with
      its interval `success_ci95`, and of a reference `normalized_mean`.
    """
    scores = np.asarray(returns, np.float64).ravel()
    interval = aggregate.bootstrap_interval(scores, seed=seed)
    section = {
        "returns": np.asarray(returns, np.float64).tolist(),
        "lengths": np.asarray(lengths).tolist(),
        "episodes": scores.size,
        "mean": interval.estimate,
        "median": float(aggregate.median(scores)),
        "iqm": float(aggregate.iqm(scores)),
        "ci95": [interval.low, interval.high],
        "standard_error": aggregate.standard_error(scores),
        "length_mean": float(np.mean(lengths)),
    }
    if successes is not None:
        solved = np.asarray(successes, np.float64).ravel()
        interval_of_rate = aggregate.bootstrap_interval(solved, seed=seed)
        section["successes"] = np.asarray(successes, bool).tolist()
        section["success_rate"] = interval_of_rate.estimate
        section["success_ci95"] = [interval_of_rate.low, interval_of_rate.high]
    if reference is not None:
        low, high = float(reference["min"]), float(reference["max"])
        section["normalized_mean"] = float(
            aggregate.normalize(interval.estimate, low, high)
        )
        section["reference"] = {"min": low, "max": high, "name": reference["name"]}
    return section


def write_results(path: str | os.PathLike, results: Mapping[str, Any]) -> None:
    """Validates and writes results so that no reader ever sees half a file.

    Raises:
      ValueError: a field is missing, of the wrong type, or not finite.
    """
    validate(results, os.fspath(path))
    write_json(path, results)


def read_results(path: str | os.PathLike) -> Results:
    """Reads and validates a results file.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is damaged or not of this schema.
    """
    results = read_json(path)
    validate(results, os.fspath(path))
    return results


def validate(results: Any, where: str = "results") -> None:
    """Raises a one-line `ValueError` unless the results follow the schema."""
    if not isinstance(results, Mapping):
        raise ValueError(f"{where} must hold an object, got {type(results).__name__}.")
    _check_fields(results, _FIELDS, where)
    if "rollouts" in results:
        rollouts = results["rollouts"]
        if not isinstance(rollouts, Mapping):
            raise ValueError(f"{where}: rollouts must be an object, got {rollouts!r}.")
        _check_fields(rollouts, _ROLLOUT_FIELDS, f"{where}: rollouts")


def with_rollouts(results: Results, section: Results) -> Results:
    """Results with other `rollouts`; those of training are kept beside them."""
    kept = {_OF_TRAINING: results.get("rollouts")}
    return kept | results | {"rollouts": section}


def as_trained(results: Results) -> Results:
    """Results as training left them, whatever was rolled out afterwards."""
    others = {k: v for k, v in results.items() if k not in (_OF_TRAINING, "rollouts")}
    section = results.get(_OF_TRAINING, results.get("rollouts"))
    return others if section is None else others | {"rollouts": section}


def flat(values: list) -> list[float]:
    """Returns, lengths or levels of results, `[N, E]`, as one list."""
    return np.ravel(values).tolist()


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes JSON atomically; NaN and infinities, which are no JSON, are refused.

    Raises:
      ValueError: the value holds a number that is not finite.
    """
    _check_finite(value, os.fspath(path))
    text = json.dumps(value, indent=2, allow_nan=False) + "\n"
    files.write_atomically(path, text.encode())


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file.

    Raises:
      FileNotFoundError: there is none.
      ValueError: it is not JSON.
    """
    path = os.fspath(path)
    if not os.path.isfile(path):
        raise FileNotFoundError(f"There is no file {path}.")
    try:
        with open(path) as file:
            return json.load(file)
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is damaged: {error}.") from error


def _check_fields(values: Mapping, fields: Mapping[str, tuple], where: str) -> None:
    for name, types in fields.items():
        if name not in values:
            raise ValueError(f"{where} lacks the field {name!r}.")
        value = values[name]
        # bool is an int to Python, but never what these fields hold.
        if not isinstance(value, types) or isinstance(value, bool):
            names = " or ".join(t.__name__ for t in types)
            raise ValueError(f"{where}: {name} must be {names}, got {value!r:.80}.")


def _check_finite(value: Any, where: str, name: str = "") -> None:
    if isinstance(value, Mapping):
        for key, item in value.items():
            _check_finite(item, where, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple):
        for item in value:
            _check_finite(item, where, name)
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError(f"{where}: {name} must be finite, got {value}.")
