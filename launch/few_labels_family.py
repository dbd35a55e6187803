"""`Family`, what the comparison with few labels knows of a family of environments."""

import functools
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from pdtla.environments import metaworld, procgen
from pdtla.experts import default_expert, metaworld_expert, mujoco_expert
from pdtla.experts import expert as expert_lib

EXPERT = "expert"


class Pool(NamedTuple):
    """Episodes that labels come from.

    Attributes:
      dataset: its name; {} stands for the environment.
      macros: what builds it.
    """

    dataset: str
    macros: Mapping[str, Any]


class Family(NamedTuple):
    """A family of environments.

    Attributes:
      preset: folder of gin files with the numbers.
      make_expert: makes the expert of an environment.
      pools: by their names; `EXPERT` is what methods see without its actions.
      outcome: what methods are compared by, a list of the results' rollouts.
      names_env: whether a dataset is found by the environment's name beside its own.
    """

    preset: str
    make_expert: Callable[[str], expert_lib.Expert]
    pools: Mapping[str, Pool]
    outcome: str
    names_env: bool = False

    def dataset(self, pool: str, env_id: str) -> str:
        """The dataset of a pool."""
        return self.pools[pool].dataset.format(env_id)

    def source(self, pool: str, env_id: str) -> dict[str, str]:
        """The macros by which the dataset of a pool is read."""
        macros = {"DATASET_NAME": self.dataset(pool, env_id)}
        return macros | ({"ENV_ID": env_id} if self.names_env else {})


def family_of(env_id: str) -> Family:
    """The family of an environment; Procgen's, Meta-World's, or else MuJoCo's."""
    if env_id in procgen.GAMES:
        return _PROCGEN
    return _METAWORLD if env_id in metaworld.TASKS else _MUJOCO


_MUJOCO = Family(
    preset="gin/presets/few_labels",
    make_expert=functools.partial(mujoco_expert.MujocoExpert, level="steady"),
    pools={
        name: Pool(f"mujoco_dataset/{{}}-{mix}", {"MIX": mix})
        for name, mix in (
            (EXPERT, "steady"),
            ("medium", "medium-random"),
            ("noisy", "noisy-random"),
        )
    },
    outcome="returns",
)
# Half the actions of the noisy script are random. It then solves a window in every
# second episode, a button in nearly all, an assembly in none.
_METAWORLD = Family(
    preset="gin/presets/few_labels_metaworld",
    make_expert=metaworld_expert.MetaworldExpert,
    pools={
        EXPERT: Pool("metaworld_dataset/{}", {}),
        "noisy": Pool(
            "metaworld_dataset/{}-noisy", {"EPSILON": 0.5, "SUCCESSES_ONLY": False}
        ),
    },
    outcome="successes",
)
_PROCGEN = Family(
    preset="gin/presets/few_labels_procgen",
    make_expert=default_expert.default_expert,
    pools={EXPERT: Pool("procgen_dataset", {})},
    outcome="returns",
    names_env=True,
)
