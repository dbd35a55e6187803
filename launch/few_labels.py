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
from typing import Any, NamedTuple

import numpy as np
from absl import app, flags

from launch import chain as chain_lib
from launch import few_labels_family as family_lib
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

METHODS = (
    "bc_labels",
    "vpt",
    "vpt_linear",
    "la_bc_vq",
    "la_bc",
    "la_bc_joint",
    "la_bc_joint_zo",
    "lapo_plus",
)


class Labels(NamedTuple):
    """Which labels a method gets.

    Attributes:
      text: as given, for instance "noisy:128".
      pool: where they come from.
      dataset: name of their dataset.
      macros: how many, for a run on that dataset.
      joint: the same for a joint run.
      numbers: the preset's file for a joint run, "lam_few" for single transitions.
    """

    text: str
    pool: str
    dataset: str
    macros: dict[str, int]
    joint: dict[str, int]
    numbers: str


class Study:
    """One environment, one seed: the runs of every method.

    Args:
      chain: runs the stages.
      env_id: the environment.
      seed: of the training and of the choice of labels.
    """

    def __init__(self, chain: chain_lib.Chain, env_id: str, seed: int):
        self._chain = chain
        self._env_id = env_id
        self._seed = seed
        family = family_lib.family_of(env_id)
        self._expert = family.dataset(family_lib.EXPERT, env_id)

    def run(self, method: str, labels: Labels | None) -> str:
        """Trains a method on its labels; returns the workdir of the policy."""
        where = f"seed-{self._seed}"
        if labels is None:
            name = f"{where}/{method}"
            self._train(name, "bc", "policy")
            return name
        prefix = f"{where}/{labels.text.replace(':', '-')}"
        getattr(self, f"_{method}")(prefix, labels)
        return f"{prefix}/{method}"

    def _train(self, name: str, stage: str, numbers: str, **bindings: Any) -> None:
        given = {
            "ENV_ID": self._env_id,
            "SEED": self._seed,
            "DATASET_NAME": self._expert,
        }
        self._chain.train(name, stage, numbers, **(given | bindings))

    def _relabel(self, name: str, run: str, dataset: str) -> None:
        self._chain.relabel(name, run, DATASET_NAME=dataset)

    def _bc_labels(self, prefix: str, labels: Labels) -> None:
        self._train(
            f"{prefix}/bc_labels",
            "bc",
            "policy_few",
            files=["gin/data/statistics.gin"],
            STATISTICS_DATASET=self._expert,
            DATASET_NAME=labels.dataset,
            **labels.macros,
        )

    def _vpt(self, prefix: str, labels: Labels, numbers: str = "vpt") -> None:
        model = f"{prefix}/{numbers}_idm"
        self._train(
            model,
            "vpt",
            numbers,
            files=["gin/data/statistics.gin"],
            STATISTICS_DATASET=self._expert,
            DATASET_NAME=labels.dataset,
            **labels.macros,
        )
        self._clone_labels(f"{prefix}/{numbers}", model)

    def _vpt_linear(self, prefix: str, labels: Labels) -> None:
        self._vpt(prefix, labels, "vpt_linear")

    def _clone_labels(self, name: str, model: str) -> None:
        """Behavioural cloning of the actions that a model infers."""
        latents = model.replace("/", "-")
        self._relabel(latents, model, self._expert)
        self._train(
            name,
            "bc",
            "policy",
            LOAD_LATENT_ACTIONS=latents,
            REPLACE_ACTION_WITH_LA=True,
        )

    def _la_bc(self, prefix: str, labels: Labels, numbers: str = "lam") -> None:
        model = f"seed-{self._seed}/{numbers}"
        self._train(model, "lam", numbers)
        latents = model.replace("/", "-")
        for dataset in {self._expert, labels.dataset}:
            self._relabel(latents, model, dataset)
        method = "la_bc" if numbers == "lam" else "la_bc_vq"
        decoder = f"{prefix}/{method}_decoder"
        self._train(
            decoder,
            "action_decoder",
            "action_decoder",
            DATASET_NAME=labels.dataset,
            LOAD_LATENT_ACTIONS=latents,
            **labels.macros,
        )
        self._clone_latents(f"{prefix}/{method}", latents, decoder)

    def _la_bc_vq(self, prefix: str, labels: Labels) -> None:
        self._la_bc(prefix, labels, "lam_vq")

    def _clone_latents(self, name: str, latents: str, decoder: str) -> None:
        self._train(
            name,
            "la_bc",
            "policy",
            LOAD_LATENT_ACTIONS=latents,
            DECODER_RUN=str(self._chain.run(decoder)),
        )

    def _joint(self, prefix: str, labels: Labels, name: str, files=()) -> str:
        model = f"{prefix}/{name}"
        self._train(
            model,
            "lam_and_action_decoder",
            labels.numbers,
            files=files,
            LABELLED_DATASET_NAME=labels.dataset,
            **labels.joint,
        )
        self._relabel(model.replace("/", "-"), model, self._expert)
        return model

    def _la_bc_joint(self, prefix: str, labels: Labels) -> None:
        model = self._joint(prefix, labels, "joint")
        self._clone_latents(f"{prefix}/la_bc_joint", model.replace("/", "-"), model)

    def _la_bc_joint_zo(self, prefix: str, labels: Labels) -> None:
        files = ["gin/decoders/sees_state.gin"]
        model = self._joint(prefix, labels, "joint_zo", files)
        self._clone_latents(f"{prefix}/la_bc_joint_zo", model.replace("/", "-"), model)

    def _lapo_plus(self, prefix: str, labels: Labels) -> None:
        model = self._joint(prefix, labels, "joint")
        self._clone_labels(f"{prefix}/lapo_plus", model)


def parse_labels(text: str, env_id: str) -> Labels:
    """Reads "noisy:128" (transitions) or "expert:5t" (trajectories).

    Raises:
      ConfigError: another form.
    """
    pool, _, count = text.partition(":")
    family = family_lib.family_of(env_id)
    digits = count.removesuffix("t")
    if pool not in family.pools or not digits.isdigit() or int(digits) < 1:
        raise configs.ConfigError(
            "--labels are like noisy:128 or expert:5t (trajectories), of "
            f"{', '.join(family.pools)}; got {text!r}."
        )
    number = int(digits)
    dataset = family.dataset(pool, env_id)
    if count.endswith("t"):
        whole = {"NUM_EXAMPLES": -1}
        return Labels(
            text,
            pool,
            dataset,
            whole | {"NUM_TRAJS": number},
            whole | {"LABELLED_NUM_TRAJS": number},
            "lam",
        )
    few = {"NUM_EXAMPLES": number}
    return Labels(text, pool, dataset, few, few, "lam_few")


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
    methods = _METHODS.value or METHODS
    if unknown := sorted(set(methods) - set(METHODS)):
        raise configs.ConfigError(f"--methods are of {METHODS}, got {unknown}.")
    labels = [parse_labels(text, env_id) for text in _LABELS.value]
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
        study = Study(chain, env_id, int(seed))
        plan = [("bc_all", None)] + [(m, each) for each in labels for m in methods]
        for method, each in plan:
            run = study.run(method, each)
            results = results_lib.read_results(chain.run(run) / "results.json")
            key = (each.text if each else "all", method)
            episodes = np.array(results["rollouts"][family.outcome]).ravel()
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
