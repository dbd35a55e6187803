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
from launch import few_labels_table, provenance, references
from launch import seeds as seeds_lib
from pdtla.analysis import files
from pdtla.analysis import results as results_lib
from pdtla.experts import random_expert
from pdtla.training import configs

_PRESET = flags.DEFINE_string(
    "preset", None, "Folder of gin files with the numbers, by default the family's."
)
_ENV_ID = flags.DEFINE_string(
    "env_id", "halfcheetah", "halfcheetah, walker2d, or a task of Meta-World."
)
_SEEDS = seeds_lib.define("Of training and of the labels.")
_LABELS = flags.DEFINE_list(
    "labels", "noisy:128,noisy:5t", "Where labels come from, and how many."
)
_METHODS = flags.DEFINE_list("methods", None, "Some of the methods; by default all.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory of the results, by default results/few_labels/<env_id>."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "data/few_labels", "Of the datasets.")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    seeds = _SEEDS()
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
        ("-", "random"): [found["random"][family.outcome]],
        ("all", "expert"): [found["expert"][family.outcome]],
    }
    for seed in seeds:
        study = study_lib.Study(chain, env_id, seed)
        plan = [("bc_all", None)] + [(m, each) for each in labels for m in methods]
        for method, each in plan:
            rollouts = study.run(method, each)
            key = (each.text if each else "all", method)
            episodes = np.ravel(rollouts[family.outcome]).tolist()
            returns.setdefault(key, []).append(episodes)
        rows = few_labels_table.make_rows(returns)
        summary = provenance.of(chain, "few_labels", seeds) | {
            "outcome": family.outcome,
            "rows": [
                row | {"returns": returns[row["labels"], row["method"]]} for row in rows
            ],
        }
        results_lib.write_json(output / "summary.json", {"env_id": env_id} | summary)
        text = few_labels_table.table(rows, family.outcome)
        files.write_atomically(output / "table.md", text.encode())
    sys.stdout.write(text)


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
