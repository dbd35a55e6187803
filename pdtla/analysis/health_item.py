"""`HealthItem`: one question about a latent action model, and its answer."""

import dataclasses
import math

GOOD, DOUBTFUL, BROKEN = "good", "doubtful", "broken"
VERDICTS = (GOOD, DOUBTFUL, BROKEN)


@dataclasses.dataclass(frozen=True)
class HealthItem:
    """A verdict and what it stands on.

    Attributes:
      name: of the item, a key.
      question: what is asked.
      verdict: one of `VERDICTS`.
      finding: what was found, one sentence with its numbers.
      rule: from which numbers on the verdict is which.
      why: why the threshold lies there.
      values: all numbers of the item.
    """

    name: str
    question: str
    verdict: str
    finding: str
    rule: str
    why: str
    values: dict[str, float]


def grade(value: float, *, broken: float, good: float) -> str:
    """The verdict of a number that should be large."""
    if value < broken:
        return BROKEN
    return GOOD if value >= good else DOUBTFUL


def worst(verdicts: list[str]) -> str:
    """The worst of some verdicts."""
    return max(verdicts, key=VERDICTS.index)


def margin(number: int) -> float:
    """Two standard errors of the difference of two accuracies of so many, at most."""
    return 2.0 * math.sqrt(0.5 / number)
