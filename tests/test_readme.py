"""Every command of the README runs, at smoke size, in the order in which it stands."""

import os
import pathlib
import re
import shlex
import subprocess
import sys

import pytest

_ROOT = pathlib.Path(__file__).parents[1]
# What makes a command a matter of seconds; everything else is the README's own.
_SMALLER = {
    "launch.build_dataset": ["--gin.NUM_TRAJS=40", "--gin.NUM_TEST_TRAJS=2"],
    "launch.train": ["--gin_file=gin/smoke.gin"],
    "launch.relabel": [],
    "launch.export": [],
    "launch.evaluate": ["--num_rollouts=2"],
}


def readme_commands() -> list[list[str]]:
    """The `python -m launch...` commands of the README, $ENV filled in."""
    text = (_ROOT / "README.md").read_text().replace("\\\n", " ")
    env = re.search(r'^ENV="(.*)"$', text, re.MULTILINE)[1]
    lines = re.findall(r"^python -m (launch\..*)$", text, re.MULTILINE)
    return [shlex.split(line.replace("$ENV", env)) for line in lines]


@pytest.fixture(scope="module")
def checkout(tmp_path_factory) -> pathlib.Path:
    """A working directory like the repository's, whose outputs go elsewhere."""
    directory = tmp_path_factory.mktemp("readme")
    for name in ("gin", "launch", "pdtla"):
        (directory / name).symlink_to(_ROOT / name)
    return directory


def test_readme_commands_run(checkout):
    commands = readme_commands()
    assert len(commands) >= 10
    for module, *arguments in commands:
        done = subprocess.run(
            [sys.executable, "-m", module, *arguments, *_SMALLER[module]],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout)},
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert done.returncode == 0, f"{module} {arguments}:\n{done.stderr[-2000:]}"
    assert (checkout / "runs/la_bc/results.json").exists()
    assert (checkout / "runs/lapo_plus/results.json").exists()
