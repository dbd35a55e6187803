"""`train_expert`, PPO from its configuration to its results."""

import contextlib
import dataclasses
import json
import pathlib
from collections.abc import Callable

import gin
import keras
import numpy as np
from absl import logging

from pdtla.analysis import results as results_lib
from pdtla.environments import levels as levels_lib
from pdtla.environments import vector_environment
from pdtla.layers import module_io
from pdtla.online import agent as agent_lib
from pdtla.online import checkpoint, collector, ppo
from pdtla.rollouts import evaluator as evaluator_lib
from pdtla.training import bindings, hyperparameters, metrics_log, set_up
from pdtla.training import workdir as workdir_lib

_Evaluator = Callable[..., evaluator_lib.Evaluator]


def train_expert(
    *,
    workdir: str,
    make_env: Callable[..., vector_environment.VectorEnvironment],
    make_agent: Callable[..., agent_lib.Agent],
    evaluator: _Evaluator,
    settings: ppo.PpoSettings,
    env_id: str,
    num_env_steps: int,
    num_envs: int = 32,
    steps_per_update: int = 128,
    learning_rate: float = 3e-4,
    discount: float = 0.99,
    trace: float = 0.95,
    num_critic_steps: int = 0,
    levels: levels_lib.LevelRange | None = None,
    num_evals: int = 20,
    num_watched: int = 10,
    snapshot_every: int = 5,
    checkpoint_every: int = 50,
    log_every: int = 10,
    seed: int = 0,
) -> results_lib.Results:
    """Trains an expert, or goes on where an earlier call with this workdir stopped.

    A resumed run ends in the state of one that was never stopped. Beside `modules`, the
    workdir holds `snapshots/<environment steps>`, for datasets of lesser players.

    Args:
      workdir: directory of the run; one process at a time.
      make_env: makes environments, called with `num_envs`, `seed` and levels.
      make_agent: makes actor and critic, called with the specs of one observation and
        of one action.
      evaluator: makes the evaluator; called with `num_rollouts` while training.
      settings: what an update does.
      env_id: name of the environment, for the results.
      num_env_steps: steps to play, rounded down to whole updates.
      num_envs: environments that play side by side.
      steps_per_update: steps of each between two updates.
      learning_rate: of the first update, falling to 0 linearly.
      discount: gamma.
      trace: lambda of the advantages.
      num_critic_steps: steps to play at first from which the critic alone learns, for
        an actor that knows something already.
      levels: levels to train on; None leaves them to `make_env`.
      num_evals: evaluations while training, evenly spread.
      num_watched: episodes in each of them.
      snapshot_every: updates between two snapshots of the policy.
      checkpoint_every: updates between checkpoints.
      log_every: updates between reports.
      seed: of weights, levels and exploration.

    Returns:
      The contents of `results.json`.

    Raises:
      ConfigError: the run cannot be set up as asked.
    """
    with contextlib.ExitStack() as stack:
        with set_up.setting_up():
            frames = num_envs * steps_per_update
            num_updates = num_env_steps // frames
            positive = {
                "num_updates": num_updates,
                "num_evals": num_evals,
                "snapshot_every": snapshot_every,
                "checkpoint_every": checkpoint_every,
                "log_every": log_every,
            }
            natural = {"num_critic_steps": num_critic_steps}
            set_up.check_ranges("float32", positive=positive, natural=natural)
            directory = stack.enter_context(workdir_lib.Workdir(workdir))
            directory.claim(gin.config_str(), bindings.unused_macros([train_expert]))
            if directory.is_finished(num_updates):
                logging.info("The run in %s is finished.", workdir)
                return results_lib.read_results(directory.results)
            keras.utils.set_random_seed(seed)
            env = _environment(make_env, num_envs, seed, levels)
            agent = make_agent(env.observation_spec, env.action_spec)
            optimizer = keras.optimizers.Adam(learning_rate, epsilon=1e-5)
            learner = ppo.Ppo(agent, optimizer, settings)
            player = collector.Collector(
                env, learner, num_steps=steps_per_update, discount=discount, trace=trace
            )
            saved = checkpoint.OnlineCheckpoint(directory.checkpoints, learner, player)
            first = saved.restore_latest()
            watcher = evaluator(num_rollouts=num_watched)
            for mode in watcher.modes:  # not only once it has learnt something
                agent.policy(greedy=mode == evaluator_lib.GREEDY)
        directory.begin(gin.config_str(), gin.operative_config_str())
        log = metrics_log.MetricsLog(directory.path, step=first)
        stack.callback(log.close)
        log.hyperparameters(hyperparameters.hyperparameters(train_expert))
        facts = {"env_id": env_id, "seed": seed}
        for update in range(first + 1, num_updates + 1):
            rate = learning_rate * (1.0 - (update - 1) / num_updates)
            # Of this update alone, so that a resumed run draws the same.
            rng = np.random.default_rng([seed, update])
            critic_only = update * frames <= num_critic_steps
            scalars = _improve(player, learner, rng, rate, critic_only)
            facts["env_steps"] = update * frames
            if update % log_every == 0 or update == num_updates:
                scalars |= {"env_steps": update * frames, "learning_rate": rate}
                log.scalars(update, "train", scalars)
            if _evaluates(update, num_updates, num_evals):
                log.scalars(update, "rollouts", watcher(agent, update).scalars)
            if update % snapshot_every == 0:
                snapshot = directory.path / "snapshots" / f"{update * frames:09d}"
                module_io.save_module(agent.actor, snapshot, facts)
            if update % checkpoint_every == 0 and update < num_updates:
                log.flush()
                saved.save(update)
        log.flush()
        _finish(directory, evaluator(), learner, facts, num_updates, saved)
        saved.save(num_updates)
        log.finished()
        return results_lib.read_results(directory.results)


