"""`Case`, one command with bad or odd input, and Hypothesis's strategies for them."""

import dataclasses
import functools
import re
from typing import Any

import damage
from hypothesis import strategies as st

from pdtla.training import bindings as bindings_lib
from pdtla.training import configs
from pdtla.training import train as train_lib

# Replaced when a case is run.
DATA, FOLDER, WORKDIR = "{data}", "{folder}", "{workdir}"

_STATES = ("bc", "dt", "lam", "lam_and_action_decoder", "vpt", "laom")
_TINY = "tests/fuzz/tiny.gin"
_SMALL = ("MLP_HIDDEN = (4,)", "MLP_OUTPUT = 4")
# What asks for work without end is well-formed: it is not asked for.
_ENDLESS = frozenset({"NUM_UPDATES", "NUM_EVAL_ROLLOUTS", "TRANSFORMER_LAYERS"})
_HUGE = ("1000000000", "100000000000000000000000")
_VALUES = (
    *("-1", "0", "1", "2", "-5", "3", "0.5", "-0.1", "2.5", "1e-30", "1e30", "1e999"),
    *("-1e999", "nan", "'nan'", "''", "x", "'1'", "None", "True", "False", "()", "[]"),
    *("{}", "(1,)", "(-1,)", "(0, 'a')", "((1,),)", "{'a': 1}", "b'x'", "1+2j", "("),
    *("@nothing", "@MLP", "@MLP()", "@AdamW()", "%SEED", "%NOTHING", "%STAGE", "a b"),
    *("../..", "/dev/null", "/", "~", "a=b", "'\\n'", "é", "%gin.REQUIRED", "@", "%"),
)
_PROGRAMS = {
    "train": ("workdir", "gin_file", "gin_bindings", "dry_run", "strategy", "wandb"),
    "build_dataset": ("data_dir", "env_ids", "num_workers", "overwrite", "dry_run"),
    "relabel": ("run", "name", "latent", "batch_size", "decoder_run", "gin_file"),
    "evaluate": ("run", "num_rollouts", "episodes_per_slot", "greedy", "seed"),
    "report": ("run", "latents", "max_windows", "summary", "output"),
    "sweep": ("sweep_dir", "grid", "grid_file", "max_parallel", "launcher", "status"),
    "import_dataset": ("format", "path", "env_id", "minari_id", "max_episodes"),
    "quickstart": ("preset", "labels", "seeds", "output"),
}
_FLAG_VALUES = (
    *("", "x", "-1", "0", "1.5", "nan", "true", "None", "/dev/null", "../x", "a,b"),
    *("procgen", "gin/base.gin", "gin", "/nothing/at/all", "SEED=", "=", "é", "a\nb"),
)
_GIN_TEXTS = (
    "SEED 3",
    "SEED =",
    "SEED = (",
    "SEED = 1 2",
    "= 3",
    "seed = 3",
    "\x00\x01",
    "import nothing.at.all",
    "import os\nos.getcwd.x = 1",
    "from __gin__ import dynamic_registration\nimport os\nos.getcwd.x = 1",
    "from __gin__ import dynamic_registration\nimport keras\nkeras.nothing.x = 1",
    "from __gin__ import dynamic_registration\nfrom pdtla import nothing",
    "include 'gin/nothing.gin'",
    "include 'gin'",
    "include '{folder}/case.gin'",
    "BATCH_SIZE = %BATCH_SIZE",
    "BATCH_SIZE = %SEED\nSEED = %BATCH_SIZE",
    "STAGE = @train.train",
    "DATASET = %STAGE",
    "STAGE = @keras.optimizers.AdamW",
    "OPTIMIZER = @keras.optimizers.AdamW()",
    "train.train.nothing = 1",
    "nothing/MLP.hidden = (3,)",
    "UNKNOWN_MACRO = 3",
    "SEED = 3  # fine\n",
    "",
)


@dataclasses.dataclass(frozen=True)
class Case:
    """A command.

    Attributes:
      kind: what is wrong with it, in a word.
      arguments: of the program; `{data}`, `{workdir}` and `{folder}` stand for paths.
      module: the program.
      names: an error has to have one of these in it; any will do if there are none.
      dataset: arguments of `damage.write`, None for one without damage.
      file: content of the gin file `{folder}/case.gin`.
    """

    kind: str
    arguments: tuple[str, ...]
    module: str = "train"
    names: frozenset[str] = frozenset()
    dataset: Any = None
    file: str | None = None


