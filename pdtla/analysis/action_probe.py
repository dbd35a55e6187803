"""`ActionProbe`: how well features tell actions, discrete or continuous."""

import dataclasses
from collections.abc import Sequence

import numpy as np

from pdtla.analysis import probe_ensemble, probes

BUDGETS = (8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096)


@dataclasses.dataclass(frozen=True)
class ActionProbe:
    """Scores probes: accuracy of discrete actions, R² of continuous ones.

    Probes are fitted on transitions of some episodes and scored on those of others.

    Attributes:
      num_actions: number of discrete actions; None for continuous ones.
      steps: updates of a probe.
      batch_size: rows in an update.
      seed: seed of probes and draws.
    """

    num_actions: int | None
    steps: int = 300
    batch_size: int = 128
    seed: int = 0

    @property
    def unit(self) -> str:
        """What a score is."""
        return "R²" if self.num_actions is None else "accuracy"

    def chance(self, fitted: np.ndarray, truth: np.ndarray) -> float:
        """The score of the most frequent action, or of the mean action."""
        if self.num_actions is None:
            return probes.r2(fitted.mean(axis=0), truth, fitted.mean(axis=0))
        return probes.majority_accuracy(fitted, truth)

    def skill(self, score: float, chance: float) -> float:
        """The score on a scale on which chance is 0 and perfection 1."""
        return (score - chance) / max(1.0 - chance, 1e-9)

    def scores(
        self,
        inputs: np.ndarray,
        actions: Sequence[np.ndarray],
        test_inputs: np.ndarray,
        test_actions: Sequence[np.ndarray],
        *,
        rows: Sequence[np.ndarray] | None = None,
        test_rows: Sequence[np.ndarray] | None = None,
        hidden: tuple[int, ...] = probes.HIDDEN,
    ) -> list[float]:
        """Scores of probes of the same inputs, fitted side by side.

        Args:
          inputs: float `[N, D]`.
          actions: for each probe what it is to tell, `[N, ...]`.
          test_inputs: float `[L, D]`.
          test_actions: for each probe `[L, ...]`.
          rows: for each probe the rows to fit on; all by default.
          test_rows: for each probe the rows to score; all by default.
          hidden: widths of hidden layers; without any, probes are linear.
        """
        rows = rows or [np.arange(len(inputs))] * len(actions)
        test_rows = test_rows or [np.arange(len(test_inputs))] * len(actions)
        x, test_x = standardised(inputs, test_inputs)
        fitted = [action[own] for action, own in zip(actions, rows, strict=True)]
        if self.num_actions is None:
            moments = [probes.standardisation(each) for each in fitted]
        else:
            moments = [(0, 1)] * len(fitted)
        targets = [
            (action - mean) / scale if self.num_actions is None else action
            for action, (mean, scale) in zip(actions, moments, strict=True)
        ]
        if self.num_actions is None and not hidden:
            found = [
                probes.ridge(x[own], target[own], test_x, 1e-4)
                for target, own in zip(targets, rows, strict=True)
            ]
        else:
            found = probe_ensemble.fit(
                x,
                np.stack(targets),
                rows,
                num_actions=self.num_actions,
                hidden=hidden,
                steps=self.steps,
                batch_size=self.batch_size if hidden else 512,
                seed=self.seed,
            )(test_x)
        return [
            self._score(each[chosen] * scale + mean, truth[chosen], own)
            for each, chosen, truth, own, (mean, scale) in zip(
                found, test_rows, test_actions, fitted, moments, strict=True
            )
        ]

    def _score(
        self, predicted: np.ndarray, truth: np.ndarray, fitted: np.ndarray
    ) -> float:
        """Accuracy of logits `[L, A]`, or R² of actions `[L, A]`."""
        if self.num_actions is None:
            return probes.r2(predicted, truth, fitted.mean(axis=0))
        return float(np.mean(predicted.argmax(axis=-1) == truth))


def standardised(
    inputs: np.ndarray, test_inputs: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Both by the mean and deviation of the first."""
    mean, scale = probes.standardisation(inputs)
    return (inputs - mean) / scale, (test_inputs - mean) / scale


def label_draws(
    size: int, draws: int, seed: int, budgets: Sequence[int] = BUDGETS
) -> dict[int, list[np.ndarray]]:
    """For each budget that `size` labels allow, some draws of so many rows."""
    rng = np.random.default_rng(seed)
    return {
        budget: [rng.choice(size, budget, replace=False) for _ in range(draws)]
        for budget in budgets
        if budget <= size
    }
