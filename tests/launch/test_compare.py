"""Comparisons of runs: what is one method, what may be compared, and the report."""

import json
import pathlib
import shutil

import commands
import numpy as np
import pytest
import tiny_runs

from launch import compared_run, comparison
from pdtla.analysis import comparison as comparison_lib
from pdtla.analysis import results as results_lib
from pdtla.training import configs

ROLLED_OUT = ("NUM_UPDATES = 2", "NUM_EVALS = 2", "RUN_EVAL_ROLLOUTS = True")


@pytest.fixture(scope="module")
def runs(maze, tmp_path_factory):
    """Two seeds of cloning with two learning rates, in a maze."""
    base = tmp_path_factory.mktemp("runs")
    for seed in (0, 1):
        for name, rate in (("slow", 1e-4), ("fast", 1e-2)):
            tiny_runs.train(
                "bc",
                maze,
                base / f"seed-{seed}" / name,
                *ROLLED_OUT,
                f"SEED = {seed}",
                f"LEARNING_RATE = {rate}",
                "RECORD = 1",
            )
    return base


def all_of(base):
    return [
        compared_run.read(base / f"seed-{seed}" / name)
        for name in ("slow", "fast")
        for seed in (1, 0)
    ]


def test_runs_that_differ_in_their_seed_are_one_method(runs):
    found = all_of(runs)
    compared_run.check_evaluations(found)
    groups = compared_run.by_method(found)
    assert compared_run.names(groups) == ["slow", "fast"]
    assert [[run.results["seed"] for run in each] for each in groups] == [[0, 1]] * 2
    content = comparison.compare(found)
    assert content["evaluated_differently"] == {}
    slow, fast = content["methods"]
    assert slow["training_seeds"] == [0, 1] and slow["episodes"] == 4
    assert slow["settings"] == {"LEARNING_RATE": "0.0001"}
    assert fast["settings"] == {"LEARNING_RATE": "0.01"}
    (pair,) = content["differences"]
    assert (pair["first"], pair["second"], pair["seeds"]) == ("slow", "fast", [0, 1])
    means = np.array(slow["seed_means"]) - np.array(fast["seed_means"])
    assert pair["by_seed"] == pytest.approx(means.tolist())
    assert pair["mean"] == pytest.approx(means.mean())


def test_results_tell_the_levels_that_were_played(runs):
    levels = [run.results["rollouts"]["levels"] for run in all_of(runs)]
    assert all(each == levels[0] for each in levels) and np.size(levels[0]) == 2
    assert len(set(results_lib.flat(levels[0]))) == 2


def test_report_is_written(runs, tmp_path):
    command = ["compare", f"--runs={runs}/*/*", f"--output={tmp_path}"]
    (done,) = commands.run_all([command])
    assert done["status"] == 0, done["stderr"]
    content = json.loads((tmp_path / "comparison.json").read_text())
    assert [row["method"] for row in content["methods"]] == ["fast", "slow"]
    assert content["methods"][0]["runs"] == [
        str(runs / f"seed-{seed}" / "fast") for seed in (0, 1)
    ]
    page = (tmp_path / "comparison.html").read_text()
    assert page.count("data:image/gif") == 2  # a video for each method
    assert page.count("data:image/png") == 2  # bars and learning curves
    assert "<code>fast</code> less <code>slow</code>" in page
    assert "<code>LEARNING_RATE</code>" in page


@pytest.fixture
def copy(runs, tmp_path):
    """The runs, to be changed."""
    shutil.copytree(runs, tmp_path / "runs")
    return tmp_path / "runs"


def change(run, name, value):
    """Puts another value into the results' rollouts of a run."""
    path = run / "results.json"
    results = results_lib.read_json(path)
    results["rollouts"][name] = value
    results_lib.write_json(path, results)


def replace(run, old, new):
    path = pathlib.Path(run) / "config.gin"
    assert old in path.read_text()
    path.write_text(path.read_text().replace(old, new))


@pytest.mark.parametrize(
    ("difference", "message"),
    [
        ("MAX_EPISODE_STEPS = 16", "MAX_EPISODE_STEPS is 16 and 160;"),
        ("NUM_EVAL_LEVELS = 1073741823", "NUM_EVAL_LEVELS is 1073741823 and 1"),
        ({"mode": "greedy"}, "mode is sampled and greedy"),
        ({"returns": [[0.0]]}, "episodes is 2 and 1"),
        ({"reference": {"min": 0.0, "max": 9.0, "name": "x"}}, "reference is None and"),
    ],
)
def test_different_evaluations_are_refused_in_one_line(copy, difference, message):
    other = copy / "seed-0/fast"
    if isinstance(difference, dict):
        change(other, *difference.popitem())
    else:
        replace(other, difference, f"{difference}0")
    with pytest.raises(configs.ConfigError, match=message) as error:
        compared_run.check_evaluations(all_of(copy))
    assert "--allow_different_evaluation" in str(error.value)
    assert "\n" not in str(error.value)


