"""Statistics of a float field over the episodes trained on, computed once."""

import dataclasses
import json
import pathlib

import numpy as np

from pdtla import specs
from pdtla.datasets import rlds_reader, running_statistics, whole_file

_ROWS = 1 << 16
# A component that varies less than this fraction of the typical one is constant.
_CONSTANT = 1e-3
# Actions may leave their bounds by what rounding explains.
_TOLERANCE = 1e-3


def standardized(
    spec: specs.ArraySpec, source: rlds_reader.RldsReader, num_trajs: int
) -> specs.ArraySpec:
    """Adds mean and standard deviation of float states to the spec of observations.

    A component that is constant in the data (its deviation is below 1/1000 of the root
    mean square over the components) takes that root mean square for its deviation, 1 if
    it is 0: should it vary in a rollout, it counts as much as the others.

    Args:
      spec: of one step; other than float vectors it comes back unchanged.
      source: the dataset whose statistics to take.
      num_trajs: how many of its first trajectories are trained on.

    Raises:
      ValueError: the source has states of another width, or not all are finite.
    """
    if not spec.dtype.startswith("float") or len(spec.shape) != 1:
        return spec
    theirs = source.element_spec.get(specs.OBSERVATION)
    if theirs is None or theirs.shape != spec.shape:
        raise ValueError(
            f"Statistics of {source.directory} need observations of the shape "
            f"{spec.shape}, got {theirs and theirs.shape}."
        )
    stored = of(source, specs.OBSERVATION, num_trajs)
    std = np.array(stored["std"])
    typical = np.sqrt(np.mean(np.square(std)))
    std = np.where(std > _CONSTANT * typical, std, typical or 1.0)
    return dataclasses.replace(
        spec, mean=tuple(stored["mean"]), std=tuple(std.tolist())
    )


def bounded(
    spec: specs.ArraySpec, source: rlds_reader.RldsReader, num_trajs: int
) -> specs.ArraySpec:
    """Checks the bounds of continuous actions, or takes them from the data.

    Args:
      spec: of one action; discrete ones come back unchanged.
      source: the dataset; its `action_bounds` say which.
      num_trajs: how many of its first trajectories are trained on.

    Raises:
      ValueError: an action lies outside of the bounds, or the datasets are joint.
    """
    if not spec.dtype.startswith("float"):
        return spec
    if hasattr(source, "readers"):
        raise ValueError(
            "Actions of joint datasets must be discrete, those of "
            f"{source.directory} are continuous."
        )
    stored = of(source, specs.ACTION, num_trajs)
    low, high = min(stored["min"]), max(stored["max"])
    if source.action_bounds == "data":
        return dataclasses.replace(spec, minimum=low, maximum=high)
    minimum, maximum = source.action_bounds
    slack = _TOLERANCE * (maximum - minimum)
    if low < minimum - slack or high > maximum + slack:
        raise ValueError(
            f"Actions of {source.directory} must lie in action_bounds "
            f"{tuple(source.action_bounds)}, they lie in {(low, high)}; "
            'action_bounds="data" takes them as they are.'
        )
    return spec


def of(source: rlds_reader.RldsReader, field: str, num_trajs: int) -> dict:
    """Count, mean, deviation and range of each component over the first trajectories.

    Kept as JSON beside the decoded field.

    Raises:
      ValueError: no step, or a value is not finite.
    """
    path = pathlib.Path(f"{source.decoded_path(field)}.statistics-{num_trajs}.json")
    if path.exists():
        return json.loads(path.read_text())
    count = int(source.lengths[:num_trajs].sum())
    array = source.array(field)[:count].reshape(count, -1)
    statistics = running_statistics.RunningStatistics()
    for start in range(0, count, _ROWS):
        statistics.update(array[start : start + _ROWS])
    stored = statistics.to_json()
    if not np.isfinite(stored["mean"]).all():
        raise ValueError(
            f"Field {field!r} of {source.directory} must be finite, "
            f"its means are {stored['mean']}."
        )
    with whole_file.whole_file(path) as temporary:
        temporary.write_text(json.dumps(stored))
    return stored
