"""Ranges of level seeds that never meet: training and evaluation levels."""

import dataclasses

# Procgen's seeds go to 2^31 - 2. Evaluation starts in the middle, so that no training
# set of any size that is used in practice reaches them.
EVALUATION_START = 2**30
ALL_SEEDS = 2**31 - 1


@dataclasses.dataclass(frozen=True)
class LevelRange:
    """The level seeds `start_level` to `start_level + num_levels - 1`.

    `num_levels=0` means all seeds, as in Procgen.
    """

    start_level: int
    num_levels: int

    @property
    def end(self) -> int:
        """The first seed behind the range."""
        if self.num_levels == 0:
            return ALL_SEEDS
        return self.start_level + self.num_levels

    def __contains__(self, level: int) -> bool:
        return self.start_level <= level < self.end


def training_levels(num_levels: int = EVALUATION_START) -> LevelRange:
    """The first levels; by default half of all there are."""
    if not 1 <= num_levels <= EVALUATION_START:
        raise ValueError(
            f"num_levels of the training levels must be 1 to 2^30, got {num_levels}."
        )
    return LevelRange(0, num_levels)


def evaluation_levels(num_levels: int = ALL_SEEDS - EVALUATION_START) -> LevelRange:
    """Levels that no training set contains."""
    if not 1 <= num_levels <= ALL_SEEDS - EVALUATION_START:
        raise ValueError(
            "num_levels of the evaluation levels must be 1 to 2^30 - 1, "
            f"got {num_levels}."
        )
    return LevelRange(EVALUATION_START, num_levels)


def assert_disjoint_levels(*ranges: LevelRange) -> None:
    """Raises a `ValueError` if any two ranges share a level."""
    in_order = sorted(ranges, key=lambda levels: levels.start_level)
    for first, second in zip(in_order, in_order[1:], strict=False):
        if second.start_level < first.end:
            raise ValueError(
                f"Level ranges must be disjoint, got {first.start_level} to "
                f"{first.end - 1} and {second.start_level} to {second.end - 1}."
            )
