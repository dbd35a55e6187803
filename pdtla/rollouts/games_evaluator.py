"""`GamesEvaluator`, one policy in several games."""

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from pdtla.analysis import results
from pdtla.datasets.prompt_source import PromptSource
from pdtla.environments import scores
from pdtla.environments.vector_environment import VectorEnvironment
from pdtla.rollouts.evaluator import Evaluation, Evaluator, reference_scores
from pdtla.rollouts.rollout import RolloutResult
from pdtla.stage import Policy, Stage


def game_prompts(
    game: str,
    *,
    make_source: Callable[..., Any],
    make_pool: Callable[..., Any],
    make_prompts: Callable[..., PromptSource],
) -> PromptSource:
    """The demonstrations of one game, from the dataset with the config of its name.

    Args:
      game: name of the game.
      make_source: makes the reader of a dataset, called with `config`.
      make_pool: makes the sequences of a dataset, called with `source`.
      make_prompts: makes the prompts, called with `pool`.
    """
    return make_prompts(pool=make_pool(source=make_source(config=game)))


class GamesEvaluator:
    """Evaluates each game as `Evaluator` does, and all by their normalised returns.

    Args:
      make_evaluator: makes the evaluator of a game, called with `make_env`, `reference`
        and, where there are prompts, `prompts`, and with all other settings.
      make_env: makes environments, called with `env_id` and what `Evaluator` gives.
      games: names of the games.
      table: the table of `environments.scores` with the returns that count as 0 and 1.
      make_prompts: gives the demonstrations of a game.
      **settings: of every game's evaluator.

    Attributes:
      evaluators: that of each game, by its name.

    Raises:
      ValueError: there are no games, or one that the table does not have.
    """

    def __init__(
        self,
        *,
        make_evaluator: Callable[..., Evaluator],
        make_env: Callable[..., VectorEnvironment],
        games: Sequence[str],
        table: str = "lapo",
        make_prompts: Callable[[str], PromptSource] | None = None,
        **settings,
    ):
        if not games:
            raise ValueError(f"games must name games, got {games}.")
        self.evaluators = {}
        for game in games:
            if make_prompts is not None:
                settings["prompts"] = make_prompts(game)
            self.evaluators[game] = make_evaluator(
                make_env=functools.partial(make_env, env_id=game),
                reference=reference_scores(game, table),
                **settings,
            )

    def check_data(self, metadata: Mapping[str, Any]) -> None:
        """Compares all but the games with what a dataset records, see `Evaluator`.

        Raises:
          ValueError: they differ.
        """
        others = {name: each for name, each in metadata.items() if name != "env_id"}
        for evaluator in self.evaluators.values():
            evaluator.check_data(others)

    def __call__(self, policy: Policy | Stage, step: int = 0) -> Evaluation:
        """Evaluates in every game.

        Returns:
          The scalars, `<game>/<name>` of each game and `<mode>/score_mean`, the mean
          over the games of normalised returns; and the episodes by `<mode>-<game>`.
        """
        scalars, rollouts = {}, {}
        for game, evaluator in self.evaluators.items():
            found = evaluator(policy, step)
            scalars |= {
                f"{game}/{name}": value for name, value in found.scalars.items()
            }
            rollouts |= {
                f"{mode}-{game}": result for mode, result in found.rollouts.items()
            }
        evaluation = Evaluation(scalars, rollouts)
        for mode in _by_mode(evaluation):
            means = [score.mean() for score in self._scores(evaluation, mode)]
            scalars[f"{mode}/score_mean"] = float(np.mean(means))
        return evaluation

    def section(self, evaluation: Evaluation) -> results.Results:
        """The `rollouts` section of `results.json`, headline mode first.

        Its `returns` are normalised ones, of all games; each game's own section, of raw
        returns, is under `games`.
        """
        headline, *others = [
            results.summarize_rollouts(
                np.concatenate(self._scores(evaluation, mode)),
                np.concatenate([result.lengths for result in played.values()]),
            )
            | {"mode": mode, "normalized": True}
            for mode, played in _by_mode(evaluation).items()
        ]
        if others:
            headline["other_modes"] = others
        headline["games"] = {}
        for game, evaluator in self.evaluators.items():
            of_game = {m: played[game] for m, played in _by_mode(evaluation).items()}
            headline["games"][game] = evaluator.section(Evaluation({}, of_game))
        return headline

    def _scores(self, evaluation: Evaluation, mode: str) -> list[np.ndarray]:
        """Normalised returns of each game, `[N, E]`."""
        played = _by_mode(evaluation)[mode]
        return [
            scores.normalise(
                played[game].returns,
                evaluator.reference["min"],
                evaluator.reference["max"],
            )
            for game, evaluator in self.evaluators.items()
        ]


def _by_mode(evaluation: Evaluation) -> dict[str, dict[str, RolloutResult]]:
    """The episodes by mode and game."""
    found: dict[str, dict] = {}
    for name, result in evaluation.rollouts.items():
        mode, _, game = name.partition("-")
        found.setdefault(mode, {})[game] = result
    return found