def test_different_evaluations_are_compared_if_told(copy, tmp_path):
    change(copy / "seed-0/slow", "mode", "greedy")
    command = ["compare", f"--runs={copy}/*/*", f"--output={tmp_path / 'out'}"]
    refused, told = commands.run_all(
        [command, [*command, "--allow_different_evaluation"]]
    )
    assert refused["status"] == 2 and "mode is sampled and greedy" in refused["stderr"]
    assert told["status"] == 0, told["stderr"]
    content = json.loads((tmp_path / "out/comparison.json").read_text())
    assert list(content["evaluated_differently"]) == ["mode"]
    assert content["differences"] == []
    assert "were not rolled out alike" in (tmp_path / "out/comparison.html").read_text()


def test_other_levels_are_refused(copy):
    change(copy / "seed-0/slow", "levels", [[1], [2]])
    with pytest.raises(configs.ConfigError, match="slow and fast played different lev"):
        comparison.compare(all_of(copy))


def test_one_run_twice_is_refused(copy):
    shutil.copytree(copy / "seed-0/slow", copy / "again")
    found = [compared_run.read(copy / name) for name in ("seed-0/slow", "again")]
    with pytest.raises(configs.ConfigError, match="are the same run: .* seed 0"):
        comparison.compare(found)


def test_latents_of_a_seed_belong_to_its_method(copy):
    """Runs on the latents lam-0 and lam-1 of their seeds are one method."""
    for seed in (0, 1):
        replace(
            copy / f"seed-{seed}/slow",
            "LOAD_LATENT_ACTIONS = None",
            f"LOAD_LATENT_ACTIONS = 'lam-{seed}'",
        )
    groups = compared_run.by_method(all_of(copy))
    assert list(map(len, groups)) == [2, 2]
    replace(copy / "seed-1/slow", "'lam-1'", "'lam-0'")  # both on those of seed 0
    assert list(map(len, compared_run.by_method(all_of(copy)))) == [2, 2]
    replace(copy / "seed-1/slow", "'lam-0'", "'vpt-1'")
    assert list(map(len, compared_run.by_method(all_of(copy)))) == [1, 1, 2]


def test_what_is_no_finished_run_is_refused_in_one_line(copy, tmp_path):
    with pytest.raises(configs.ConfigError, match="not the workdir of a run"):
        compared_run.read(tmp_path)
    path = copy / "seed-0/slow/results.json"
    results = results_lib.read_json(path)
    del results["rollouts"]
    results_lib.write_json(path, results)
    with pytest.raises(configs.ConfigError, match="never rolled out: python -m launch"):
        compared_run.read(path.parent)
    path.unlink()
    with pytest.raises(configs.ConfigError, match="is not finished: There is no file"):
        compared_run.read(path.parent)
    (alone,) = commands.run_all([["compare", f"--runs={copy}/seed-1/slow"]])
    assert alone["status"] == 2 and "two workdirs or more" in alone["stderr"]


def played(**returns):
    """Methods on three levels; keys are seeds after the method's name."""
    methods = {}
    for key, values in returns.items():
        name, seed = key.split("_")
        methods.setdefault(name, {})[int(seed)] = np.array(values)
    return {
        name: comparison_lib.Played(seeds, {seed: np.arange(3) for seed in seeds})
        for name, seeds in methods.items()
    }


def test_seeds_in_common_are_paired():
    methods = played(
        a_0=[1.0, 2, 3],
        a_1=[5.0, 5, 5],
        b_0=[0.0, 1, 2],
        b_1=[2.0, 2, 2],
        b_2=[9.0] * 3,
    )
    (pair,) = comparison_lib.paired_differences(methods)
    assert (pair["seeds"], pair["by_seed"], pair["mean"]) == ([0, 1], [1.0, 3.0], 2.0)
    # No level differs from another within a seed: the seeds alone vary.
    assert pair["ci95"] == [1.0, 3.0]


def test_levels_are_paired_without_seeds_in_common():
    methods = played(a_0=[1.0, 2, 3], b_1=[0.0, 1, 0], b_2=[0.0, 1, 4])
    (pair,) = comparison_lib.paired_differences(methods)
    assert (pair["seeds"], pair["by_seed"]) == ([], [])
    assert pair["mean"] == pytest.approx(np.mean([1, 1, 1]))
    assert pair["ci95"] == pytest.approx([1.0, 1.0])


def test_curves_are_means_where_all_runs_have_a_step():
    curves = [([1, 2, 3], [1.0, 2.0, 3.0]), ([2, 3, 4], [4.0, 5.0, 6.0])]
    assert comparison_lib.mean_curve(curves) == ([2, 3], [3.0, 4.0])
    curves[1][1][0] = None  # not finite
    assert comparison_lib.mean_curve(curves) == ([3], [4.0])
