"""Tests of the points of a grid."""

import pytest

from launch.sweeps import grid
from pdtla.training import configs


def make(*axes, files=(), bindings=(), grid_files=()):
    return grid.make_points(
        grid=axes, grid_files=grid_files, files=files, bindings=bindings
    )


def test_all_combinations_in_order():
    points = make("ENV_ID=maze,heist", "SEED=0,1,2", bindings=["NUM_UPDATES = 5"])
    assert [point.name for point in points] == [
        f"ENV_ID={env_id},SEED={seed}" for env_id in ("maze", "heist") for seed in "012"
    ]
    assert points[4].bindings == ("NUM_UPDATES = 5", "ENV_ID = 'heist'", "SEED = 1")
    swapped = make("SEED=0,1,2", "ENV_ID=maze,heist")
    assert {p.name for p in swapped} == {p.name for p in points}


def test_values_are_read_as_bindings_are():
    points = make("X=1e-3,true,(1, 2),'a,b',@f(),None")
    assert [point.bindings[0] for point in points] == [
        "X = 0.001",
        "X = True",
        "X = (1, 2)",
        "X = 'a,b'",
        "X = @f()",
        "X = None",
    ]
    assert points[2].name == "X=_1_2_"
    assert make("LAM_RUN=runs/a,runs/b")[0].name == "LAM_RUN=runs_a"


def test_axis_of_files():
    points = make(
        "SEED=7", grid_files=["gin/vq/vq.gin,gin/vq/none.gin"], files=["gin/x.gin"]
    )
    assert [point.name for point in points] == ["SEED=7,vq=vq", "SEED=7,vq=none"]
    assert points[1].files == ("gin/x.gin", "gin/vq/none.gin")


def test_bindings_can_name_the_point():
    run = "LAM_RUN = 'runs/lam/ENV_ID={ENV_ID},SEED={SEED}'"
    points = make("ENV_ID=maze,heist", "SEED=0", bindings=[run, "D = {'a': 1}"])
    assert points[1].bindings[0] == "LAM_RUN = 'runs/lam/ENV_ID=heist,SEED=0'"
    assert points[1].bindings[1] == "D = {'a': 1}"


@pytest.mark.parametrize(
    ("axes", "message"),
    [
        ([], "A sweep needs --grid"),
        (["SEED"], "Write --grid=NAME=VALUE,VALUE,..., got 'SEED'"),
        (["SEED="], "Write --grid=NAME=VALUE"),
        (["SEED=0,,1"], "--grid=SEED=0,,1 has an empty value"),
        (["SEED=0,1,0"], "SEED has a value twice: 0, 1, 0"),
        (["SEED=0", "SEED=1"], "The axis SEED of the grid is given twice"),
        (["X=(1,2"], "Brackets or quotes do not match in '\\(1,2'"),
        (["X=a/b,a b"], "Two points of the grid are named X=a_b"),
        (["X=" + "a" * 200], "takes 200 bytes at most"),
    ],
)
def test_wrong_axes_are_refused_in_one_line(axes, message):
    with pytest.raises(configs.ConfigError, match=message) as error:
        make(*axes)
    assert "\n" not in str(error.value)


def test_axis_of_files_takes_one_folder():
    with pytest.raises(configs.ConfigError, match="gin files of one folder"):
        make(grid_files=["gin/vq/vq.gin,gin/stages/bc.gin"])


def test_bound_axis_is_refused():
    with pytest.raises(configs.ConfigError, match="bound by --gin.SEED as well"):
        make("SEED=0,1", bindings=["SEED = 2"])
