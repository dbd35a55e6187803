import numpy as np
import pytest

from pdtla.environments import names, procgen, scores


@pytest.mark.parametrize("table", sorted(set(scores.TABLES) - {"d4rl", "goals"}))
def test_every_table_holds_the_sixteen_games(table):
    assert set(scores.TABLES[table]) == set(procgen.GAMES)
    for minimum, maximum in scores.TABLES[table].values():
        assert minimum < maximum


def test_scores_of_families_of_tasks():
    assert set(scores.TABLES["goals"]) == set(names.FAMILIES)
    for name in ("halfcheetah-vel", "mujoco_dataset/halfcheetah-vel-expert"):
        assert scores.bounds(name, "goals") == (-390.6, -21.8)
    assert scores.bounds("halfcheetah-dir", "goals") == (-25.0, 1236.0)


def test_known_values():
    assert scores.bounds("bigfish") == (0.87, 36.34)
    assert scores.bounds("jumper", "procgen_easy_code") == (1.0, 10.0)
    assert scores.bounds("jumper", "procgen_easy_paper") == (3.0, 10.0)
    assert scores.bounds("starpilot", "procgen_hard_code") == (1.5, 35.0)


def test_d4rl_scores():
    low, high = scores.bounds("halfcheetah-medium-v0", "d4rl")
    assert (low, high) == (-280.178953, 12135.0)
    assert scores.bounds("hopper", "d4rl") == (-20.272305, 3234.3)
    assert scores.bounds("Walker2d-v5", "d4rl") == (1.629008, 4592.3)
    assert scores.normalise(np.array(5222.0), low, high) == pytest.approx(0.44319, 1e-4)


def test_normalise_is_linear_and_unclipped():
    actual = scores.normalise(np.array([[5.0, 10.0], [0.0, 15.0]]), 5.0, 10.0)
    np.testing.assert_allclose(actual, [[0.0, 1.0], [-1.0, 2.0]])


def test_wrong_names_and_ranges_are_refused():
    with pytest.raises(ValueError, match="'atari' is not a score table"):
        scores.bounds("maze", "atari")
    with pytest.raises(ValueError, match="has no 'pong'"):
        scores.bounds("pong")
    with pytest.raises(ValueError, match="maximum must be above minimum"):
        scores.normalise(np.zeros(1), 1.0, 1.0)
