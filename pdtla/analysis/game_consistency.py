"""Does a latent mean the same action in every game of a joint dataset?"""

from collections.abc import Sequence

import numpy as np

from pdtla.analysis import health_item
from pdtla.analysis.action_probe import ActionProbe
from pdtla.analysis.health_item import HealthItem
from pdtla.analysis.latent_sample import Examined


def check_games(
    fit: Examined, test: Examined, probe: ActionProbe, games: Sequence[str]
) -> HealthItem | None:
    """Tells actions of each game by a probe of the other games, and by one of its own.

    Args:
      fit: transitions that probes are fitted on.
      test: transitions that they are scored on.
      probe: what is fitted.
      games: names of the games, by the numbers in `parts` of the samples.

    Returns:
      None unless two games or more have transitions in both samples.
    """
    of_game = {
        name: (fit.sample.parts == number, test.sample.parts == number)
        for number, name in enumerate(games)
    }
    of_game = {name: has for name, has in of_game.items() if all(map(any, has))}
    if len(of_game) < 2:
        return None
    members = [
        np.flatnonzero(rows) for own, _ in of_game.values() for rows in (own, ~own)
    ]
    test_rows = [np.flatnonzero(of) for _, of in of_game.values() for _ in range(2)]
    scores = probe.scores(
        fit.latents,
        [fit.action] * len(members),
        test.latents,
        [test.action] * len(members),
        rows=members,
        test_rows=test_rows,
    )
    values, skills = {}, []
    for (name, (own, of)), within, across in zip(
        of_game.items(), scores[::2], scores[1::2], strict=True
    ):
        chance = probe.chance(fit.action[own], test.action[of])
        values |= {
            f"{name}_chance": chance,
            f"{name}_own": within,
            f"{name}_others": across,
        }
        skills.append((probe.skill(within, chance), probe.skill(across, chance)))
    within, across = np.mean(skills, axis=0)
    values["share"] = share = float(max(across, 0.0) / max(within, 0.1))
    worst = min(of_game, key=lambda name: values[f"{name}_others"])
    return HealthItem(
        "games",
        "Does a latent mean the same action in every game?",
        health_item.grade(share, broken=0.1, good=0.5),
        f"A probe of the other games has {share:.0%} of the skill of one of the game "
        f"itself; least in {worst}, {probe.unit} {values[f'{worst}_others']:.2f} "
        f"against {values[f'{worst}_own']:.2f} ({values[f'{worst}_chance']:.2f} by "
        "chance).",
        "mean skill over games, as a share of that of their own probes: broken below "
        "0.1, good from 0.5",
        "One decoder serves all games only as far as a latent means the same in them; "
        "below a tenth every game needs labels of its own.",
        values,
    )
