"""`BudgetSettings`, what `launch.label_budget` compares."""

import dataclasses
import glob
import pathlib
from collections.abc import Mapping, Sequence
from typing import Any

import gin

from launch import few_labels_family as family_lib
from launch import few_labels_study as study_lib
from pdtla.training import configs

# The methods by their names, and what a `few_labels_study.Study` calls them.
METHODS = {
    "bc": "bc_labels",
    "vpt_bc": "vpt",
    "vpt_bc_linear": "vpt_linear",
    "la_bc_vq": "la_bc_vq",
    "la_bc": "la_bc",
    "la_bc_joint": "la_bc_joint",
    "la_bc_joint_zo": "la_bc_joint_zo",
    "lapo_plus": "lapo_plus",
}
_BASE = "gin/label_budget.gin"
_PREFIX = "label_budget_"
_NUMBERS = {"bc": "policy", "joint": "lam", "vpt": "vpt"}


@dataclasses.dataclass(frozen=True)
class BudgetSettings:
    """Labels x method x seed in one environment.

    Args:
      env_id: a game of Procgen, a task of Meta-World or of MuJoCo.
      preset: folder of gin files with the numbers of the stages.
      pool: where labels come from, of the family's pools.
      data: macros of the datasets, other than the preset's.
      seeds: of training and of the choice of labels, one or several.
      labels: numbers of labelled transitions, one or several.
      methods: of `METHODS`, one or several.
      share: of the way from the best trivial policy to cloning with all labels, to be
        reached.
      numbers: which file of the preset has the numbers for cloning of labels (bc), the
        joint form (joint) and the inverse model of labels (vpt), where not the usual.
      few_labels: up to so many labels,
      few_numbers: these files have them.

    Raises:
      ConfigError: a value is unknown or out of range.
    """

    env_id: str
    preset: str
    pool: str
    data: Mapping[str, Any]
    seeds: Sequence[int] | int
    labels: Sequence[int] | int
    methods: Sequence[str] | str
    share: float
    numbers: Mapping[str, str]
    few_labels: int
    few_numbers: Mapping[str, str]

    def __post_init__(self):
        for name in ("seeds", "labels", "methods"):
            # The command line gives one as it is, and several words as one.
            value = getattr(self, name)
            value = value.split(",") if isinstance(value, str) else value
            whole = (value,) if isinstance(value, int) else tuple(value)
            object.__setattr__(self, name, whole)
        for name, lowest in (("seeds", 0), ("labels", 1)):
            numbers = getattr(self, name)
            if not numbers or len(set(numbers)) < len(numbers) or min(numbers) < lowest:
                raise configs.ConfigError(
                    f"{name.upper()} must be different numbers of at least {lowest}, "
                    f"got {numbers}."
                )
        object.__setattr__(self, "labels", tuple(sorted(self.labels)))
        known = family_lib.family_of(self.env_id).pools
        for name, values, names in (
            ("METHODS", self.methods, METHODS),
            ("POOL", (self.pool,), known),
            ("NUMBERS", self.numbers, _NUMBERS),
            ("FEW_NUMBERS", self.few_numbers, _NUMBERS),
        ):
            if unknown := sorted(set(values) - set(names)):
                raise configs.ConfigError(
                    f"{name} are of {', '.join(names)}; got {', '.join(unknown)}."
                )
        if not 0.0 < self.share <= 1.0:
            raise configs.ConfigError(
                f"SHARE must be above 0 and at most 1, got {self.share}."
            )

    def labels_of(self, number: int) -> study_lib.Labels:
        """So many labels, for a `Study`."""
        few = self.few_numbers if number <= self.few_labels else {}
        macros = {"NUM_EXAMPLES": number}
        return study_lib.Labels(
            text=f"{self.pool}:{number}",
            pool=self.pool,
            macros=macros,
            joint=macros,
            numbers=_NUMBERS | dict(self.numbers) | dict(few),
        )


def experiments(files: Sequence[str]) -> dict[str, list[str]]:
    """The gin files of each experiment, by its name.

    A pattern stands for one experiment for each file that matches; files without one
    belong to all of them. The name is that of the first file.

    Raises:
      ConfigError: there is no file, or none that matches.
    """
    if not files:
        raise configs.ConfigError(
            "--gin_file must be set, for instance "
            "--gin_file=gin/presets/label_budget_halfcheetah.gin."
        )
    choices = [[]]
    for file in files:
        matches = [file]
        if glob.has_magic(file):
            matches = sorted(glob.glob(file)) or sorted(
                str(path) for path in configs.REPOSITORY.glob(file)
            )
            if not matches:
                raise configs.ConfigError(f"No gin file matches {file!r}.")
        choices = [[*chosen, match] for chosen in choices for match in matches]
    return {pathlib.Path(c[0]).stem.removeprefix(_PREFIX): c for c in choices}


def read(files: Sequence[str], bindings: Sequence[str]) -> BudgetSettings:
    """The settings of an experiment.

    Args:
      files: its gin files.
      bindings: of the command line.

    Raises:
      ConfigError: a name or a value is wrong.
    """
    configs.parse_gin(files, bindings, roots=[BudgetSettings], base_file=_BASE)
    try:
        return gin.get_configurable(BudgetSettings)()
    except (ValueError, TypeError) as error:
        raise configs.ConfigError(configs.one_line(error)) from error
