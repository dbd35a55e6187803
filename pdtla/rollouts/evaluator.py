"""`Evaluator`, the same levels and the same accounting for every method."""

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from absl import logging

from pdtla.analysis import results
from pdtla.datasets.prompt_source import PromptSource
from pdtla.environments import recorded_options, scores
from pdtla.environments.levels import LevelRange, assert_disjoint_levels
from pdtla.environments.vector_environment import VectorEnvironment
from pdtla.experts.expert import Expert
from pdtla.rollouts.rollout import RolloutResult, rollout, rollout_expert
from pdtla.stage import Policy, Stage

GREEDY = "greedy"
SAMPLED = "sampled"


def reference_scores(env_id: str, table: str) -> dict[str, float | str]:
    """The reference of an `Evaluator` from a named table of `environments.scores`."""
    low, high = scores.bounds(env_id, table)
    return {"min": low, "max": high, "name": table}


class Evaluation(NamedTuple):
    """What one evaluation found.

    Attributes:
      scalars: numbers for logs, e.g. `greedy/return_mean`.
      rollouts: the episodes for each way of acting.
    """

    scalars: dict[str, float]
    rollouts: dict[str, RolloutResult]


class Evaluator:
    """Rolls policies out on fixed evaluation levels.

    Every call makes its environments anew from the same seed, so all methods and all
    checkpoints meet the same levels in the same order, and paired comparisons hold.

    Args:
      make_env: makes the environments; called with `num_envs`, `seed` and, where
        `levels` is given, `start_level` and `num_levels`.
      num_rollouts: episodes in each evaluation.
      episodes_per_slot: how many of them each environment slot plays in a row.
      max_steps: cap on the steps of one episode, beside the environment's own.
      seed: seed of the levels and of sampled actions.
      levels: levels to evaluate on; None leaves them to `make_env`.
      train_levels: levels of the training data, which must not meet `levels`.
      modes: of "greedy" and "sampled"; the first is the headline.
      reference: `min` and `max` (returns that normalise to 0 and 1) and their `name`.
      record: number of episodes of each mode to keep as videos, at most one a slot.
      same_env: whether the environments must be those that the training data was
        recorded in, see `check_data`.
      prompts: demonstrations of the levels of evaluation, which policies are shown
        before they act.

    Raises:
      ValueError: an argument is out of range, or the levels are not disjoint.
    """

    def __init__(
        self,
        make_env: Callable[..., VectorEnvironment],
        *,
        num_rollouts: int = 100,
        episodes_per_slot: int = 1,
        max_steps: int | None = None,
        seed: int = 0,
        levels: LevelRange | None = None,
        train_levels: LevelRange | None = None,
        modes: Sequence[str] = (GREEDY, SAMPLED),
        reference: Mapping[str, float | str] | None = None,
        record: int = 0,
        same_env: bool = True,
        prompts: PromptSource | None = None,
    ):
        if num_rollouts < 1 or num_rollouts % episodes_per_slot:
            raise ValueError(
                "num_rollouts must be a positive multiple of episodes_per_slot "
                f"({episodes_per_slot}), got {num_rollouts}."
            )
        if not modes or not set(modes) <= {GREEDY, SAMPLED}:
            raise ValueError(f"modes must be of greedy and sampled, got {modes}.")
        if levels is not None and train_levels is not None:
            assert_disjoint_levels(levels, train_levels)
        if prompts is not None and train_levels is not None:
            known = [level for level in prompts.levels if level in train_levels]
            if known:
                raise ValueError(
                    "Demonstrations of evaluation must be on other levels than those "
                    f"of training, got level {known[0]}."
                )
        self.make_env = make_env
        self.num_rollouts = num_rollouts
        self.episodes_per_slot = episodes_per_slot
        self.max_steps = max_steps
        self.seed = seed
        self.levels = levels
        self.train_levels = train_levels
        self.modes = tuple(modes)
        self.reference = reference
        self.record = min(record, num_rollouts // episodes_per_slot)
        self.same_env = same_env
        self.prompts = prompts

    def check_data(self, metadata: Mapping[str, Any]) -> None:
        """Compares the environments with what a dataset records of its own.

        Args:
          metadata: of a dataset; one that was not built here is not compared.

        Raises:
          ValueError: `same_env` is asked for, and they differ.
        """
        if not self.same_env or not recorded_options.is_recorded(metadata):
            return
        differences = recorded_options.differences(metadata, self._environment(1))
        if differences:
            raise ValueError(
                "Rollouts would play another environment than that of the dataset: "
                f"{differences}. Give the dataset's options, or SAME_ENV = False if "
                "this is meant."
            )

    def __call__(self, policy: Policy | Stage, step: int = 0) -> Evaluation:
        """Evaluates a stage in every mode, or a bare policy as it is.

        Args:
          policy: what acts; a stage, or an agent that learns online, gives a policy
            for each mode.
          step: training step, for the log.

        Returns:
          The scalars and the episodes; a bare policy's mode is the first of `modes`.

        Raises:
          ValueError: the stage does not act.
        """
        prompts = self.prompts and functools.partial(self.prompts, step=step)
        rollouts = {
            mode: rollout(
                self.environment(),
                mode_policy,
                episodes_per_slot=self.episodes_per_slot,
                max_steps=self.max_steps,
                seed=self.seed,
                record=self.record,
                prompts=prompts,
            )
            for mode, mode_policy in self._policies(policy).items()
        }
        return self._report(rollouts, step)

    def evaluate_expert(self, expert: Expert) -> Evaluation:
        """Evaluates an expert on the same levels with the same accounting."""
        result = rollout_expert(
            self.environment(),
            expert,
            episodes_per_slot=self.episodes_per_slot,
            max_steps=self.max_steps,
            record=self.record,
        )
        return self._report({self.modes[0]: result}, step=0)

    def environment(self) -> VectorEnvironment:
        """The evaluation environments, at the start of their first episodes."""
        return self._environment(self.num_rollouts // self.episodes_per_slot)

    def _environment(self, num_envs: int) -> VectorEnvironment:
        settings = {"num_envs": num_envs, "seed": self.seed}
        if self.levels is not None:
            settings |= dataclasses.asdict(self.levels)
        return self.make_env(**settings)

    def section(self, evaluation: Evaluation) -> results.Results:
        """The `rollouts` section of `results.json`, headline mode first."""
        headline, *others = [
            self._summary(result) | {"mode": mode}
            for mode, result in evaluation.rollouts.items()
        ]
        if others:
            headline["other_modes"] = others
        if self.prompts is not None:
            headline["prompt"] = dataclasses.asdict(self.prompts.settings)
        return headline

    def _policies(self, policy: Policy | Stage) -> dict[str, Policy]:
        if isinstance(policy, Policy):
            return {self.modes[0]: policy}
        policies = {mode: policy.policy(greedy=mode == GREEDY) for mode in self.modes}
        if None in policies.values():
            raise ValueError(
                f"{type(policy).__name__} has no policy, so it can't be rolled out."
            )
        return policies

    def _summary(self, result: RolloutResult) -> results.Results:
        summary = results.summarize_rollouts(
            result.returns,
            result.lengths,
            successes=result.successes,
            reference=self.reference,
        )
        return summary | {"levels": result.levels.tolist()}

    def _report(self, rollouts: dict[str, RolloutResult], step: int) -> Evaluation:
        scalars = {}
        for mode, result in rollouts.items():
            self._check_levels(result.levels)
            summary = self._summary(result)
            scalars |= {
                f"{mode}/return_mean": summary["mean"],
                f"{mode}/return_median": summary["median"],
                f"{mode}/return_iqm": summary["iqm"],
                f"{mode}/return_standard_error": summary["standard_error"],
                f"{mode}/length_mean": summary["length_mean"],
                f"{mode}/truncated": float(result.truncated.mean()),
                f"{mode}/env_steps_per_second": result.env_steps_per_second,
            }
            if self.reference is not None:
                scalars[f"{mode}/return_normalized"] = summary["normalized_mean"]
            success = ""
            if "success_rate" in summary:
                scalars[f"{mode}/success_rate"] = summary["success_rate"]
                success = f", success {summary['success_rate']:.0%}"
            logging.info(
                "Step %d, %s actions: return %.2f ± %.2f%s over %d episodes, %.1f s.",
                step,
                mode,
                summary["mean"],
                summary["standard_error"],
                success,
                result.num_episodes,
                result.seconds,
            )
        return Evaluation(scalars, rollouts)

    def _check_levels(self, played: np.ndarray) -> None:
        """Holds the environment to its settings: no level outside the range."""
        if self.levels is None:
            return
        for level in (int(played.min()), int(played.max())):
            if level not in self.levels:
                raise ValueError(
                    f"Evaluation must play levels {self.levels.start_level} to "
                    f"{self.levels.end - 1}, but played {level}."
                )
