r"""Compares Decision Transformers with behavioural cloning, on data of mixed players.

    python -m launch.offline --env_id=halfcheetah --seeds=0,1,2

On the datasets of an early player (medium) and of an early and a good one in turn
(medium-expert). A transformer with returns-to-go is asked for the best return among
their episodes. The last weights are judged. A step whose result is up to date is
skipped, so the same command goes on where it stopped.
"""

import pathlib
import sys
from typing import Any

import numpy as np
from absl import app, flags

from launch import chain as chain_lib
from launch import offline_table, provenance, references
from launch import seeds as seeds_lib
from pdtla.analysis import files
from pdtla.analysis import results as results_lib
from pdtla.datasets import mujoco_settings
from pdtla.experts import mujoco_expert, random_expert
from pdtla.training import configs

_PRESET = flags.DEFINE_string(
    "preset", "gin/presets/offline", "Folder of gin files with the numbers."
)
_ENV_ID = flags.DEFINE_string("env_id", "halfcheetah", "halfcheetah, hopper, walker2d.")
_MIXES = flags.DEFINE_list("mixes", "medium,medium-expert", "Who plays the datasets.")
_SEEDS = seeds_lib.define("Of training.")
_METHODS = flags.DEFINE_list("methods", None, "Some of the methods; by default all.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory of the results, by default results/offline/<env_id>."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "data/offline", "Of the datasets.")

METHODS = ("bc", "dt", "dt_no_returns")
_NO_RETURNS = {"RETURN_TO_GO": False, "FIELDS": ("observation", "action")}


class Study:
    """The runs on one dataset.

    Args:
      chain: runs the stages.
      env_id: the environment.
      mix: who plays the dataset.
    """

    def __init__(self, chain: chain_lib.Chain, env_id: str, mix: str):
        self._chain = chain
        self._mix = mix
        self._macros = {
            "ENV_ID": env_id,
            "DATASET_NAME": f"mujoco_dataset/{env_id}-{mix}",
        }
        chain.build_dataset(f"{mix} data", ENV_ID=env_id, MIX=mix)
        source = chain.source(DATASET_NAME=self._macros["DATASET_NAME"])
        self.data_returns = np.add.reduceat(source.array("reward"), source.starts)

    def returns(self, method: str, seed: int) -> list[float]:
        """Trains a method, unless that is done; the returns of its episodes."""
        stage, numbers, settings = "dt", "transformer", dict[str, Any]()
        if method == "bc":
            stage, numbers = "bc", "policy"
        elif method == "dt":
            settings["TARGET_RETURN"] = float(self.data_returns.max())
        else:
            settings = _NO_RETURNS | {"TARGET_RETURN": 0.0}
        results = self._chain.train(
            f"{self._mix}/seed-{seed}/{method}",
            stage,
            numbers,
            SEED=seed,
            **self._macros,
            **settings,
        )
        return results["rollouts"]["returns"]


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    seeds = _SEEDS()
    env_id, methods = _ENV_ID.value, _METHODS.value or METHODS
    for flag, given, known in (
        ("methods", methods, METHODS),
        ("mixes", _MIXES.value, mujoco_settings.MIXES),
    ):
        if unknown := sorted(set(given) - set(known)):
            raise configs.ConfigError(f"--{flag} are of {list(known)}, got {unknown}.")
    output = pathlib.Path(_OUTPUT.value or f"results/offline/{env_id}")
    chain = chain_lib.Chain(_PRESET.value.rstrip("/"), _DATA_DIR.value, output)
    players = {
        "random": random_expert.RandomExpert(),
        "expert": mujoco_expert.MujocoExpert(env_id),
    }
    sections = references.measure(chain, players, ENV_ID=env_id)
    returns = {name: np.array(each["returns"]) for name, each in sections.items()}
    found = {("-", name): [values] for name, values in returns.items()}
    random, expert = (float(np.mean(returns[name])) for name in ("random", "expert"))
    for mix in _MIXES.value:
        study = Study(chain, env_id, mix)
        found[mix, "data"] = [study.data_returns]
        for method in methods:
            for seed in seeds:
                episodes = study.returns(method, seed)
                found.setdefault((mix, method), []).append(np.array(episodes))
            rows = offline_table.make_rows(found, random, expert)
            summary = provenance.of(chain, "offline", seeds) | {
                "env_id": env_id,
                "rows": [
                    row
                    | {
                        "returns": [
                            np.ravel(seed).tolist()
                            for seed in found[row["data"], row["method"]]
                        ]
                    }
                    for row in rows
                ],
            }
            results_lib.write_json(output / "summary.json", summary)
            text = offline_table.table(rows)
            files.write_atomically(output / "table.md", text.encode())
    sys.stdout.write(text)


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