def train(stage: str, *arguments: str, images: bool = False) -> tuple[str, ...]:
    """The arguments of a tiny run."""
    files = [f"gin/stages/{stage}.gin", "gin/envs/mujoco.gin"]
    files += [] if images else ["gin/encoders/mlp.gin"]
    files += ["gin/smoke.gin", _TINY]
    small = () if images else _SMALL
    small += ("NUM_EXAMPLES = 8",) if "decoder" in stage else ()
    return (
        *(f"--gin_file={file}" for file in files),
        f"--gin.DATA_DIR={DATA}",
        f"--workdir={WORKDIR}",
        *(f"--gin_bindings={binding}" for binding in small),
        *arguments,
    )


@functools.cache
def knobs(stage: str) -> dict[str, frozenset[str]]:
    """What a stage reads: macros and arguments, each with names for it in an error."""
    files = [a.removeprefix("--gin_file=") for a in train(stage) if "gin_file" in a]
    usage = configs.parse_gin(files, _SMALL, roots=[train_lib.train])
    values = bindings_lib.snapshot()
    found: dict[str, set[str]] = {}
    for binding in usage.used:
        name = str(binding)
        if binding.is_macro:
            found.setdefault(name, {name})
            continue
        names = {binding.parameter, binding.selector.rpartition(".")[2]}
        found.setdefault(name, set()).update(names)
        for macro in bindings_lib.read_macros(values[binding]):
            found.setdefault(macro, {macro}).update(names)
    del found["DATA_DIR"]
    return {name: frozenset(names) for name, names in sorted(found.items())}


@st.composite
def settings(draw) -> Case:
    """One to three macros or arguments of a stage have odd values."""
    stage = draw(st.sampled_from(_STATES))
    known = knobs(stage)
    macros = sorted(name for name in known if name.isupper())
    name = st.one_of(st.sampled_from(macros), st.sampled_from(sorted(known)))
    chosen = draw(st.lists(name, min_size=1, max_size=3, unique=True))
    arguments = []
    names = {
        "DATA_DIR",
        "NUM_EXAMPLES",
        "MLP_HIDDEN",
        "MLP_OUTPUT",
    }  # may be without effect then
    for each in chosen:
        value = draw(st.sampled_from(_VALUES + _HUGE * (each not in _ENDLESS)))
        arguments.append(f"--gin.{each}={value}")
        names |= known[each] | {value.strip("'@%()")} - {""}
    if draw(st.integers(0, 9)) == 0:
        arguments.append("--gin.RUN_EVAL_ROLLOUTS=True")
        names |= {"RUN_EVAL_ROLLOUTS", "rollout"}
    return Case("setting", train(stage, *arguments), names=frozenset(names))


@st.composite
def misspelt(draw) -> Case:
    """A name of a macro or of an argument with a letter more, less or another."""
    stage = draw(st.sampled_from(_STATES))
    name = draw(st.sampled_from(sorted(knobs(stage))))
    place = draw(st.integers(0, len(name) - 1))
    put = draw(st.sampled_from(("", "X", "_", "é", ".", "/")))
    wrong = name[:place] + put + name[place + 1 :]
    text = f"--gin.{wrong}={draw(st.sampled_from(_VALUES))}"
    return Case("misspelt", train(stage, text))


@st.composite
def command_line(draw) -> Case:
    """Flags that there are not, or with odd values."""
    program = draw(st.sampled_from(sorted(_PROGRAMS)))
    arguments = []
    names = set()
    for _ in range(draw(st.integers(1, 3))):
        flag = draw(st.sampled_from(_PROGRAMS[program]))
        if draw(st.integers(0, 3)) == 0:
            flag = flag[:-1] + draw(st.sampled_from("xs_"))
        value = draw(st.sampled_from(_FLAG_VALUES))
        form = draw(st.sampled_from(("--{}={}", "--{}", "{}", "-{}={}", "--no{}")))
        arguments.append(form.format(flag, value))
        names |= {flag, value}
    if program == "train":
        arguments = [*train("bc"), *arguments]
    return Case("flag", tuple(arguments), program)


@st.composite
def gin_file(draw) -> Case:
    """A gin file that is none, or whose text makes no sense."""
    stage = draw(st.sampled_from(_STATES))
    path = draw(
        st.sampled_from(
            (f"{FOLDER}/case.gin",) * 4
            + ("", "gin", "/dev/null", "nothing.gin", f"{FOLDER}/case.gim", "README.md")
        )
    )
    text = draw(st.one_of(st.sampled_from(_GIN_TEXTS), st.text(max_size=30)))
    text = text.encode("utf-8", "replace").decode()
    return Case("gin file", train(stage, f"--gin_file={path}"), file=text)


