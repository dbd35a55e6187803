r"""Compares what demonstrations without actions tell a policy, method by method.

    python -m launch.prompting --seeds=0,1,2

On HalfCheetah at a velocity that nothing but a demonstration tells. All sequence models
are one transformer over different actions: latent ones of a model that saw no actions,
those that a supervised inverse model (VPT) wrote, or the true ones (the oracle). Each
is then shown k demonstrations of every task that it plays, or wrong or shuffled ones. A
step whose result is up to date is skipped, so the same command goes on where it
stopped.
"""

import pathlib
import sys
from typing import Any, NamedTuple

from absl import app, flags

from launch import chain as chain_lib
from launch import prompting_table
from pdtla.analysis import files
from pdtla.analysis import results as results_lib
from pdtla.experts import mujoco_expert
from pdtla.rollouts import evaluator as evaluator_lib
from pdtla.rollouts import trivial_policies
from pdtla.training import configs

_PRESET = flags.DEFINE_string(
    "preset", "gin/presets/prompting", "Folder of gin files with the numbers."
)
_SEEDS = flags.DEFINE_list("seeds", "0", "Seeds of training and of the labels.")
_NUM_LABELS = flags.DEFINE_integer("num_labels", 128, "Labelled transitions.")
_METHODS = flags.DEFINE_list("methods", None, "Some of the methods; by default all.")
_OUTPUT = flags.DEFINE_string("output", "results/prompting", "Of the results.")
_DATA_DIR = flags.DEFINE_string("data_dir", "data/prompting", "Of the dataset.")

_FEW_SHOT = ["gin/data/few_shot.gin"]
_MOST = 4  # demonstrations
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


def _control(kind: str) -> Prompts:
    macros = {"NUM_FEW_SHOT_PROMPTS": _MOST, "PROMPT_CONTROL": kind}
    return Prompts(kind.replace("_level", " task"), macros)


SHOTS = tuple(_shown(count) for count in (0, 1, 2, _MOST))
CONTROLS = (_control("wrong_level"), _control("shuffled"))
RETRIEVED = tuple(_shown(count, RETRIEVAL=True, **_WHOLE) for count in (1, 2, _MOST))


class Method(NamedTuple):
    """A row of the comparison.

    Attributes:
      run: the run that plays, a method of `Study`.
      labels: what actions it was told, "-", "few" or "all".
      prompts: what it is shown; empty for a run without demonstrations.
      macros: of its evaluations.
    """

    run: str
    labels: str
    prompts: tuple[Prompts, ...] = ()
    macros: dict[str, Any] = {}


