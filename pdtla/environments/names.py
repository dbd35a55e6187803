"""Which environment the many names of a locomotion task and its datasets mean."""

import re

# Gymnasium's names, by ours.
GYMNASIUM = {
    "halfcheetah": "HalfCheetah",
    "walker2d": "Walker2d",
    "hopper": "Hopper",
    "ant": "Ant",
}
# Families of tasks on these bodies, a goal a level.
FAMILIES = ("halfcheetah-vel", "halfcheetah-dir")
# What the episodes of a dataset are made of, D4RL's mixes and this project's.
MIXES = (
    "expert",
    "medium",
    "medium-expert",
    "medium-replay",
    "medium-random",
    "full-replay",
    "random",
)
_TASK = "|".join((*GYMNASIUM, *FAMILIES))
_MIX = "|".join(MIXES)
# halfcheetah, HalfCheetah-v5, halfcheetah-medium-v0, mujoco_dataset/hopper-expert.
_PLAIN = re.compile(rf"(?:.*/)?({_TASK})(?:-({_MIX}))?(?:-v\d+)?")
# TFDS: d4rl_mujoco_halfcheetah/v0-medium.
_TFDS = re.compile(rf"d4rl_mujoco_({_TASK})(?:/v\d+-({_MIX}))?")


def locomotion(name: str) -> str:
    """The task that a name of an environment or of a dataset means.

    Args:
      name: e.g. "halfcheetah", "HalfCheetah-v5", "halfcheetah-medium-v0",
        "mujoco_dataset/halfcheetah-expert", "d4rl_mujoco_halfcheetah/v0-expert".

    Returns:
      One of the keys of `GYMNASIUM`, or of `FAMILIES`.

    Raises:
      ValueError: the name is none of a locomotion task.
    """
    lowered = name.lower()
    match = _PLAIN.fullmatch(lowered) or _TFDS.fullmatch(lowered)
    if match is None:
        raise ValueError(
            f"{name!r} is not a locomotion task; the tasks are "
            f"{', '.join((*GYMNASIUM, *FAMILIES))}, "
            "alone or as in HalfCheetah-v5 and halfcheetah-medium-v0, with one of "
            f"{', '.join(MIXES)}."
        )
    return match[1]
