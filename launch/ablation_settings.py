"""`AblationSettings`, what `launch.ablations` changes in a latent action model."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gin

from launch import few_labels_family as family_lib
from pdtla.training import configs

BASE = "base"
FILE = "ablations.gin"  # of a preset


class Variant(NamedTuple):
    """A latent action model that differs from the base in one factor.

    Attributes:
      factor: what differs; `BASE` if nothing does.
      value: how.
      macros: of the model's run.
      files: gin files that its run reads last.
      joint: whether the decoder is trained along with the model, not after it.
    """

    factor: str
    value: str
    macros: Mapping[str, Any]
    files: Sequence[str]
    joint: bool


@dataclasses.dataclass(frozen=True)
class AblationSettings:
    """One base and the changes to it.

    Args:
      env_id: the environment.
      pool: where labels come from, of the family's pools.
      label_trajs: labelled trajectories.
      base: what the base has of each factor, beside its values in the table.
      changes: for each factor its values, and for each value macros of the model's run
        and, if need be, `files` and `joint` as in `Variant`.

    Raises:
      ConfigError: a value is unknown or out of range.
    """

    env_id: str
    pool: str
    label_trajs: int
    base: Mapping[str, Any]
    changes: Mapping[str, Mapping[str, Mapping[str, Any]]]

    def __post_init__(self):
        pools = family_lib.family_of(self.env_id).pools
        if self.pool not in pools:
            raise configs.ConfigError(
                f"pool is one of {', '.join(pools)}, got {self.pool!r}."
            )
        if self.label_trajs < 1:
            raise configs.ConfigError(
                f"label_trajs must be at least 1, got {self.label_trajs}."
            )

    def variants(self, only: Sequence[str] | None = None) -> list[Variant]:
        """The base and its variants.

        Args:
          only: some of the factors; None for all.

        Raises:
          ConfigError: an unknown factor.
        """
        only = self.changes if only is None else only
        if unknown := sorted(set(only) - set(self.changes)):
            raise configs.ConfigError(
                f"--only is of {list(self.changes)}, got {unknown}."
            )
        found = [_variant(BASE, "", {})]
        for factor, values in self.changes.items():
            if factor in only:
                found += [_variant(factor, *each) for each in values.items()]
        return found


def read(preset: str) -> AblationSettings:
    """The settings of a preset.

    Raises:
      ConfigError: it has none, or a name or a value is wrong.
    """
    configs.parse_gin(
        [f"{preset}/{FILE}"], [], roots=[AblationSettings], base_file=None
    )
    return gin.get_configurable(AblationSettings)()


def _variant(factor: str, value: str, changes: Mapping[str, Any]) -> Variant:
    macros = dict(changes)
    files, joint = macros.pop("files", ()), macros.pop("joint", True)
    return Variant(factor, value, macros, files, joint)
