"""Episodes of players that learn nothing, to hold those of methods against."""

import time
from collections.abc import Callable, Mapping
from typing import Any

import gin
import numpy as np

from launch import chain as chain_lib
from pdtla import specs
from pdtla.analysis import results as results_lib
from pdtla.analysis.summary import EXPERT, RANDOM, TRIVIAL
from pdtla.datasets import rlds_reader
from pdtla.experts import expert as expert_lib
from pdtla.rollouts import evaluator as evaluator_lib
from pdtla.rollouts import trivial_policies, video

Episodes = dict[str, results_lib.Results]


def measure(
    chain: chain_lib.Chain, players: Mapping[str, expert_lib.Expert], **macros: Any
) -> Episodes:
    """Plays the evaluation levels, or reads what the last call stored.

    Args:
      chain: the experiment.
      players: by their names.
      **macros: of the evaluation.

    Returns:
      For each player `returns` and `levels` `[N]` and, where the environment tells,
      `successes` `[N]`.
    """
    evaluator = chain.make(evaluator_lib.Evaluator, macros=macros)

    def play() -> Episodes:
        return {
            name: _section(evaluator.evaluate_expert(player))
            for name, player in players.items()
        }

    described = {name: player.settings() for name, player in players.items()}
    return _stored(chain, {"players": described}, play)


def measure_with_trivial(
    chain: chain_lib.Chain,
    make_expert: Callable[[str], expert_lib.Expert],
    source: Mapping[str, str] | None = None,
    macros: Mapping[str, Any] | None = None,
    **arguments: Any,
) -> Episodes:
    """Plays the trivial policies and the expert, or reads what the last call stored.

    The best constant is chosen on training levels, the marginal is of all actions of a
    dataset. Videos of random actions and of the expert are left beside the results.

    Args:
      chain: the experiment.
      make_expert: makes the expert of an environment.
      source: macros of the dataset, other than the preset's.
      macros: of the evaluation.
      **arguments: of the evaluator.

    Returns:
      As `measure`, of `TRIVIAL` and `EXPERT`.
    """
    reader = chain.source(**(source or {}))
    macros = dict(macros or {})
    evaluator = chain.make(evaluator_lib.Evaluator, macros=macros, **arguments)

    def play() -> Episodes:
        return _play_trivial(chain, evaluator, reader, make_expert)

    return _stored(chain, {"fingerprint": reader.fingerprint}, play)


def _stored(
    chain: chain_lib.Chain, settings: dict[str, Any], play: Callable[[], Episodes]
) -> Episodes:
    """What the last call stored under the same settings, or what is played now."""
    settings = settings | {"config": gin.config_str()}
    path = chain.directory / "references.json"
    if path.exists():
        stored = results_lib.read_json(path)
        if stored.get("settings") == settings and "episodes" in stored:
            return stored["episodes"]
    start = time.monotonic()
    episodes = play()
    chain.wall_seconds["references"] = time.monotonic() - start
    chain.directory.mkdir(parents=True, exist_ok=True)
    results_lib.write_json(path, {"settings": settings, "episodes": episodes})
    return episodes


def _play_trivial(
    chain: chain_lib.Chain,
    evaluator: evaluator_lib.Evaluator,
    reader: rlds_reader.RldsReader,
    make_expert: Callable[[str], expert_lib.Expert],
) -> Episodes:
    """Plays the trivial policies and the expert."""
    env = evaluator.environment()
    actions = np.asarray(reader.array(specs.ACTION))
    training = evaluator.train_levels
    constant, _ = trivial_policies.best_constant_action(
        lambda: evaluator.make_env(
            num_envs=64 if env.action_spec.is_discrete else 8,
            seed=1,
            start_level=training.start_level,
            num_levels=training.num_levels,
        ),
        trivial_policies.constant_actions(env.action_spec, actions),
    )
    policies = (
        trivial_policies.UniformRandom(env.action_spec),
        trivial_policies.Constant(constant),
        trivial_policies.action_marginal(env.action_spec, actions),
    )
    found = {
        name: evaluator(policy) for name, policy in zip(TRIVIAL, policies, strict=True)
    }
    found[EXPERT] = evaluator.evaluate_expert(make_expert(env.env_id))
    episodes = {name: _section(evaluation) for name, evaluation in found.items()}
    for name in (RANDOM, EXPERT):
        videos = found[name].rollouts[evaluator.modes[0]].videos
        if videos:
            video.write_gif(chain.directory / f"{name}.gif", videos)
    return episodes


def _section(evaluation: evaluator_lib.Evaluation) -> results_lib.Results:
    (episodes,) = evaluation.rollouts.values()
    found = episodes.returns, episodes.levels, episodes.successes
    fields = zip(("returns", "levels", "successes"), found, strict=True)
    return {
        field: values.ravel().tolist() for field, values in fields if values is not None
    }
