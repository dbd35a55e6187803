r"""Compares what few action labels buy in continuous control, method by method.

    python -m launch.few_labels --env_id=halfcheetah --seeds=0,1,2,3,4

Expert episodes come without actions, labels from a pool of medium and random episodes
(`--labels=medium:128,medium:5t`, transitions or whole trajectories), from a noisy
expert and random ones (`noisy:128`) or from the expert's own (`expert:128`). A step
whose result is up to date is skipped, so the same command goes on where it stopped.
"""

import pathlib
import sys
from typing import Any, NamedTuple

import numpy as np
from absl import app, flags

from launch import chain as chain_lib
from pdtla.analysis import aggregate, files
from pdtla.analysis import results as results_lib
from pdtla.experts import mujoco_expert, random_expert
from pdtla.rollouts import evaluator as evaluator_lib
from pdtla.training import configs

_PRESET = flags.DEFINE_string(
    "preset", "gin/presets/few_labels", "Folder of gin files with the numbers."
)
_ENV_ID = flags.DEFINE_string("env_id", "halfcheetah", "halfcheetah, walker2d, hopper.")
_SEEDS = flags.DEFINE_list("seeds", "0", "Seeds of training and of the labels.")
_LABELS = flags.DEFINE_list(
    "labels", "medium:128,medium:5t", "Where labels come from, and how many."
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
      dataset: name of their dataset.
      macros: how many, for a run on that dataset.
      joint: the same for a joint run.
    """

    text: str
    dataset: str
    macros: dict[str, int]
    joint: dict[str, int]


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
        self._expert = f"mujoco_dataset/{env_id}-expert"

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
            "lam",
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
    source, _, count = text.partition(":")
    mixes = {"expert": "expert", "medium": "medium-random", "noisy": "noisy-random"}
    digits = count.removesuffix("t")
    if source not in mixes or not digits.isdigit() or int(digits) < 1:
        raise configs.ConfigError(
            f"--labels are like noisy:128 or expert:5t (trajectories), got {text!r}."
        )
    number = int(digits)
    dataset = f"mujoco_dataset/{env_id}-{mixes[source]}"
    if count.endswith("t"):
        whole = {"NUM_EXAMPLES": -1}
        return Labels(
            text,
            dataset,
            whole | {"NUM_TRAJS": number},
            whole | {"LABELLED_NUM_TRAJS": number},
        )
    return Labels(text, dataset, {"NUM_EXAMPLES": number}, {"NUM_EXAMPLES": number})


def references(chain: chain_lib.Chain, env_id: str) -> dict[str, list[float]]:
    """Returns of random actions and of the expert on the evaluation levels."""
    path = chain.directory / "references.json"
    if path.exists():
        return results_lib.read_json(path)
    evaluator = chain.make(evaluator_lib.Evaluator, macros={"ENV_ID": env_id})
    players = {
        "random": random_expert.RandomExpert(),
        "expert": mujoco_expert.MujocoExpert(env_id),
    }
    found = {}
    for name, player in players.items():
        rollouts = evaluator.evaluate_expert(player).rollouts
        found[name] = rollouts[evaluator.modes[0]].returns.ravel().tolist()
    chain.directory.mkdir(parents=True, exist_ok=True)
    results_lib.write_json(path, found)
    return found


def table(rows: list[dict]) -> str:
    """The rows as Markdown."""
    lines = [
        "| labels | method | seeds | return | 95% interval | IQM | score | by seed |",
        "|---|---|---:|---:|---|---:|---:|---|",
    ]
    for row in rows:
        low, high = row["ci95"]
        means = ", ".join(f"{mean:.0f}" for mean in row["seed_means"])
        lines.append(
            f"| {row['labels']} | `{row['method']}` | {len(row['seed_means'])} "
            f"| {row['mean']:.0f} | {low:.0f} to {high:.0f} | {row['iqm']:.0f} "
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
    chain = chain_lib.Chain(_PRESET.value.rstrip("/"), _DATA_DIR.value, output)
    expert = f"mujoco_dataset/{env_id}-expert"
    for dataset in dict.fromkeys([expert, *(each.dataset for each in labels)]):
        mix = dataset.partition(f"/{env_id}-")[2]
        chain.build_dataset(f"{mix} data", ENV_ID=env_id, MIX=mix)
    found = references(chain, env_id)
    returns = {
        ("-", "random"): [np.array(found["random"])],
        ("all", "expert"): [np.array(found["expert"])],
    }
    for seed in _SEEDS.value:
        study = Study(chain, env_id, int(seed))
        plan = [("bc_all", None)] + [(m, each) for each in labels for m in methods]
        for method, each in plan:
            run = study.run(method, each)
            results = results_lib.read_results(chain.run(run) / "results.json")
            key = (each.text if each else "all", method)
            episodes = np.array(results["rollouts"]["returns"]).ravel()
            returns.setdefault(key, []).append(episodes)
        rows = make_rows(returns)
        results_lib.write_json(
            output / "summary.json", {"env_id": env_id, "rows": rows}
        )
        files.write_atomically(output / "table.md", table(rows).encode())
    sys.stdout.write(table(rows))


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
