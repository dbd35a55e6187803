"""Episodes of players that learn nothing, to hold those of methods against."""

from collections.abc import Mapping
from typing import Any

from launch import chain as chain_lib
from pdtla.analysis import results as results_lib
from pdtla.experts import expert as expert_lib
from pdtla.rollouts import evaluator as evaluator_lib


def measure(
    chain: chain_lib.Chain, players: Mapping[str, expert_lib.Expert], **macros: Any
) -> dict[str, results_lib.Results]:
    """Plays the evaluation levels, or reads what the last call stored.

    Args:
      chain: the experiment.
      players: by their names.
      **macros: of the evaluation.

    Returns:
      For each player `returns` and `levels` `[N]` and, where the environment tells,
      `successes` `[N]`.
    """
    path = chain.directory / "references.json"
    if path.exists():
        return results_lib.read_json(path)
    evaluator = chain.make(evaluator_lib.Evaluator, macros=macros)
    sections = {}
    for name, player in players.items():
        (episodes,) = evaluator.evaluate_expert(player).rollouts.values()
        found = episodes.returns, episodes.levels, episodes.successes
        fields = zip(("returns", "levels", "successes"), found, strict=True)
        sections[name] = {
            field: values.ravel().tolist()
            for field, values in fields
            if values is not None
        }
    chain.directory.mkdir(parents=True, exist_ok=True)
    results_lib.write_json(path, sections)
    return sections
