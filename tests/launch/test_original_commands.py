"""The table of the original README's commands: each of ours parses in its full size."""

import re
import shlex

import gin
import pytest

from pdtla.datasets import build
from pdtla.training import configs
from pdtla.training import train as train_lib

_README = (configs.REPOSITORY / "README.md").read_text()
_TABLE = _README.partition("## The commands of the original README")[2].partition(
    "`gin/presets/` has"
)[0]
_MACROS = {
    name: re.search(rf"`\{name}` is\s+`([^`]*)`", _TABLE)[1] for name in ("$P", "$M")
}


def commands():
    for line in re.findall(r"`python -m ([^`]*)`(?: \||,)", _TABLE):
        for name, value in _MACROS.items():
            line = line.replace(name, value)
        yield line


def test_every_command_of_the_original_has_one():
    rows = [line for line in _TABLE.splitlines() if line.startswith("| ")][1:]
    assert len(rows) == 17  # two of the 18 share a row
    assert len(list(commands())) == 16


@pytest.mark.parametrize(
    "command", [c for c in commands() if not c.startswith("launch.relabel")]
)
def test_command_parses_in_its_full_size(command):
    program, *arguments = shlex.split(command)
    files = [a.partition("=")[2] for a in arguments if a.startswith("--gin_file=")]
    bindings = [
        configs.binding(a.removeprefix("--gin."))
        for a in arguments
        if a.startswith("--gin.")
    ]
    if program == "launch.build_dataset":
        bindings.append("ENV_ID = 'window-open'")
        configs.parse_gin(
            files, bindings, roots=[build.build], base_file="gin/data/build.gin"
        )
        return
    configs.parse_gin(files, bindings, roots=[train_lib.train])
    assert gin.get_bindings(train_lib.train)["stage"]() is not None
