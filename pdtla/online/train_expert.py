"""`train_expert`, PPO from its configuration to its results."""

import contextlib
from collections.abc import Callable, Sequence

import gin
import keras
import numpy as np
from absl import logging

from pdtla.analysis import files
from pdtla.analysis import results as results_lib
from pdtla.environments import levels as levels_lib
from pdtla.environments import vector_environment
from pdtla.layers import gaussian_actor, module_io, tanh_network
from pdtla.online import checkpoint, collector, greedy_policy, ppo
from pdtla.rollouts import evaluator as evaluator_lib
from pdtla.training import bindings, hyperparameters, metrics_log, set_up
from pdtla.training import workdir as workdir_lib

_Evaluator = Callable[..., evaluator_lib.Evaluator]


def train_expert(
    *,
    workdir: str,
    make_env: Callable[..., vector_environment.VectorEnvironment],
    make_actor: Callable[..., gaussian_actor.GaussianActor],
    evaluator: _Evaluator,
    settings: ppo.PpoSettings,
    env_id: str,
    num_env_steps: int,
    num_envs: int = 32,
    steps_per_update: int = 128,
    learning_rate: float = 3e-4,
    discount: float = 0.99,
    trace: float = 0.95,
    widths: Sequence[int] = (64, 64),
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
      make_actor: makes the policy, called with `action_dim` and `widths`.
      evaluator: makes the evaluator; called with `num_rollouts` while training.
      settings: what an update does.
      env_id: name of the environment, for the results.
      num_env_steps: steps to play, rounded down to whole updates.
      num_envs: environments that play side by side.
      steps_per_update: steps of each between two updates.
      learning_rate: of the first update, falling to 0 linearly.
      discount: gamma.
      trace: lambda of the advantages.
      widths: of the hidden layers of actor and critic.
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
            set_up.check_ranges("float32", positive=positive, natural={})
            directory = stack.enter_context(workdir_lib.Workdir(workdir))
            directory.claim(gin.config_str(), bindings.unused_macros([train_expert]))
            if directory.is_finished(num_updates):
                logging.info("The run in %s is finished.", workdir)
                return results_lib.read_results(directory.results)
            keras.utils.set_random_seed(seed)
            env = _environment(make_env, num_envs, seed, levels)
            learner = _learner(env, make_actor, widths, learning_rate, settings)
            player = collector.Collector(
                env, learner, num_steps=steps_per_update, discount=discount, trace=trace
            )
            saved = checkpoint.OnlineCheckpoint(directory.checkpoints, learner, player)
            first = saved.restore_latest()
            watcher = evaluator(num_rollouts=num_watched)
        files.write_atomically(
            directory.operative_config, gin.operative_config_str().encode()
        )
        log = metrics_log.MetricsLog(directory.path, step=first)
        stack.callback(log.close)
        log.hyperparameters(hyperparameters.hyperparameters(train_expert))
        policy = greedy_policy.GreedyPolicy(learner.actor)
        facts = {"env_id": env_id, "seed": seed}
        for update in range(first + 1, num_updates + 1):
            rate = learning_rate * (1.0 - (update - 1) / num_updates)
            # Of this update alone, so that a resumed run draws the same.
            rng = np.random.default_rng([seed, update])
            scalars = _improve(player, learner, rng, rate)
            facts["env_steps"] = update * frames
            if update % log_every == 0 or update == num_updates:
                scalars |= {"env_steps": update * frames, "learning_rate": rate}
                log.scalars(update, "train", scalars)
            if _evaluates(update, num_updates, num_evals):
                log.scalars(update, "rollouts", watcher(policy, update).scalars)
            if update % snapshot_every == 0:
                snapshot = directory.path / "snapshots" / f"{update * frames:09d}"
                module_io.save_module(learner.actor, snapshot, facts)
            if update % checkpoint_every == 0 and update < num_updates:
                log.flush()
                saved.save(update)
        _finish(directory, evaluator(), policy, learner, facts, num_updates, saved)
        log.flush()
        saved.save(num_updates)
        log.finished()
        return results_lib.read_results(directory.results)


def _improve(
    player: collector.Collector,
    learner: ppo.Ppo,
    rng: np.random.Generator,
    learning_rate: float,
) -> dict[str, float]:
    """Plays and learns once; what is worth reporting."""
    harvest = player.collect(rng)
    scalars = learner.update(harvest.played, rng, learning_rate)
    if harvest.returns:
        scalars["return_mean"] = float(np.mean(harvest.returns))
    return scalars


def _finish(
    directory: workdir_lib.Workdir,
    evaluator: evaluator_lib.Evaluator,
    policy: greedy_policy.GreedyPolicy,
    learner: ppo.Ppo,
    facts: dict[str, str | int],
    num_updates: int,
    saved: checkpoint.OnlineCheckpoint,
) -> None:
    """Evaluates and writes the policy and the results."""
    section = evaluator.section(evaluator(policy, num_updates))
    measured = {"mean": section["mean"], "episodes": section["episodes"]}
    module_io.save_module(learner.actor, directory.modules / "policy", facts | measured)
    seconds = saved.elapsed()
    results_lib.write_results(
        directory.results,
        {
            "stage": type(learner).__name__,
            "env_id": facts["env_id"],
            "dataset": "",
            "seed": facts["seed"],
            "step": num_updates,
            "labels": None,
            "heldout": {},
            "rollouts": section,
            "wall_seconds": seconds,
            "frames_per_second": facts["env_steps"] / seconds,
        },
    )


def _environment(
    make_env: Callable[..., vector_environment.VectorEnvironment],
    num_envs: int,
    seed: int,
    levels: levels_lib.LevelRange | None,
) -> vector_environment.VectorEnvironment:
    if levels is None:
        return make_env(num_envs=num_envs, seed=seed)
    return make_env(
        num_envs=num_envs,
        seed=seed,
        start_level=levels.start_level,
        num_levels=levels.num_levels,
    )


def _learner(
    env: vector_environment.VectorEnvironment,
    make_actor: Callable[..., gaussian_actor.GaussianActor],
    widths: Sequence[int],
    learning_rate: float,
    settings: ppo.PpoSettings,
) -> ppo.Ppo:
    if env.action_spec.is_discrete:
        raise ValueError(f"PPO here needs continuous actions, got {env.action_spec}.")
    (action_dim,) = env.action_spec.shape
    shape = (None, *env.observation_spec.shape)
    actor = make_actor(action_dim=action_dim, widths=widths)
    actor.build(shape)
    critic = tanh_network.TanhNetwork(1, widths)
    critic.build(shape)
    optimizer = keras.optimizers.Adam(learning_rate, epsilon=1e-5)
    return ppo.Ppo(actor, critic, optimizer, settings)


def _evaluates(update: int, num_updates: int, num_evals: int) -> bool:
    """Whether `num_evals` evenly spread evaluations have one after this update."""
    return update * num_evals // num_updates > (update - 1) * num_evals // num_updates
