"""What is said about a label budget, against numbers worked out by hand."""

import numpy as np
import pytest

from pdtla.analysis import label_budget


def test_labels_needed_are_read_off_over_the_logarithm():
    labels = (8, 16, 64)
    # From 16 to 64 the curve rises by 0.5 in two doublings: 0.75 after one.
    means = np.array([0.2, 0.5, 1.0])
    assert label_budget.labels_needed(labels, means, 0.75) == pytest.approx(32.0)
    assert label_budget.labels_needed(labels, means, 0.5) == pytest.approx(16.0)
    assert label_budget.labels_needed(labels, means, 0.1) == 8.0
    assert np.isinf(label_budget.labels_needed(labels, means, 1.1))


def test_the_first_crossing_counts_for_each_curve():
    means = np.array([[0.0, 0.9, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.4]])
    found = label_budget.labels_needed((2, 4, 8), means, np.array([0.5, 0.5, 0.5]))
    np.testing.assert_allclose(found[:2], [2**1.5, 2.0])
    assert np.isinf(found[2])


def budget(full=10.0, spread=0.0):
    """Two seeds of three episodes at 8 and 32 labels; random returns 0."""
    around = spread * np.array([-1.0, 0.0, 1.0])
    curve = lambda *means: np.array(  # noqa: E731
        [[seed + around for seed in seeds] for seeds in means]
    )
    return label_budget.Budget(
        labels=(8, 32),
        returns={
            "good": curve((2.0, 4.0), (8.0, 10.0)),
            "poor": curve((0.0, 2.0), (4.0, 4.0)),
        },
        all_labels=np.full((2, 3), full),
        expert=20.0,
        trivial={"random": np.zeros(3), "constant": np.full(3, -1.0)},
    )


def test_summary():
    found = label_budget.summarize(budget())
    assert found["ground"] == "random"
    rows = {(row["method"], row["labels"]): row for row in found["rows"]}
    assert rows["good", 8]["mean"] == 3.0 and rows["good", 8]["score"] == 0.3
    assert rows["good", 8]["seed_means"] == [2.0, 4.0]
    assert rows["good", 8]["ci95"] == [3.0, 3.0]  # no episode differs within a seed
    assert rows["good", 8]["ci95_seeds"] == [2.0, 4.0]
    good, poor = found["needed"]
    # 3 at 8 labels and 9 at 32: 8 after 5/6 of two doublings.
    assert good["labels"] == pytest.approx(8 * 2 ** (2 * 5 / 6))
    # Seed 0 alone rises from 2 to 8, seed 1 from 4 to 10.
    assert good["ci95"] == pytest.approx([8 * 2 ** (2 * 4 / 6), 32.0])
    assert good["reached"] == 1.0 and not good["fewest"]
    assert (poor["labels"], poor["ci95"]) == (None, [None, None])
    assert poor["reached"] == 0.0


def test_improvement_and_profiles_take_seeds_as_runs():
    found = label_budget.summarize(budget())
    (pair,) = found["improvement"]
    assert (pair["better"], pair["than"]) == ("good", "poor")
    # 8 labels: (2, 4) against (0, 2), 3.5 of 4; 32 labels: all.
    assert pair["probability"] == pytest.approx((3.5 / 4 + 1.0) / 2)
    assert pair["ci95"][0] < pair["probability"] <= pair["ci95"][1]
    profiles = found["profiles"]
    good = profiles["methods"]["good"]
    share = dict(zip(profiles["scores"], good["share"], strict=True))
    assert share[0.3] == 0.75 and share[0.0] == 1.0 and share[1.0] == 0.0
    assert np.all(np.array(good["low"]) <= np.array(good["share"]))
    assert np.all(np.array(good["share"]) <= np.array(good["high"]))


def test_without_ground_there_are_no_scores():
    found = label_budget.summarize(budget(full=-2.0, spread=1.0))
    assert "needed" not in found and "profiles" not in found
    assert "score" not in found["rows"][0]
    assert found["improvement"][0]["better"] == "good"
