"""The table of equal actions against the running simulator."""

import numpy as np
import pytest

from pdtla.environments import procgen, procgen_actions, procgen_state


def _effects(planner, state):
    """All that each of the 15 actions changes, from one state."""
    planner.set_state([state] * 15)
    timestep = planner.step(np.arange(15))
    for slot, data in enumerate(planner.get_state()):
        after = procgen_state.ProcgenState(data)
        yield (
            after.entities.tobytes(),
            after.grid.tobytes(),
            timestep.reward[slot],
            timestep.first[slot],
            timestep.level[slot],
        )


@pytest.mark.parametrize("game", procgen.GAMES)
def test_actions_are_equal_exactly_where_the_table_says(game):
    env = procgen.Procgen(env_id=game, num_envs=6, seed=5)
    planner = procgen.Procgen(env_id=game, num_envs=15)
    table = procgen_actions.canonical(game, np.arange(15))
    rng = np.random.default_rng(0)
    differ = np.zeros((15, 15), bool)
    for _ in range(5):
        for _ in range(int(rng.integers(3, 25))):
            env.step(rng.choice([7, 7, 8, 5, 1, 3, 9, 2, 6], 6))
        for state in env.get_state():
            effects = list(_effects(planner, state))
            differ |= np.array([[a != b for b in effects] for a in effects])
    np.testing.assert_array_equal(differ, table[:, None] != table)


def test_canonical_actions_stand_for_themselves():
    for game in procgen.GAMES:
        distinct = procgen_actions.distinct(game)
        assert procgen_actions.canonical(game, distinct).tolist() == list(distinct)
        assert procgen.NO_ACTION in distinct
    assert procgen_actions.distinct("maze") == (1, 3, 4, 5, 7)
