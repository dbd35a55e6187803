"""Commands in the documents: programs, flags and full-size configurations."""

import re
import shlex

import gin
import pytest

from pdtla.datasets import build
from pdtla.training import configs
from pdtla.training import train as train_lib

_DOCUMENTS = [
    configs.REPOSITORY / "README.md",
    *sorted((configs.REPOSITORY / "docs").glob("*.md")),
]
_TABLE = (configs.REPOSITORY / "docs/commands.md").read_text()
_MACROS = {
    name: re.search(rf"`\{name}` is\s+`([^`]*)`", _TABLE)[1] for name in ("$P", "$M")
}
_ROOTS = {
    "launch.train": train_lib.train,
    "launch.sweep": train_lib.train,
    "launch.build_dataset": build.build,
}


def commands(text: str) -> list[str]:
    """What stands as `python -m ...` within the text, macros filled in."""
    found = []
    for line in re.findall(r"`python -m (launch[^`]*)`", text):
        for name, value in _MACROS.items():
            line = line.replace(name, value)
        # A program may be given another one to run.
        found += " ".join(line.split()).split(" -- python -m ")
    return found


_ALL = sorted({c for path in _DOCUMENTS for c in commands(path.read_text())})


def test_every_command_of_the_original_has_one():
    table = _TABLE.partition("## Presets")[0]
    rows = [line for line in table.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 18 == len(commands(table))


def test_every_command_names_a_program_and_its_flags():
    shared = (configs.REPOSITORY / "pdtla/training/configs.py").read_text()
    for name in ("run_flags", "seeds"):
        shared += (configs.REPOSITORY / f"launch/{name}.py").read_text()
    for command in _ALL:
        program, *arguments = shlex.split(command)
        path = configs.REPOSITORY / f"{program.replace('.', '/')}.py"
        source = path.read_text() + shared
        for flag in re.findall(r"--(\w+)", " ".join(arguments)):
            if flag != "gin":
                assert f'"{flag}"' in source, f"{command}: no flag --{flag}."


@pytest.mark.parametrize(
    "command", [c for c in _ALL if c.split()[0] in _ROOTS and "gin_file" in c]
)
def test_command_parses_in_its_full_size(command):
    program, *arguments = shlex.split(command)
    files = [a.partition("=")[2] for a in arguments if a.startswith("--gin_file=")]
    given = [a.removeprefix("--gin.") for a in arguments if a.startswith("--gin.")]
    given += [_first(a) for a in arguments if a.startswith(("--grid=", "--env_ids="))]
    base = {"base_file": "gin/data/build.gin"} if "build" in program else {}
    bindings = [configs.binding(each) for each in given]
    configs.parse_gin(files, bindings, roots=[_ROOTS[program]], **base)
    if program != "launch.build_dataset":
        assert gin.get_bindings(train_lib.train)["stage"]() is not None


def _first(axis: str) -> str:
    """The first point of `--grid=NAME=A,B` or `--env_ids=A,B`."""
    name, values = axis.removeprefix("--").rsplit("=", 1)
    name = name.removeprefix("grid=").replace("env_ids", "ENV_ID")
    return f"{name}={values.partition(',')[0]}"
