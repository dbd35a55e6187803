"""Normalised scores: named tables of minimum and maximum returns.

None of these constants holds where episodes are cut by a step limit or actions are
sticky; measure a random and an expert policy under the same conditions then.
"""

import numpy as np

from pdtla.environments import names

# Raw returns of a random policy and of PPO trained for 50M frames, easy mode, all
# levels. Source: env_utils.py of LAPO (Schmidt & Jiang 2024, arXiv 2312.10812).
_LAPO = {
    "bigfish": (0.87, 36.34),
    "bossfight": (0.05, 11.63),
    "caveflyer": (2.60, 9.18),
    "chaser": (0.66, 9.96),
    "climber": (2.22, 10.23),
    "coinrun": (2.70, 9.93),
    "dodgeball": (0.61, 13.49),
    "fruitbot": (-2.53, 29.93),
    "heist": (3.08, 9.69),
    "jumper": (3.41, 8.46),
    "leaper": (2.51, 7.41),
    "maze": (4.27, 9.97),
    "miner": (1.25, 11.89),
    "ninja": (2.56, 9.47),
    "plunder": (4.32, 11.46),
    "starpilot": (1.53, 66.99),
}

# Return of an agent that gets no observations and the highest return there is.
# Source: constants.py of openai/train-procgen (Cobbe et al. 2020, arXiv 1912.01588).
_EASY_CODE = {
    "bigfish": (1.0, 40.0),
    "bossfight": (0.5, 13.0),
    "caveflyer": (3.5, 12.0),
    "chaser": (0.5, 13.0),
    "climber": (2.0, 12.6),
    "coinrun": (5.0, 10.0),
    "dodgeball": (1.5, 19.0),
    "fruitbot": (-1.5, 32.4),
    "heist": (3.5, 10.0),
    "jumper": (1.0, 10.0),
    "leaper": (1.5, 10.0),
    "maze": (5.0, 10.0),
    "miner": (1.5, 13.0),
    "ninja": (3.5, 10.0),
    "plunder": (4.5, 30.0),
    "starpilot": (2.5, 64.0),
}

# The appendix of the same paper prints other minima for two games.
_EASY_PAPER = _EASY_CODE | {"jumper": (3.0, 10.0), "leaper": (3.0, 10.0)}

# The same code, hard mode.
_HARD_CODE = {
    "bigfish": (0.0, 40.0),
    "bossfight": (0.5, 13.0),
    "caveflyer": (2.0, 13.4),
    "chaser": (0.5, 14.2),
    "climber": (1.0, 12.6),
    "coinrun": (5.0, 10.0),
    "dodgeball": (1.5, 19.0),
    "fruitbot": (-0.5, 27.2),
    "heist": (2.0, 10.0),
    "jumper": (1.0, 10.0),
    "leaper": (1.5, 10.0),
    "maze": (4.0, 10.0),
    "miner": (1.5, 20.0),
    "ninja": (2.0, 10.0),
    "plunder": (3.0, 30.0),
    "starpilot": (1.5, 35.0),
}

# Returns of a random policy and of soft actor-critic, to multiply by 100 as D4RL does.
# Source: infos.py of D4RL (Fu et al. 2020, arXiv 2004.07219).
_D4RL = {
    "halfcheetah": (-280.178953, 12135.0),
    "hopper": (-20.272305, 3234.3),
    "walker2d": (1.629008, 4592.3),
    "ant": (-325.6, 3879.7),
}

# Of families of tasks, 200 steps: returns of uniformly random actions and of the
# shipped expert, which is shown the goal. Measured: 100 episodes on the evaluation
# levels of gin/envs/halfcheetah_vel.gin and halfcheetah_dir.gin.
_GOALS = {
    "halfcheetah-vel": (-390.6, -21.8),
    "halfcheetah-dir": (-25.0, 1236.0),
}

TABLES = {
    "d4rl": _D4RL,
    "goals": _GOALS,
    "lapo": _LAPO,
    "procgen_easy_code": _EASY_CODE,
    "procgen_easy_paper": _EASY_PAPER,
    "procgen_hard_code": _HARD_CODE,
}


def bounds(env_id: str, table: str = "lapo") -> tuple[float, float]:
    """The returns that count as 0 and 1.

    Args:
      env_id: the game; of "d4rl" and "goals", any name that `names` resolves.
      table: a name in `TABLES`.

    Returns:
      Minimum and maximum.

    Raises:
      ValueError: an unknown table, or a game it does not hold.
    """
    if table not in TABLES:
        raise ValueError(
            f"{table!r} is not a score table; the tables are {', '.join(TABLES)}."
        )
    if table in ("d4rl", "goals"):
        env_id = names.locomotion(env_id)
    if env_id not in TABLES[table]:
        raise ValueError(
            f"The score table {table} has no {env_id!r}; "
            f"it has {', '.join(TABLES[table])}."
        )
    return TABLES[table][env_id]


def normalise(returns: np.ndarray, minimum: float, maximum: float) -> np.ndarray:
    """Maps `minimum` to 0 and `maximum` to 1, linearly, without clipping.

    Args:
      returns: raw episode returns, any shape.
      minimum: the return that counts as 0.
      maximum: the return that counts as 1.

    Returns:
      float64, same shape.

    Raises:
      ValueError: the range is empty.
    """
    if not maximum > minimum:
        raise ValueError(f"maximum must be above minimum, got {maximum} and {minimum}.")
    return (np.asarray(returns, np.float64) - minimum) / (maximum - minimum)
