r"""Runs the main job: videos in, a policy grounded by a few action labels out.

    python -m launch.quickstart --preset=gin/presets/quickstart --labels=128 --seeds=0

Builds the dataset, learns latent actions, relabels, decodes, clones, rolls everything
out beside its baselines, and writes `summary.json` and `report.html`. A step whose
result is up to date is skipped, so that the same command goes on where it stopped.
"""

import pathlib
import re
import sys
import time
from collections.abc import Iterable

import numpy as np
from absl import app, flags, logging

from launch import chain as chain_lib
from launch import health_of_run, provenance
from launch import references as references_lib
from launch import seeds as seeds_lib
from pdtla.analysis import files as files_lib
from pdtla.analysis import health_report, report, summary
from pdtla.analysis import results as results_lib
from pdtla.experts import default_expert
from pdtla.training import configs

_PRESET = flags.DEFINE_string(
    "preset", "gin/presets/quickstart", "Folder of gin files with the numbers."
)
_SEEDS = seeds_lib.define("Of training.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory of the results, by default results/<preset's name>."
)
_DATA_DIR = flags.DEFINE_string(
    "data_dir", None, "Directory of the dataset, by default data/<preset's name>."
)
_NUM_LABELS = flags.DEFINE_integer(
    "labels", 128, "Labelled transitions that methods learn from.", lower_bound=1
)
_REFERENCE_ROLLOUTS = 512  # trivial policies and the expert cost next to nothing


def table_labels(few: int) -> dict[str, int | None]:
    """What each row of the table stands on; None: all the labels there are."""
    return {
        "random": 0,
        "best_constant": None,
        "action_marginal": None,
        f"bc_{few}": few,
        f"idm_bc_{few}": few,
        f"la_bc_{few}": few,
        f"lapo_plus_{few}": few,
        "bc_all": None,
        "expert": None,
    }


def train_methods(chain: chain_lib.Chain, few: int, seed: int) -> dict[str, str]:
    """Runs every stage of one seed on so few labels.

    Returns:
      The workdir, relative to the chain's directory, of each method and of the models
      behind them.
    """
    runs = {
        name: f"seed-{seed}/{name}"
        for name in (
            "lam",
            "action_decoder",
            "vpt",
            f"bc_{few}",
            f"idm_bc_{few}",
            f"la_bc_{few}",
            f"lapo_plus_{few}",
            "bc_all",
        )
    }
    lam, vpt = f"lam-{seed}", f"vpt-{seed}"
    labelled = {"SEED": seed, "NUM_EXAMPLES": few}
    cloned = {"SEED": seed, "REPLACE_ACTION_WITH_LA": True, "NUM_LABELS": few}
    chain.train(runs["lam"], "lam_and_action_decoder", "lam", **labelled)
    chain.relabel(lam, runs["lam"])
    chain.train(
        runs["action_decoder"],
        "action_decoder",
        "action_decoder",
        LOAD_LATENT_ACTIONS=lam,
        **labelled,
    )
    chain.train(runs["vpt"], "vpt", "vpt", **labelled)
    chain.relabel(vpt, runs["vpt"])
    chain.train(
        runs[f"la_bc_{few}"],
        "la_bc",
        "policy",
        SEED=seed,
        LOAD_LATENT_ACTIONS=lam,
        DECODER_RUN=str(chain.run(runs["action_decoder"])),
        NUM_LABELS=few,
    )
    chain.train(
        runs[f"lapo_plus_{few}"], "bc", "policy", LOAD_LATENT_ACTIONS=lam, **cloned
    )
    chain.train(
        runs[f"idm_bc_{few}"], "bc", "policy", LOAD_LATENT_ACTIONS=vpt, **cloned
    )
    chain.train(runs[f"bc_{few}"], "bc", "policy_few", **labelled)
    chain.train(runs["bc_all"], "bc", "policy", SEED=seed)
    return runs


