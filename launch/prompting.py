r"""Compares what demonstrations without actions tell a policy, method by method.

    python -m launch.prompting --seeds=0,1,2

On HalfCheetah at a velocity that nothing but a demonstration tells. All sequence models
are one transformer over different actions: latent ones of a model of videos in which a
few labels take part (or none, with a decoder afterwards), those that a supervised
inverse model of these labels (VPT) wrote, or the true ones (the oracle). Each is then
shown k demonstrations of every task that it plays, or wrong or shuffled ones, or is
fine-tuned on them. A step whose result is up to date is skipped, so the same command
goes on where it stopped.
"""

import pathlib
import sys
from collections.abc import Sequence
from typing import Any, NamedTuple

from absl import app, flags

from launch import chain as chain_lib
from launch import prompting_table, provenance, references
from launch import seeds as seeds_lib
from pdtla.analysis import files
from pdtla.analysis import results as results_lib
from pdtla.experts import default_expert, expert, random_expert
from pdtla.rollouts import evaluator as evaluator_lib
from pdtla.training import configs

_PRESET = flags.DEFINE_string(
    "preset", "gin/presets/prompting", "Folder of gin files with the numbers."
)
_SEEDS = seeds_lib.define("Of training and of the labels.")
_NUM_LABELS = flags.DEFINE_integer("num_labels", 128, "Labelled transitions.")
_METHODS = flags.DEFINE_list("methods", None, "Some of the methods; by default all.")
_OUTPUT = flags.DEFINE_string("output", "results/prompting", "Of the results.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data/prompting", "Of the dataset.")

_SHOTS = flags.DEFINE_list("shots", "0,1,2,4", "Demonstrations to show, most last.")

_FEW_SHOT = ("gin/data/few_shot.gin",)
_WHOLE = {"DEMO_LEN": 200, "PROMPT_SEGMENT": "full"}


class Prompts(NamedTuple):
    """What rollouts are shown.

    Attributes:
      name: in the table.
      macros: of the evaluation.
    """

    name: str
    macros: dict[str, Any]


def _shown(count: int, **macros: Any) -> Prompts:
    return Prompts(str(count), {"NUM_FEW_SHOT_PROMPTS": count} | macros)


def _control(kind: str, count: int) -> Prompts:
    macros = {"NUM_FEW_SHOT_PROMPTS": count, "PROMPT_CONTROL": kind}
    return Prompts(kind.replace("_level", " task"), macros)


class Method(NamedTuple):
    """A row of the comparison.

    Attributes:
      run: the run that plays, a method of `Study`.
      labels: what actions it was told, "-", "few" or "all".
      prompts: what it is shown; empty for a run without demonstrations.
      macros: of its evaluations.
      files: further gin files of its evaluations.
    """

    run: str
    labels: str
    prompts: tuple[Prompts, ...] = ()
    macros: dict[str, Any] = {}
    files: tuple[str, ...] = ()


def make_methods(counts: Sequence[int]) -> dict[str, Method]:
    """The methods by their names, shown so many demonstrations, the most last."""
    shown = tuple(_shown(count) for count in counts)
    controls = tuple(_control(kind, counts[-1]) for kind in ("wrong_level", "shuffled"))
    some = [count for count in counts if count]
    retrieved = tuple(_shown(count, RETRIEVAL=True, **_WHOLE) for count in some)
    tuned = tuple(_shown(count, **_WHOLE) for count in sorted({some[0], some[-1]}))
    ends = shown[:1] + shown[1:][-1:]
    return {
        "bc_labels": Method("bc_labels", "few"),
        "la_dt": Method("la_dt", "few"),
        "la_dt_tuned": Method("la_dt", "few", tuned, {"FINE_TUNING": 50}, _FEW_SHOT),
        "pdtla": Method("pdtla", "few", shown + controls),
        "pdtla_predicted": Method("pdtla", "few", shown[-1:], {"HINDSIGHT": False}),
        "pdtla_frames": Method("pdtla_frames", "few", ends),
        "pdtla_two_stages": Method("pdtla_two_stages", "few", ends),
        "vpt_pdt": Method("vpt_pdt", "few", shown + controls),
        "retrieval_la": Method("pdtla", "few", retrieved),
        "retrieval_vpt": Method("vpt_pdt", "few", retrieved),
        "retrieval": Method("oracle", "all", retrieved),
        "oracle": Method("oracle", "all", shown + controls),
    }


