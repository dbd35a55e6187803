"""Puts the policies of a run where `MujocoExpert` finds them."""

import importlib.metadata
import pathlib
from collections.abc import Iterator

import numpy as np
from absl import logging

from pdtla.analysis import results as results_lib
from pdtla.environments import levels, locomotion, mujoco
from pdtla.experts import mujoco_expert
from pdtla.layers import module_io
from pdtla.online import greedy_policy
from pdtla.rollouts import evaluator as evaluator_lib

# A medium player has this share of the expert's return, as in D4RL; of a family of
# tasks, whose returns may be negative, of the way from the first snapshot's to it.
_MEDIUM = 1.0 / 3.0


def publish(
    run: str | pathlib.Path,
    *,
    command: str,
    directory: str | pathlib.Path = mujoco_expert.CHECKPOINTS,
    episodes: int = 50,
    replays: int = 5,
    search_episodes: int = 10,
    level: str | None = None,
) -> dict[str, results_lib.Results]:
    """Measures and copies an expert, a medium player and what came before it.

    The medium player is the snapshot nearest to a third of the expert's return on the
    first way up; the replays are spread evenly over the training up to it.

    Args:
      run: workdir of `train_expert`, on one of the MuJoCo tasks.
      command: what trained it, for the record.
      directory: where to; a folder for the task is made or filled.
      episodes: that each policy is measured by, on evaluation levels.
      replays: number of policies "replay-0" and so on.
      search_episodes: that snapshots are measured by to find the medium one.
      level: publish the run's last policy alone, under this name.

    Returns:
      The facts of every policy, by its name.

    Raises:
      ValueError: the run has no expert or no snapshots on the way to a medium player.
    """
    run = pathlib.Path(run)
    expert = run / "modules" / "policy"
    metadata = module_io.read_metadata(expert)
    env_id = metadata["env_id"]
    if level is not None:
        chosen = {level: expert}
    else:
        early = _until_medium(run, env_id, metadata["mean"], search_episodes)
        places = np.linspace(0, len(early) - 1, replays).round().astype(int)
        chosen = {"expert": expert, "medium": early[-1]}
        chosen |= {f"replay-{number}": early[at] for number, at in enumerate(places)}
    facts = {}
    for name, source in chosen.items():
        metadata = module_io.read_metadata(source)
        facts[name] = {
            "env_id": env_id,
            "level": name,
            "env_steps": metadata["env_steps"],
            "seed": metadata["seed"],
            **measure(source, env_id, episodes),
            "mujoco": importlib.metadata.version("mujoco"),
            "command": command,
        }
        target = pathlib.Path(directory) / env_id / name
        module_io.save_module(module_io.load_module(source), target)
        results_lib.write_json(target / "facts.json", facts[name])
        logging.info("%s %s: %s", env_id, name, facts[name])
    return facts


def measure(
    module: str | pathlib.Path, env_id: str, episodes: int
) -> results_lib.Results:
    """What a saved policy scores on evaluation levels.

    Returns:
      Mean, standard error, length and number of episodes, and in a family of tasks the
      goal and the return of each.
    """
    goals = locomotion.TASKS[env_id].goals

    def make_env(**settings) -> mujoco.Mujoco:
        return mujoco.Mujoco(env_id=env_id, show_goal=goals is not None, **settings)

    evaluator = evaluator_lib.Evaluator(
        make_env,
        num_rollouts=episodes,
        levels=levels.evaluation_levels(),
        modes=(evaluator_lib.GREEDY,),
    )
    policy = greedy_policy.GreedyPolicy(module_io.load_module(module))
    evaluation = evaluator(policy)
    section = evaluator.section(evaluation)
    facts = {
        "return_mean": section["mean"],
        "return_standard_error": section["standard_error"],
        "length_mean": section["length_mean"],
        "episodes": episodes,
    }
    if goals is not None:
        (played,) = evaluation.rollouts.values()
        pairs = zip(
            goals.of_levels(played.levels.ravel()), played.returns.ravel(), strict=True
        )
        facts["return_of_goal"] = sorted(
            [round(float(goal), 4), round(float(value), 2)] for goal, value in pairs
        )
    return facts


def _until_medium(
    run: pathlib.Path, env_id: str, expert: float, episodes: int
) -> list[pathlib.Path]:
    """Snapshots from the first to the medium one, given the expert's return."""
    snapshots, returns = [], []
    for path, value in _measured(run, env_id, episodes):
        snapshots.append(path)
        returns.append(value)
        low = returns[0] if locomotion.TASKS[env_id].goals else 0.0
        goal = low + _MEDIUM * (expert - low)
        if value >= goal:
            nearest = int(np.argmin(np.abs(np.array(returns) - goal)))
            return snapshots[: nearest + 1]
    raise ValueError(f"No snapshot in {run / 'snapshots'} reaches a return of {goal}.")


def _measured(
    run: pathlib.Path, env_id: str, episodes: int
) -> Iterator[tuple[pathlib.Path, float]]:
    for path in sorted((run / "snapshots").glob("*")):
        yield path, measure(path, env_id, episodes)["return_mean"]
