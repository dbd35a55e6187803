import pytest

from pdtla.environments import levels


def test_training_and_evaluation_levels_are_disjoint():
    levels.assert_disjoint_levels(levels.training_levels(), levels.evaluation_levels())
    assert levels.training_levels().end == levels.evaluation_levels().start_level
    assert 0 in levels.training_levels(1)
    assert 1 not in levels.training_levels(1)


@pytest.mark.parametrize(
    ("first", "second"),
    [((0, 10), (9, 1)), ((50, 5), (0, 51)), ((0, 0), (2**30, 5))],
)
def test_an_overlap_is_refused(first, second):
    ranges = levels.LevelRange(*first), levels.LevelRange(*second)
    with pytest.raises(ValueError, match="must be disjoint, got"):
        levels.assert_disjoint_levels(*ranges)
    with pytest.raises(ValueError, match="must be disjoint, got"):
        levels.assert_disjoint_levels(*reversed(ranges))


def test_touching_ranges_are_disjoint():
    levels.assert_disjoint_levels(
        levels.LevelRange(10, 5), levels.LevelRange(0, 10), levels.LevelRange(15, 1)
    )


def test_empty_ranges_are_refused():
    with pytest.raises(ValueError, match="training levels must be 1 to 2\\^30, got 0"):
        levels.training_levels(0)
    with pytest.raises(ValueError, match="evaluation levels must be 1"):
        levels.evaluation_levels(0)