class Study:
    """The runs of one seed.

    Args:
      chain: runs the stages.
      seed: of the training and of the choice of labels.
      num_labels: labelled transitions, of training tasks.
    """

    def __init__(self, chain: chain_lib.Chain, seed: int, num_labels: int):
        self._chain = chain
        self._seed = seed
        self._few = {"NUM_EXAMPLES": num_labels}
        self._labels = {"NUM_LABELS": num_labels}

    def run(self, name: str) -> str:
        """Trains what is called so, unless that is done; returns its workdir."""
        getattr(self, f"_{name}")(self._where(name))
        return self._where(name)

    def _train(self, name: str, stage: str, numbers: str, **settings: Any) -> None:
        self._chain.train(name, stage, numbers, **({"SEED": self._seed} | settings))

    def _pdtla(self, name: str, **settings: Any) -> None:
        models = settings.pop("models", self._joint_model)()
        given = {"files": _FEW_SHOT} | self._labels | models | settings
        self._train(name, "pdtla", "transformer", **given)

    def _pdtla_two_stages(self, name: str) -> None:
        self._pdtla(name, models=self._two_models)

    def _pdtla_frames(self, name: str) -> None:
        self._pdtla(name, PROMPT_ACTIONS=False)

    def _la_dt(self, name: str) -> None:
        self._pdtla(name, files=[], DEMO_CONDITIONING=False)

    def _joint_model(self) -> dict[str, Any]:
        """A latent action model that the labels take part in."""
        lam = self._where("lam_joint")
        self._train(lam, "lam_and_action_decoder", "lam_joint", **self._few)
        return self._relabelled(lam)

    def _two_models(self) -> dict[str, Any]:
        """A latent action model without labels, then a decoder of its latents."""
        lam, decoder = self._where("lam"), self._where("action_decoder")
        self._train(lam, "lam", "lam")
        labelled = self._relabelled(lam)
        latents = {"LOAD_LATENT_ACTIONS": labelled["LOAD_LATENT_ACTIONS"]}
        self._train(decoder, "action_decoder", "action_decoder", **self._few, **latents)
        return labelled | {"DECODER_RUN": str(self._chain.run(decoder))}

    def _relabelled(self, model: str) -> dict[str, Any]:
        """Labels of a model beside the dataset, and what a run needs to go by them."""
        name = model.replace("/", "-")
        self._chain.relabel(name, model)
        return {"LOAD_LATENT_ACTIONS": name, "LAM_RUN": str(self._chain.run(model))}

    def _where(self, name: str) -> str:
        return f"seed-{self._seed}/{name}"

    def _vpt_pdt(self, name: str) -> None:
        self._pdtla(
            name,
            models=self._labelling_model,
            IMITATE="action",
            HINDSIGHT=False,
            REPLACE_ACTION_WITH_LA=True,
        )

    def _labelling_model(self) -> dict[str, Any]:
        """A supervised inverse model of the labels (VPT)."""
        model = self._where("vpt")
        self._train(model, "vpt", "vpt", **self._few)
        return self._relabelled(model)

    def _oracle(self, name: str) -> None:
        self._train(name, "dt", "transformer", files=_FEW_SHOT)

    def _bc_labels(self, name: str) -> None:
        self._train(name, "bc", "policy_few", **self._few)


def _players(chain: chain_lib.Chain) -> dict[str, expert.Expert]:
    """Random actions, and the expert, which is told the task."""
    env = chain.make(evaluator_lib.Evaluator).environment()
    return {
        "random": random_expert.RandomExpert(),
        "expert": default_expert.default_expert(env.env_id),
    }


def _counts() -> list[int]:
    """The numbers of `--shots`."""
    counts = [int(each) if each.isdigit() else -1 for each in _SHOTS.value]
    if counts != sorted(set(counts)) or not counts or counts[0] < 0 or not counts[-1]:
        raise configs.ConfigError(
            f"--shots must be numbers that grow, like 0,1,4; got {_SHOTS.value}."
        )
    return counts


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    seeds = _SEEDS()
    counts = _counts()
    known = make_methods(counts)
    methods = _METHODS.value or list(known)
    if unknown := sorted(set(methods) - set(known)):
        raise configs.ConfigError(f"--methods are of {list(known)}, got {unknown}.")
    told = {"few": str(_NUM_LABELS.value)}
    labels = {name: told.get(each.labels, each.labels) for name, each in known.items()}
    output = pathlib.Path(_OUTPUT.value)
    chain = chain_lib.Chain(_PRESET.value.rstrip("/"), _DATA_DIR.value, output)
    chain.build_dataset()
    found = {
        (name, "-"): [prompting_table.Episodes.of(section)]
        for name, section in references.measure(chain, _players(chain)).items()
    }
    for seed in seeds:
        study = Study(chain, seed, _NUM_LABELS.value)
        for name in methods:
            method = known[name]
            run = study.run(method.run)
            for prompts in method.prompts or (Prompts("-", {}),):
                label = f"{name} {prompts.name}".replace(" ", "_")
                macros = prompts.macros | method.macros
                section = chain.evaluate(run, label, method.files, **macros)
                key = (name, prompts.name)
                found.setdefault(key, []).append(prompting_table.Episodes.of(section))
        rows = prompting_table.make_rows(found, str(counts[-1]))
        summary = provenance.of(chain, "prompting", seeds) | {
            "most": str(counts[-1]),
            "rows": [
                row
                | {
                    "told": labels.get(row["method"], "-"),
                    "returns": [
                        each.by_task().tolist()
                        for each in found[row["method"], row["prompt"]]
                    ],
                }
                for row in rows
            ],
        }
        results_lib.write_json(output / "summary.json", summary)
        text = prompting_table.table(rows, labels)
        files.write_atomically(output / "table.md", text.encode())
    sys.stdout.write(text)


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
