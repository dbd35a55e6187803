"""results.json: schema, atomicity, one-line errors."""

import json
import os

import numpy as np
import pytest

from pdtla.analysis import results


def example():
    return {
        "stage": "la_bc",
        "env_id": "maze",
        "dataset": "procgen_dataset/maze",
        "seed": 0,
        "step": 100,
        "labels": 128,
        "heldout": {"loss": 0.5},
        "wall_seconds": 3.5,
        "frames_per_second": 1000.0,
        "rollouts": results.summarize_rollouts(
            np.array([[1.0], [2.0], [9.0], [4.0]]), np.array([[3], [4], [5], [6]])
        ),
    }


def test_round_trip(tmp_path):
    path = tmp_path / "run" / "results.json"
    results.write_results(path, example())
    assert results.read_results(path) == example()
    assert os.listdir(path.parent) == ["results.json"]


def test_rollouts_of_training_are_told_from_later_ones():
    trained = example()
    bare = {name: value for name, value in trained.items() if name != "rollouts"}
    for before in (trained, bare):
        later = before
        for episodes in (1, 2):
            section = trained["rollouts"] | {"episodes": episodes}
            later = results.with_rollouts(later, section)
            assert later["rollouts"]["episodes"] == episodes
        assert results.as_trained(later) == results.as_trained(before) == before


def test_statistics():
    rollouts = example()["rollouts"]
    assert rollouts["mean"] == 4.0
    assert rollouts["median"] == rollouts["iqm"] == 3.0
    assert rollouts["length_mean"] == 4.5
    assert rollouts["returns"] == [[1.0], [2.0], [9.0], [4.0]]
    low, high = rollouts["ci95"]
    assert 1.0 <= low < 4.0 < high <= 9.0


def test_success_rate_and_its_interval():
    successes = np.array([[True, False], [True, True]])
    rollouts = results.summarize_rollouts(
        np.ones((2, 2)), np.ones((2, 2), int), successes=successes
    )
    assert rollouts["success_rate"] == 0.75
    low, high = rollouts["success_ci95"]
    assert 0.0 <= low < 0.75 < high <= 1.0
    without = results.summarize_rollouts(np.ones((2, 2)), np.ones((2, 2), int))
    assert not {"success_rate", "success_ci95"} & set(without)


def test_reference_normalises():
    rollouts = results.summarize_rollouts(
        np.array([[7.0]]),
        np.array([[1]]),
        reference={"min": 4.0, "max": 10.0, "name": "measured"},
    )
    assert rollouts["normalized_mean"] == 0.5
    assert rollouts["reference"] == {"min": 4.0, "max": 10.0, "name": "measured"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"seed": "one"}, "seed must be int"),
        ({"labels": 1.5}, "labels must be int or NoneType"),
        ({"rollouts": {"returns": []}}, "rollouts lacks the field 'lengths'"),
        ({"rollouts": []}, "rollouts must be an object"),
        ({"heldout": {"loss": float("nan")}}, "heldout.loss must be finite"),
    ],
)
def test_wrong_results_are_refused_before_anything_is_written(
    tmp_path, change, message
):
    path = tmp_path / "results.json"
    with pytest.raises(ValueError, match=message) as error:
        results.write_results(path, example() | change)
    assert "\n" not in str(error.value)
    assert not path.exists()


def test_missing_field():
    incomplete = example()
    del incomplete["env_id"]
    with pytest.raises(ValueError, match="lacks the field 'env_id'"):
        results.validate(incomplete)


def test_damaged_and_missing_files(tmp_path):
    path = tmp_path / "results.json"
    with pytest.raises(FileNotFoundError, match="no file"):
        results.read_results(path)
    path.write_text(json.dumps(example())[:50])
    with pytest.raises(ValueError, match="is damaged"):
        results.read_results(path)


def test_a_failed_write_keeps_the_old_file(tmp_path):
    path = tmp_path / "results.json"
    results.write_results(path, example())
    with pytest.raises(ValueError):
        results.write_results(path, example() | {"step": None})
    assert results.read_results(path)["step"] == 100
    assert os.listdir(tmp_path) == ["results.json"]
