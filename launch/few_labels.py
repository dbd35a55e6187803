r"""Compares what few action labels buy in continuous control, method by method.

    python -m launch.few_labels --env_id=halfcheetah --seeds=0,1,2,3,4
    python -m launch.few_labels --env_id=window-open --labels=noisy:128

Expert episodes come without actions, labels from a pool of the expert's noisy episodes,
at a third of its return, and random ones (`--labels=noisy:128,noisy:5t`, transitions or
whole trajectories), from an early player's and random ones (`medium:128`), or from the
expert's own (`expert:128`). In Meta-World the noisy script plays the pool, and methods
are compared by their successes.
A step whose result is up to date is skipped, so the same command goes on where it
stopped.
"""

import pathlib
import sys

import numpy as np
from absl import app, flags

from launch import chain as chain_lib
from launch import few_labels_family as family_lib
from launch import few_labels_study as study_lib
from launch import references
from pdtla.analysis import aggregate, files
from pdtla.analysis import results as results_lib
from pdtla.experts import random_expert
from pdtla.training import configs

_PRESET = flags.DEFINE_string(
    "preset", None, "Folder of gin files with the numbers, by default the family's."
)
_ENV_ID = flags.DEFINE_string(
    "env_id", "halfcheetah", "halfcheetah, walker2d, or a task of Meta-World."
)
_SEEDS = flags.DEFINE_list("seeds", "0", "Seeds of training and of the labels.")
_LABELS = flags.DEFINE_list(
    "labels", "noisy:128,noisy:5t", "Where labels come from, and how many."
)
_METHODS = flags.DEFINE_list("methods", None, "Some of the methods; by default all.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory of the results, by default results/few_labels/<env_id>."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "data/few_labels", "Of the datasets.")


def table(rows: list[dict], outcome: str = "returns") -> str:
    """The rows as Markdown."""
    digits = {"returns": 0, "successes": 2}[outcome]
    show = lambda value: f"{value:.{digits}f}"  # noqa: E731
    lines = [
        f"| labels | method | seeds | {outcome} | 95% interval | IQM | score "
        "| by seed |",
        "|---|---|---:|---:|---|---:|---:|---|",
    ]
    for row in rows:
        low, high = row["ci95"]
        means = ", ".join(show(mean) for mean in row["seed_means"])
        lines.append(
            f"| {row['labels']} | `{row['method']}` | {len(row['seed_means'])} "
            f"| {show(row['mean'])} | {show(low)} to {show(high)} | {show(row['iqm'])} "
            f"| {row['score']:.2f} | {means} |"
        )
    return "\n".join(lines) + "\n"


def make_rows(returns: dict[tuple[str, str], list[np.ndarray]]) -> list[dict]:
    """One row a method, scored as (return - random) / (bc on all labels - random)."""
    random = np.mean(np.concatenate(returns["-", "random"]))
    full = np.mean(np.concatenate(returns["all", "bc_all"]))
    rows = []
    for (labels, method), seeds in returns.items():
        values = [np.asarray(seed, np.float64) for seed in seeds]
        found = aggregate.bootstrap_interval(values)
        rows.append(
            {
                "labels": labels,
                "method": method,
                "mean": found.estimate,
                "iqm": aggregate.bootstrap_interval(values, aggregate.iqm).estimate,
                "ci95": [found.low, found.high],
                "score": float((found.estimate - random) / (full - random)),
                "seed_means": [float(seed.mean()) for seed in values],
            }
        )
    return rows


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    env_id = _ENV_ID.value
    methods = _METHODS.value or study_lib.METHODS
    if unknown := sorted(set(methods) - set(study_lib.METHODS)):
        raise configs.ConfigError(
            f"--methods are of {study_lib.METHODS}, got {unknown}."
        )
    labels = [study_lib.parse_labels(text, env_id) for text in _LABELS.value]
    output = pathlib.Path(_OUTPUT.value or f"results/few_labels/{env_id}")
    family = family_lib.family_of(env_id)
    preset = _PRESET.value or family.preset
    chain = chain_lib.Chain(preset.rstrip("/"), _DATA_DIR.value, output)
    for pool in dict.fromkeys([family_lib.EXPERT, *(each.pool for each in labels)]):
        chain.build_dataset(f"{pool} data", ENV_ID=env_id, **family.pools[pool].macros)
    players = {
        "random": random_expert.RandomExpert(),
        "expert": family.make_expert(env_id),
    }
    found = references.measure(chain, players, ENV_ID=env_id)
    returns = {
        ("-", "random"): [np.array(found["random"][family.outcome])],
        ("all", "expert"): [np.array(found["expert"][family.outcome])],
    }
    for seed in _SEEDS.value:
        study = study_lib.Study(chain, env_id, int(seed))
        plan = [("bc_all", None)] + [(m, each) for each in labels for m in methods]
        for method, each in plan:
            rollouts = study.run(method, each)
            key = (each.text if each else "all", method)
            episodes = np.array(rollouts[family.outcome]).ravel()
            returns.setdefault(key, []).append(episodes)
        rows = make_rows(returns)
        results_lib.write_json(
            output / "summary.json", {"env_id": env_id, "rows": rows}
        )
        text = table(rows, family.outcome)
        files.write_atomically(output / "table.md", text.encode())
    sys.stdout.write(text)


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