def _improve(
    player: collector.Collector,
    learner: ppo.Ppo,
    rng: np.random.Generator,
    learning_rate: float,
    critic_only: bool,
) -> dict[str, float]:
    """Plays and learns once; what is worth reporting."""
    harvest = player.collect(rng)
    scalars = learner.update(harvest.played, rng, learning_rate, critic_only)
    if harvest.returns:
        scalars["return_mean"] = float(np.mean(harvest.returns))
    return scalars


def _finish(
    directory: workdir_lib.Workdir,
    evaluator: evaluator_lib.Evaluator,
    learner: ppo.Ppo,
    facts: dict[str, str | int],
    num_updates: int,
    saved: checkpoint.OnlineCheckpoint,
) -> None:
    """Evaluates and writes the policy and the results."""
    section = evaluator.section(evaluator(learner.agent, num_updates))
    measured = {"mean": section["mean"], "episodes": section["episodes"]}
    module_io.save_module(
        learner.agent.actor, directory.modules / "policy", facts | measured
    )
    seconds = saved.elapsed()
    results_lib.write_results(
        directory.results,
        {
            "stage": type(learner).__name__,
            "env_id": facts["env_id"],
            "dataset": "",
            "seed": facts["seed"],
            "step": num_updates,
            "labels": learner.agent.labels,
            "heldout": {},
            "rollouts": section,
            "curve": _curve(directory.path, facts["env_steps"] // num_updates),
            "wall_seconds": seconds,
            "frames_per_second": facts["env_steps"] / seconds,
        },
    )


def _curve(workdir: pathlib.Path, frames: int) -> list[dict[str, float]]:
    """What was reported of the evaluations while training, by environment steps.

    Args:
      workdir: of the run, its records on disk.
      frames: environment steps in an update.
    """
    lines = (workdir / "metrics.jsonl").read_text().splitlines()
    records = [json.loads(line) for line in lines]
    return [
        {"env_steps": record["step"] * frames}
        | {name: value for name, value in record.items() if "/return_" in name}
        for record in records
        if record["split"] == "rollouts"
    ]


def _environment(
    make_env: Callable[..., vector_environment.VectorEnvironment],
    num_envs: int,
    seed: int,
    levels: levels_lib.LevelRange | None,
) -> vector_environment.VectorEnvironment:
    given = {} if levels is None else dataclasses.asdict(levels)
    env = make_env(num_envs=num_envs, seed=seed, **given)
    if not hasattr(env, "set_state"):
        raise ValueError(
            f"A {type(env).__name__} cannot be put back into a state, as a run that "
            "learns online must be when it goes on."
        )
    return env


def _evaluates(update: int, num_updates: int, num_evals: int) -> bool:
    """Whether `num_evals` evenly spread evaluations have one after this update."""
    return update * num_evals // num_updates > (update - 1) * num_evals // num_updates
