"""The best expert there is for each game and locomotion task."""

from pdtla.environments import locomotion, procgen
from pdtla.experts import (
    bigfish_expert,
    clone_search_expert,
    expert,
    heist_expert,
    maze_expert,
    mujoco_expert,
)

_SCRIPTED = {
    "bigfish": bigfish_expert.BigfishExpert,
    "heist": heist_expert.HeistExpert,
    "maze": maze_expert.MazeExpert,
}


def default_expert(env_id: str, seed: int = 0) -> expert.Expert:
    """A trained expert of locomotion, a game's script, or clone search without one.

    Args:
      env_id: the game, or a key of `locomotion.TASKS`.
      seed: seeds the search; the others are deterministic.

    Raises:
      ValueError: an unknown game.
    """
    if env_id in locomotion.TASKS:
        return mujoco_expert.MujocoExpert(env_id)
    procgen.check_game(env_id)
    if env_id in _SCRIPTED:
        return _SCRIPTED[env_id]()
    return clone_search_expert.CloneSearchExpert(seed=seed)
