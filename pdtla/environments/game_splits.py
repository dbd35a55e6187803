"""Which of Procgen's games and levels are trained on, and which evaluated."""

from collections.abc import Sequence

from pdtla.environments import levels

# The split of Raparthy et al. 2023 (arXiv 2312.03801), table 3.
RAPARTHY_TRAIN = (
    "bigfish",
    "bossfight",
    "caveflyer",
    "chaser",
    "coinrun",
    "dodgeball",
    "fruitbot",
    "heist",
    "leaper",
    "maze",
    "miner",
    "starpilot",
)
RAPARTHY_TEST = ("climber", "ninja", "plunder", "jumper")
SPLITS = ("train", "test", "raparthy")


def training_games(split: str, games: Sequence[str]) -> tuple[str, ...]:
    """The games trained on: those given, none of which the split may hold out.

    Args:
      split: one of `SPLITS`.
      games: names of games.

    Raises:
      ValueError: an unknown split, no game, one that comes twice or is held out.
    """
    _check(split)
    games = tuple(games)
    if not games or len(set(games)) < len(games):
        raise ValueError(f"Games must be some different ones, got {games}.")
    held_out = set(games) & set(RAPARTHY_TEST)
    if split == "raparthy" and held_out:
        raise ValueError(
            f"The split raparthy holds out {', '.join(RAPARTHY_TEST)}, got games "
            f"{', '.join(sorted(held_out))} to train on."
        )
    return games


def evaluation_games(split: str, games: Sequence[str]) -> tuple[str, ...]:
    """The games evaluated: those trained on, or of `raparthy` those held out.

    Args:
      split: one of `SPLITS`.
      games: the games trained on.

    Raises:
      ValueError: as in `training_games`.
    """
    games = training_games(split, games)
    return RAPARTHY_TEST if split == "raparthy" else games


def evaluation_levels(
    split: str, trained: levels.LevelRange, others: levels.LevelRange
) -> levels.LevelRange:
    """The levels evaluated: of `train` those trained on, else the others.

    Raises:
      ValueError: as in `training_games`; or those trained on are not told.
    """
    _check(split)
    if split == "train" and trained == levels.training_levels():
        raise ValueError(
            "ENV_SPLIT train plays the levels trained on, of which datasets have few: "
            "set NUM_TRAIN_LEVELS as when they were built."
        )
    return trained if split == "train" else others


def unseen_levels(split: str, trained: levels.LevelRange) -> levels.LevelRange | None:
    """The levels that evaluation must not meet: those trained on, but of `train`."""
    _check(split)
    return None if split == "train" else trained


def _check(split: str) -> None:
    if split not in SPLITS:
        raise ValueError(f"ENV_SPLIT must be of {', '.join(SPLITS)}, got {split}.")
