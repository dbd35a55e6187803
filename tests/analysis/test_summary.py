"""Rows of summary.json by hand."""

import numpy as np
import pytest

from pdtla.analysis import summary

RETURNS = {
    "random": [np.array([2.0, 4.0])],
    "best_constant": [np.array([4.0, 4.0])],
    "bc_128": [np.array([2.0, 3.0]), np.array([4.0, 5.0])],
    "lapo_plus_128": [np.array([6.0, 6.0]), np.array([8.0, 8.0])],
    "bc_all": [np.array([8.0, 8.0]), np.array([8.0, 8.0])],
    "expert": [np.array([13.0, 13.0])],
}
LABELS = {
    "random": 0,
    "best_constant": 0,
    "bc_128": 128,
    "lapo_plus_128": 128,
    "bc_all": None,
    "expert": 0,
}


def by_method(**kwargs):
    rows = summary.method_rows(RETURNS | kwargs, LABELS)
    return {row["method"]: row for row in rows}


def test_rows():
    rows = by_method()
    assert list(rows) == list(RETURNS)
    row = rows["lapo_plus_128"]
    assert row["labels"] == 128 and row["seeds"] == 2 and row["episodes"] == 4
    assert row["mean"] == row["iqm"] == 7.0
    assert row["seed_means"] == [6.0, 8.0]
    assert row["ci95"] == [7.0, 7.0]  # within seeds nothing varies
    assert row["ci95_seeds"] == [6.0, 8.0]
    assert row["normalized_mean"] == (7 - 3) / (13 - 3)
    assert row["score"] == (7 - 4) / (8 - 4)
    assert rows["expert"]["normalized_mean"] == 1.0
    assert rows["random"]["normalized_mean"] == 0.0
    assert rows["best_constant"]["score"] == 0.0
    assert rows["bc_all"]["score"] == 1.0
    assert "ci95_seeds" not in rows["random"]


def test_no_score_where_cloning_does_not_beat_the_trivial_policies():
    rows = by_method(bc_all=[np.array([3.0, 3.5])])
    assert all("score" not in row for row in rows.values())
    assert summary.ground(list(rows.values())) < 0


def test_ground_counts_standard_errors():
    rows = by_method(bc_all=[np.array([5.0, 7.0])])
    # Means 6 and 4; standard errors 1 and 0.
    assert summary.ground(list(rows.values())) == pytest.approx(2.0)
    assert summary.best_trivial(list(rows.values()))["method"] == "best_constant"
    assert summary.ground([rows["expert"]]) is None


def test_validate():
    rows = list(by_method().values())
    summary.validate({"env_id": "maze", "rows": rows})
    with pytest.raises(ValueError, match="lacks the field 'env_id'"):
        summary.validate({"rows": rows})
    with pytest.raises(ValueError, match="no rows"):
        summary.validate({"env_id": "maze", "rows": []})
    del rows[0]["iqm"]
    with pytest.raises(ValueError, match=r"random lacks \['iqm'\]"):
        summary.validate({"env_id": "maze", "rows": rows})


def test_text_table():
    lines = summary.text_table(list(by_method().values())).splitlines()
    assert len(lines) == 1 + len(RETURNS)
    assert lines[4].split() == (
        "lapo_plus_128 128 4 7.00 7.00 7.00 to 7.00 0.40 0.75".split()
    )
    assert " all " in lines[5]
    assert len({len(line) for line in lines}) == 1
