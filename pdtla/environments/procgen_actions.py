"""Which of Procgen's 15 actions have the same effect, game by game.

Every game takes the same 15 actions: moves 0-8, as 3 * (dx + 1) + (dy + 1), and special
actions 9-14. Most games ignore some of them. Labels that name the effect, not the key,
are needed wherever actions are inferred from frames: accuracies and decoders would
otherwise be asked for what no frame can show.
"""

import numpy as np

NUM_ACTIONS = 15
NO_ACTION = 4

_MOVES = tuple(range(9))
_NO_SPECIAL = (NO_ACTION,) * 6
_FIRE = (9, *(NO_ACTION,) * 5)
# Up and down count only without left and right.
_STRAIGHT = (1, 1, 1, 3, 4, 5, 7, 7, 7)
# Down is no action.
_PLATFORM = (1, 1, 2, 4, 4, 5, 7, 7, 8)
_SIDEWAYS = (1, 1, 1, 4, 4, 4, 7, 7, 7)

# The action that stands for each of the 15. Found by comparing the states after all
# actions in states of all games (the test repeats that at small size).
_CANONICAL = {
    "bigfish": _MOVES + _NO_SPECIAL,
    "bossfight": _MOVES + _FIRE,
    "caveflyer": _MOVES + _FIRE,
    "chaser": _MOVES + _NO_SPECIAL,
    "climber": _PLATFORM + _NO_SPECIAL,
    "coinrun": _MOVES + _NO_SPECIAL,
    "dodgeball": _MOVES + _FIRE,
    "fruitbot": _SIDEWAYS + _FIRE,
    "heist": _MOVES + _NO_SPECIAL,
    "jumper": _PLATFORM + _NO_SPECIAL,
    "leaper": _STRAIGHT + _NO_SPECIAL,
    "maze": _STRAIGHT + _NO_SPECIAL,
    "miner": _STRAIGHT + _NO_SPECIAL,
    "ninja": (*_PLATFORM, 9, 10, 11, 12, 9, 9),
    "plunder": _SIDEWAYS + _FIRE,
    "starpilot": (*_MOVES, 9, 10, 9, 9, 9, 9),
}


def canonical(env_id: str, actions: np.ndarray) -> np.ndarray:
    """Replaces each action by the one that stands for all with the same effect.

    Args:
      env_id: the game.
      actions: integers of any shape, 0 to 14.

    Returns:
      int32, same shape.
    """
    return np.array(_CANONICAL[env_id], np.int32)[np.asarray(actions)]


def distinct(env_id: str) -> tuple[int, ...]:
    """The actions of a game that differ in effect, ascending."""
    return tuple(sorted(set(_CANONICAL[env_id])))
