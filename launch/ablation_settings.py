"""`AblationSettings`, what `launch.ablations` changes in a latent action model."""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import gin

from launch import few_labels_family as family_lib
from pdtla.latent_actions.labeller import LATENTS
from pdtla.training import configs

BASE = "base"
FILE = "ablations.gin"  # of a preset
MODELS = ("lam", "laom")


class Variant(NamedTuple):
    """A latent action model that differs from the base in one factor.

    Attributes:
      factor: what differs; `BASE` if nothing does.
      value: how.
      macros: of the model's run.
      files: gin files that its run reads last.
      model: which one, by its file in gin/stages and in the preset.
      joint: whether a decoder is trained along with the model.
      of: name of the variant whose model this is.
      latent: what is imitated and decoded, "continuous" or "quantized".
      decoder_after: whether a decoder is fitted on the latents afterwards.
    """

    factor: str
    value: str
    macros: Mapping[str, Any]
    files: Sequence[str]
    model: str
    joint: bool
    of: str
    latent: str
    decoder_after: bool

    @property
    def name(self) -> str:
        """Of its folder."""
        return _name(self.factor, self.value)


@dataclasses.dataclass(frozen=True)
class AblationSettings:
    """One base and the changes to it.

    Args:
      env_id: the environment.
      pool: where labels come from, of the family's pools.
      label_trajs: labelled trajectories.
      base: what the base has of each factor, beside its values in the table.
      changes: for each factor its values, and for each value what a `Variant` is made
        of: macros of the model's run, `files`, `model` and `joint`; or `of`, [factor,
        value] of the variant whose model it takes and whose `latent` then gets a
        decoder.

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
        self.variants()

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
        chosen = [(BASE, "")]
        for factor, values in self.changes.items():
            if factor in only:
                chosen += [(factor, value) for value in values]
        return [self._variant(*each) for each in chosen]

    def _variant(self, factor: str, value: str) -> Variant:
        """Raises a `ConfigError` if it takes the model of an unknown one."""
        macros, of = dict(self._changes(factor, value)), (factor, value)
        latent, after = macros.pop("latent", LATENTS[0]), "of" in macros
        if after:
            of = tuple(macros.pop("of"))
            macros = dict(self._changes(*of)) | macros
        if latent not in LATENTS:
            raise configs.ConfigError(f"latent is one of {LATENTS}, got {latent!r}.")
        files, joint = macros.pop("files", ()), macros.pop("joint", True)
        model = macros.pop("model", MODELS[0])
        if model not in MODELS:
            raise configs.ConfigError(f"model is one of {MODELS}, got {model!r}.")
        return Variant(
            factor=factor,
            value=value,
            macros=macros,
            files=files,
            model=model,
            joint=joint,
            of=_name(*of),
            latent=latent,
            decoder_after=after or not joint,
        )

    def _changes(self, factor: str, value: str) -> Mapping[str, Any]:
        if (factor, value) == (BASE, ""):
            return {}
        if value not in self.changes.get(factor, {}):
            raise configs.ConfigError(f"There is no variant {factor!r}, {value!r}.")
        return self.changes[factor][value]


def read(preset: str) -> AblationSettings:
    """The settings of a preset.

    Raises:
      ConfigError: it has none, or a name or a value is wrong.
    """
    configs.parse_gin(
        [f"{preset}/{FILE}"], [], roots=[AblationSettings], base_file=None
    )
    return gin.get_configurable(AblationSettings)()


def _name(factor: str, value: str) -> str:
    return "_".join(re.findall(r"\w+", f"{factor} {value}"))
