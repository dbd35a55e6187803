"""`ComparedRun`, a finished run as a comparison sees it."""

import collections
import pathlib
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from pdtla.analysis import results as results_lib
from pdtla.training import bindings, configs, workdir

# They name the runs before, whose names hold the seed.
_OF_SEED = ("LOAD_LATENT_ACTIONS", "LAM_RUN", "IDM_RUN", "DECODER_RUN", "START_RUN")
# What does not change how methods are measured; results tell the last two.
_NO_EVALUATION = {"SEED", "DATA_DIR", "RECORD", "NUM_EVAL_ROLLOUTS", "EVAL_MODES"}


class ComparedRun(NamedTuple):
    """A finished run.

    Attributes:
      workdir: of the run.
      results: of the run.
      method: everything that makes the method, by its places in the configuration:
        all but the seed; runs that it stands on may still tell it in their names.
      evaluation: everything that makes the evaluation.
    """

    workdir: pathlib.Path
    results: results_lib.Results
    method: Mapping[str, str]
    evaluation: Mapping[str, Any]


def read(directory: str | pathlib.Path) -> ComparedRun:
    """Reads a run.

    Raises:
      ConfigError: it is none, not finished, or was never rolled out.
    """
    path = pathlib.Path(directory)
    config = path / workdir.CONFIG
    if not config.is_file():
        raise configs.ConfigError(f"{path} is not the workdir of a run: no config.gin.")
    try:
        results = results_lib.read_results(path / results_lib.FILE_NAME)
    except (FileNotFoundError, ValueError) as error:
        raise configs.ConfigError(
            f"The run {path} is not finished: {configs.one_line(error)}"
        ) from error
    if "rollouts" not in results:
        raise configs.ConfigError(
            f"The run {path} was never rolled out: python -m launch.evaluate "
            f"--run={path}."
        )
    configs.parse_gin([str(config)], [], roots=[], base_file=None)
    return ComparedRun(
        path,
        results,
        _method(),
        _evaluation(results),
    )


def check_evaluations(runs: Sequence[ComparedRun]) -> None:
    """Raises a `ConfigError` that names the first difference between evaluations."""
    first = runs[0]
    for other in runs[1:]:
        found = differences([first.evaluation, other.evaluation])
        for name, values in found.items():
            a, b = (f"{value:.60}" for value in values)
            raise configs.ConfigError(
                f"{first.workdir} and {other.workdir} were evaluated differently: "
                f"{name} is {a} and {b}; --allow_different_evaluation compares them "
                "all the same."
            )


def differences(settings: Sequence[Mapping[str, Any]]) -> dict[str, list[str]]:
    """The values that are not the same in all settings, as text, "-" for none."""
    names = dict.fromkeys(name for each in settings for name in each)
    found = {}
    for name in sorted(names):
        values = [str(each.get(name, "-")) for each in settings]
        if len(set(values)) > 1:
            found[name] = values
    return found


def by_method(runs: Iterable[ComparedRun]) -> list[list[ComparedRun]]:
    """Runs that differ in nothing but their seeds, by their seeds.

    What they stand on may be one run, or one run a seed whose name tells the seed.

    Raises:
      ConfigError: two runs of a method have one seed.
    """
    runs = list(runs)
    named = collections.Counter(
        (_but_for_runs(run.method), item)
        for run in runs
        for item in run.method.items()
        if item[0] in _OF_SEED
    )
    groups: dict[tuple, dict[int, ComparedRun]] = {}
    for run in runs:
        others = _but_for_runs(run.method)
        stands_on = tuple(
            # One that several runs name is shared by their seeds.
            (name, text if named[others, (name, text)] > 1 else _unseeded(run, text))
            for name, text in sorted(run.method.items())
            if name in _OF_SEED
        )
        seeds = groups.setdefault((others, stands_on), {})
        seed = run.results["seed"]
        if seed in seeds:
            raise configs.ConfigError(
                f"{seeds[seed].workdir} and {run.workdir} are the same run: one "
                f"configuration, seed {seed}."
            )
        seeds[seed] = run
    return [[seeds[seed] for seed in sorted(seeds)] for seeds in groups.values()]


def names(groups: Sequence[Sequence[ComparedRun]]) -> list[str]:
    """A short name for each method: where its workdirs differ but for the seed."""
    parts = [_parts(group[0]) for group in groups]
    while min(map(len, parts)) > 1 and len({each[0] for each in parts}) == 1:
        parts = [each[1:] for each in parts]
    found = ["/".join(each) for each in parts]
    return [
        name if found.count(name) == 1 else f"{name} ({index + 1})"
        for index, name in enumerate(found)
    ]


def _method() -> dict[str, str]:
    """The current configuration without its seed and what only reports."""
    unwanted = workdir.REPORTING_KNOBS | {"SEED", "DATA_DIR"}
    return {
        str(binding): repr(value)
        for binding, value in bindings.snapshot().items()
        if str(binding) not in unwanted
    }


def _but_for_runs(method: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """A method without the runs that it stands on."""
    return tuple(sorted(item for item in method.items() if item[0] not in _OF_SEED))


def _unseeded(run: ComparedRun, text: str) -> str:
    """The name of a run that another one stands on, without the other's seed."""
    seed = run.results["seed"]
    named = rf"(?i)(?<=seed)[-_=]?{seed}(?!\d)"
    bare = rf"(?<=[-_=]){seed}(?!\d)"
    return re.sub(named if re.search(named, text) else bare, "", text)


def _evaluation(results: results_lib.Results) -> dict[str, Any]:
    """How the run was rolled out, by its configuration and its results."""
    found: dict[str, Any] = {
        name: text
        for name, text in bindings.argument_settings("evaluator").items()
        if name not in _NO_EVALUATION and not name.endswith((".record", ".seed"))
    }
    rollouts = results["rollouts"]
    found["ENV_ID"] = results["env_id"]
    found["episodes"] = len(results_lib.flat(rollouts["returns"]))
    for name in ("mode", "reference", "prompt"):
        found[name] = rollouts.get(name)
    for name, value in rollouts.get("asked", {}).items():
        found[f"launch.evaluate, {name}"] = value
    return found


def _parts(run: ComparedRun) -> list[str]:
    """The parts of a workdir's path without what tells the seed, such as SEED=0."""
    of_seed = rf"(^|[-_,/])(seed|SEED)?[-_=]?{run.results['seed']}(?=$|[-_,/])"
    path = re.sub(of_seed, r"\1", str(run.workdir))
    return [part for part in (each.strip(",-_") for each in path.split("/")) if part]