METHODS = {
    "bc_labels": Method("bc_labels", "few"),
    "la_dt": Method("la_dt", "few"),
    "pdtla": Method("pdtla", "few", SHOTS + CONTROLS),
    "pdtla_predicted": Method("pdtla", "few", SHOTS[-1:], {"HINDSIGHT": False}),
    "pdtla_frames": Method("pdtla_frames", "few", (SHOTS[0], SHOTS[-1])),
    "vpt_pdt": Method("vpt_pdt", "few", SHOTS + CONTROLS),
    "retrieval_la": Method("pdtla", "few", RETRIEVED),
    "retrieval": Method("oracle", "all", RETRIEVED),
    "oracle": Method("oracle", "all", SHOTS + CONTROLS),
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
        getattr(self, f"_{name}")(f"seed-{self._seed}/{name}")
        return f"seed-{self._seed}/{name}"

    def _train(self, name: str, stage: str, numbers: str, **settings: Any) -> None:
        self._chain.train(name, stage, numbers, **({"SEED": self._seed} | settings))

    def _models(self) -> dict[str, Any]:
        """A latent action model and a decoder of its latents, for `pdtla`."""
        lam, latents = f"seed-{self._seed}/lam", f"lam-{self._seed}"
        decoder = f"seed-{self._seed}/action_decoder"
        self._train(lam, "lam", "lam")
        self._chain.relabel(latents, lam)
        named = {"LOAD_LATENT_ACTIONS": latents}
        numbers = "action_decoder"
        self._train(decoder, "action_decoder", numbers, **named, **self._few)
        runs = {"LAM_RUN": lam, "DECODER_RUN": decoder}
        paths = {name: str(self._chain.run(run)) for name, run in runs.items()}
        return named | paths | self._labels

    def _pdtla(self, name: str, **settings: Any) -> None:
        given = {"files": _FEW_SHOT} | self._models() | settings
        self._train(name, "pdtla", "transformer", **given)

    def _pdtla_frames(self, name: str) -> None:
        self._pdtla(name, PROMPT_ACTIONS=False)

    def _la_dt(self, name: str) -> None:
        self._pdtla(name, files=[], DEMO_CONDITIONING=False)

    def _vpt_pdt(self, name: str) -> None:
        model, labels = f"seed-{self._seed}/vpt", f"vpt-{self._seed}"
        self._train(model, "vpt", "vpt", **self._few)
        self._chain.relabel(labels, model)
        self._train(
            name,
            "pdtla",
            "transformer",
            files=_FEW_SHOT,
            IMITATE="action",
            HINDSIGHT=False,
            REPLACE_ACTION_WITH_LA=True,
            LOAD_LATENT_ACTIONS=labels,
            LAM_RUN=str(self._chain.run(model)),
            **self._labels,
        )

    def _oracle(self, name: str) -> None:
        self._train(name, "dt", "transformer", files=_FEW_SHOT)

    def _bc_labels(self, name: str) -> None:
        self._train(name, "bc", "policy_few", **self._few)


def references(chain: chain_lib.Chain) -> dict[str, results_lib.Results]:
    """Episodes of random actions and of the expert, which is told the task."""
    path = chain.directory / "references.json"
    if path.exists():
        return results_lib.read_json(path)
    evaluator = chain.make(evaluator_lib.Evaluator)
    env = evaluator.environment()
    found = {
        "random": evaluator(trivial_policies.UniformRandom(env.action_spec)),
        "expert": evaluator.evaluate_expert(mujoco_expert.MujocoExpert(env.env_id)),
    }
    sections = {}
    for name, evaluation in found.items():
        (episodes,) = evaluation.rollouts.values()
        sections[name] = {
            "returns": episodes.returns.tolist(),
            "levels": episodes.levels.tolist(),
        }
    chain.directory.mkdir(parents=True, exist_ok=True)
    results_lib.write_json(path, sections)
    return sections


def main(argv: list[str]) -> None:
    if len(argv) > 1:
        raise app.UsageError(f"Unknown arguments: {argv[1:]}.")
    methods = _METHODS.value or list(METHODS)
    if unknown := sorted(set(methods) - set(METHODS)):
        raise configs.ConfigError(f"--methods are of {list(METHODS)}, got {unknown}.")
    labels = {name: method.labels for name, method in METHODS.items()}
    output = pathlib.Path(_OUTPUT.value)
    chain = chain_lib.Chain(_PRESET.value.rstrip("/"), _DATA_DIR.value, output)
    chain.build_dataset()
    found = {
        (name, "-"): [prompting_table.Episodes.of(section)]
        for name, section in references(chain).items()
    }
    for seed in _SEEDS.value:
        study = Study(chain, int(seed), _NUM_LABELS.value)
        for name in methods:
            method = METHODS[name]
            run = study.run(method.run)
            for prompts in method.prompts or (Prompts("-", {}),):
                label = f"{name} {prompts.name}".replace(" ", "_")
                macros = prompts.macros | method.macros
                section = chain.evaluate(run, label, **macros)
                key = (name, prompts.name)
                found.setdefault(key, []).append(prompting_table.Episodes.of(section))
        rows = prompting_table.make_rows(found, str(_MOST))
        results_lib.write_json(output / "summary.json", {"rows": rows})
        text = prompting_table.table(rows, labels)
        files.write_atomically(output / "table.md", text.encode())
    sys.stdout.write(text)


if __name__ == "__main__":
    configs.define_flags()
    configs.run_main(main)
