r"""Changes a latent action model in one factor at a time, and measures what it matters.

    python -m launch.ablations --preset=gin/presets/ablations/halfcheetah --seeds=0,1,2
    python -m launch.ablations --only=quantizer,latent_dim

The preset's `ablations.gin` names the environment, the labels, the base and what is
changed of it; the other files have the numbers of the stages, the same for all. Every
variant's latents are imitated and decoded, its policy rolled out on the same unseen
levels. A step whose result is up to date is skipped, so the same command goes on where
it stopped.

Writes `summary.json` and `table.md` to the output directory after every variant; with
`--only` to a directory in it that is named after the factors, beside those of others.
"""

import pathlib
import sys
from typing import Any

from absl import app, flags

from launch import (
    ablation_settings,
    ablation_study,
    ablation_table,
    provenance,
    references,
)
from launch import chain as chain_lib
from launch import few_labels_family as family_lib
from launch import seeds as seeds_lib
from pdtla.analysis import files
from pdtla.analysis import results as results_lib
from pdtla.experts import random_expert
from pdtla.training import configs

_PRESET = flags.DEFINE_string(
    "preset", "gin/presets/ablations/halfcheetah", "Folder of gin files."
)
_SEEDS = seeds_lib.define("Of training and of the labels.")
_ONLY = flags.DEFINE_list("only", None, "Some of the factors; by default all.")
_OUTPUT = flags.DEFINE_string(
    "output", None, "Directory of the results, by default results/ablations/<preset>."
)
_DATA_DIR = flags.DEFINE_string("data_dir", "data/few_labels", "Of the datasets.")


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    preset, seeds = _PRESET.value.rstrip("/"), _SEEDS()
    settings = ablation_settings.read(preset)
    variants = settings.variants(_ONLY.value)
    output = pathlib.Path(
        _OUTPUT.value or f"results/ablations/{pathlib.Path(preset).name}"
    )
    told = output / "-".join(sorted(_ONLY.value)) if _ONLY.value else output
    family = family_lib.family_of(settings.env_id)
    chain = chain_lib.Chain(preset, _DATA_DIR.value, output)
    for pool in dict.fromkeys((family_lib.EXPERT, settings.pool)):
        macros = family.pools[pool].macros
        chain.build_dataset(f"{pool} data", ENV_ID=settings.env_id, **macros)
    played = references.measure(
        chain,
        {ablation_table.RANDOM: random_expert.RandomExpert()},
        ENV_ID=settings.env_id,
    )
    measured = {
        ("-", ablation_table.RANDOM): _row("-", ablation_table.RANDOM),
        ("-", ablation_table.FULL): _row("-", ablation_table.FULL),
    }
    random = measured["-", ablation_table.RANDOM]
    random |= {"returns": [played[ablation_table.RANDOM][family.outcome]]}
    for done, seed in enumerate(seeds, start=1):
        study = ablation_study.Study(chain, settings, seed)
        _add(measured["-", ablation_table.FULL], seed, study.clone_all())
        random["seeds"] = seeds[:done]
        for variant in variants:
            key = variant.factor, variant.value
            _add(measured.setdefault(key, _row(*key)), seed, study.run(variant))
            rows = ablation_table.make_rows(list(measured.values()))
            summary = provenance.of(chain, "ablations", seeds[:done]) | {
                "env_id": settings.env_id,
                "pool": settings.pool,
                "label_trajs": settings.label_trajs,
                "base": dict(settings.base),
                "outcome": family.outcome,
                "rows": rows,
            }
            results_lib.write_json(told / "summary.json", summary)
            text = ablation_table.table(rows, settings.base, family.outcome)
            files.write_atomically(told / "table.md", text.encode())
    sys.stdout.write(text)


def _row(factor: str, value: str) -> dict[str, Any]:
    return {"factor": factor, "value": value, "seeds": [], "returns": [], "model": {}}


def _add(row: dict[str, Any], seed: int, outcome: ablation_study.Outcome) -> None:
    row["seeds"].append(seed)
    row["returns"].append(outcome.episodes)
    for name, value in outcome.model.items():
        row["model"].setdefault(name, []).append(value)


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