def gather_returns(
    chain: chain_lib.Chain,
    methods: Iterable[str],
    runs: list[dict[str, str]],
    references: dict,
) -> dict[str, list[np.ndarray]]:
    """Episode returns of every method, one array a seed."""
    returns = {}
    for method in methods:
        if method in references:
            returns[method] = [np.array(references[method])]
            continue
        results = [
            results_lib.as_trained(
                results_lib.read_results(chain.run(run[method]) / "results.json")
            )
            for run in runs
        ]
        returns[method] = [np.array(r["rollouts"]["returns"]).ravel() for r in results]
    return returns


def examine_latents(chain: chain_lib.Chain, run: str) -> tuple[dict, dict[str, str]]:
    """The health of a latent action model, and its pictures by title."""
    found = health_of_run.report(str(chain.run(run)), [], [])
    directory = chain.directory / "figures"
    paths = {}
    for title, data in found.figures.items():
        name = f"{re.sub(r'[^a-z0-9]+', '_', title.lower())}.png"
        files_lib.write_atomically(directory / name, data)
        paths[title] = f"figures/{name}"
    return health_report.headline(found.report), paths


def decoder_health(chain: chain_lib.Chain, runs: dict[str, str]) -> dict[str, float]:
    """Held-out accuracies of what was fitted on the few labels."""
    names = {"action_decoder": "decoder_accuracy", "vpt": "idm_accuracy"}
    return {
        label: results_lib.read_results(chain.run(runs[name]) / "results.json")[
            "heldout"
        ]["accuracy"]
        for name, label in names.items()
    }


def find_videos(chain: chain_lib.Chain, runs: dict[str, str]) -> dict[str, str]:
    """The last rollout video of each run, relative to the chain's directory."""
    videos = {name: f"{name}.gif" for name in ("random", "expert")}
    for method, run in runs.items():
        # Those of launch.evaluate have a mode in their names.
        found = (chain.run(run) / "rollouts").glob("step-*.gif")
        steps = {path.stem.removeprefix("step-"): path for path in found}
        trained = [step for step in steps if step.isdecimal()]
        if trained:
            last = steps[max(trained, key=int)]
            videos[method] = str(last.relative_to(chain.directory))
    return videos


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    preset = _PRESET.value.rstrip("/")
    name = pathlib.Path(preset).name
    seeds = _SEEDS()
    output = pathlib.Path(_OUTPUT.value or f"results/{name}")
    chain = chain_lib.Chain(preset, _DATA_DIR.value or f"data/{name}", output)
    start = time.monotonic()
    chain.build_dataset()
    episodes = references_lib.measure_with_trivial(
        chain,
        lambda env_id: chain.player() or default_expert.default_expert(env_id),
        num_rollouts=_REFERENCE_ROLLOUTS,
    )
    references = {name: each["returns"] for name, each in episodes.items()}
    runs = [train_methods(chain, _NUM_LABELS.value, seed) for seed in seeds]
    health, figures = examine_latents(chain, runs[0]["lam"])
    source = chain.source()
    labels = table_labels(_NUM_LABELS.value)
    returns = gather_returns(chain, labels, runs, references)
    rows = summary.method_rows(returns, labels)
    for row in rows:
        row["returns"] = [seed.tolist() for seed in returns[row["method"]]]
    content = {
        "env_id": source.metadata["env_id"],
        "rows": rows,
        "health": health | decoder_health(chain, runs[0]),
        **provenance.of(chain, "quickstart", seeds),
        "wall_seconds": chain.wall_seconds,
        "data": source.metadata
        | {"train_episodes": len(source.lengths), "train_steps": source.num_steps},
        "runs": runs[0],
        "figures": figures,
        "videos": find_videos(chain, runs[0]),
    }
    results_lib.write_json(output / "summary.json", content)
    report.write_report(content, output / "report.html", base_dir=output)
    sys.stdout.write(summary.text_table(rows) + "\n")
    logging.info(
        "%.0f s. Summary: %s/summary.json. Report: %s/report.html.",
        time.monotonic() - start,
        output,
        output,
    )


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
