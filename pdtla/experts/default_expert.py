"""The best expert there is for each game."""

from pdtla.environments import procgen
from pdtla.experts import (
    bigfish_expert,
    clone_search_expert,
    expert,
    heist_expert,
    maze_expert,
)

_SCRIPTED = {
    "bigfish": bigfish_expert.BigfishExpert,
    "heist": heist_expert.HeistExpert,
    "maze": maze_expert.MazeExpert,
}


def default_expert(env_id: str, seed: int = 0) -> expert.Expert:
    """The scripted expert of a game, or clone search where there is none.

    Args:
      env_id: the game.
      seed: seeds the search; scripted experts are deterministic.

    Returns:
      An expert for that game.

    Raises:
      ValueError: an unknown game.
    """
    procgen.check_game(env_id)
    if env_id in _SCRIPTED:
        return _SCRIPTED[env_id]()
    return clone_search_expert.CloneSearchExpert(seed=seed)