@st.composite
def binding_text(draw) -> Case:
    """A binding of any text."""
    stage = draw(st.sampled_from(_STATES))
    printable = st.text(st.characters(exclude_categories=("Cs",)), max_size=12)
    text = draw(st.one_of(st.sampled_from(_GIN_TEXTS), printable)).replace("\0", "")
    form = draw(st.sampled_from(("--gin_bindings={}", "--gin.{}", "--gin.SEED={}")))
    return Case("binding", train(stage, form.format(text)))


_SHAPES = ((), (0,), (1,), (3,), (2, 2), (None,), (3, 1), (64, 64, 4), (8, 8, 3))
_DTYPES = ("float32", "float64", "uint8", "int32", "int64", "bool", "text", "label5")
_IMAGES = (
    ((64, 64, 4), "uint8"),
    ((64, 64, 1), "uint8"),
    ((64, 64), "uint8"),
    ((1, 1, 3), "uint8"),
    ((65, 63, 3), "uint8"),
    ((64, 64, 3), "float32"),
    ((64, 64, 4), "png"),
    ((64, 64, 3), "png"),
    ((None, None, 3), "png"),
)
_LENGTHS = ((), (0,), (1,), (1, 1, 1), (0, 5, 5), (5,), (2, 2), (5, 0, 0), (1, 30))
_NUMBERS = ("nan", "inf", "-inf", "1e38", "-1e30", "5", "-5", "0")
_VALUED = ("observation", "action", "reward", "is_first", "is_last")


@st.composite
def dataset(draw) -> Case:
    """One or two things are wrong with the dataset."""
    images = draw(st.integers(0, 4)) == 0
    stage = "bc" if images else draw(st.sampled_from(_STATES))
    made: dict[str, Any] = {"images": images}
    names = sorted(damage.STATES)
    wrong = draw(
        st.sets(
            st.sampled_from(("layout", "missing", "lengths", "values", "harm")),
            min_size=1,
            max_size=2,
        )
    )
    if "layout" in wrong:
        name = draw(st.sampled_from(("observation", "action", *names)))
        shape, dtype = draw(st.sampled_from(_SHAPES)), draw(st.sampled_from(_DTYPES))
        if images and name == "observation":
            shape, dtype = draw(st.sampled_from(_IMAGES))
        made["fields"] = {name: (shape, dtype)}
    if "missing" in wrong:
        name = draw(st.sampled_from(("observation", "action", *names)))
        made["fields"] = {**made.get("fields", {}), name: None}
        if draw(st.booleans()):
            made["fields"][f"{name}s"] = damage.STATES[name]
    if "lengths" in wrong:
        made["lengths"] = draw(st.sampled_from(_LENGTHS))
    if "values" in wrong:
        name = draw(st.sampled_from(_VALUED))
        made["values"] = {name: draw(st.sampled_from(_NUMBERS))}
    if "harm" in wrong:
        files, harms = st.sampled_from(damage.FILES), st.sampled_from(damage.HARMS)
        made["harm"] = (draw(files), draw(harms))
    return Case("dataset", train(stage, images=images), dataset=made)


def any_case() -> st.SearchStrategy[Case]:
    """Any of them; datasets and settings as often as all else."""
    return st.one_of(
        *(settings(), settings(), dataset(), dataset(), settings()),
        *(command_line(), gin_file(), binding_text(), misspelt()),
    )


def has_name(message: str, names: frozenset[str]) -> bool:
    """Whether an error names what it is about."""
    plain = re.sub(r"[\W_]", "", message).lower()
    return not names or any(re.sub(r"[\W_]", "", n).lower() in plain for n in names)


def _damaged(stage: str, **how: Any) -> Case:
    return Case("dataset", train(stage, images=how.get("images", False)), dataset=how)


# What once ended otherwise: in a signal, in a traceback or without a name.
FOUND = (
    _damaged("bc", fields={"observation": ((0,), "float32")}),
    _damaged("dt", fields={"is_last": ((0,), "float32")}),
    _damaged("vpt", harm=("dataset_info.json", "empty")),
    _damaged("lam", harm=("features.json", "garbage")),
    _damaged("lam", harm=("index.json", "empty")),
    _damaged("lam", lengths=()),
    _damaged("vpt", fields={"observation": ((64, 64, 4), "float32")}),
    _damaged("dt", fields={"observation": ((8, 8, 3), "uint8")}),
    Case("setting", train("dt", "--gin.LEARNING_RATE=("), names=frozenset({"("})),
    Case("setting", train("dt", "--gin.WEIGHT_DECAY=@MLP()")),
    Case("setting", train("bc", "--gin.SEED=%SEED"), names=frozenset({"SEED"})),
    Case("flag", (*train("bc"), "--strategi=one"), names=frozenset({"strategi"})),
    Case("flag", (*train("bc"), "more"), names=frozenset({"more"})),
)
