"""The parser against the running simulator."""

import struct

import numpy as np
import pytest

from pdtla.environments import procgen, procgen_state


def _states(env):
    return [procgen_state.ProcgenState(data) for data in env.get_state()]


@pytest.mark.parametrize("game", procgen.GAMES)
def test_header_and_grid_of_every_game(game):
    env = procgen.Procgen(env_id=game, num_envs=2, max_episode_steps=77)
    for _ in range(3):
        env.step(np.array([7, 5]))
    for state, level, first in zip(
        _states(env), env.current().level, env.current().first, strict=True
    ):
        assert state.game == game
        assert state.timeout == 77
        assert state.level_seed == level
        assert state.time == (0 if first else 3)
        agent = state.entities[0]
        assert agent["type"] == procgen_state.AGENT
        assert state.agent_position == (agent["x"], agent["y"])
        height, width = state.grid.shape
        assert -1 <= agent["x"] <= width + 1 and -1 <= agent["y"] <= height + 1


def test_agent_moves_in_the_maze_as_the_grid_allows():
    env = procgen.Procgen(env_id="maze", num_envs=4)
    rng = np.random.default_rng(0)
    moved = 0
    for _ in range(60):
        before = _states(env)
        actions = rng.choice([1, 3, 5, 7], size=4)
        timestep = env.step(actions)
        for slot, state in enumerate(_states(env)):
            if timestep.first[slot]:
                continue
            x, y = map(int, before[slot].agent_position)
            nx, ny = x + actions[slot] // 3 - 1, y + actions[slot] % 3 - 1
            bordered = np.pad(before[slot].grid, 1, constant_values=procgen_state.WALL)
            free = bordered[ny + 1, nx + 1] != procgen_state.WALL
            expected = (nx + 0.5, ny + 0.5) if free else (x + 0.5, y + 0.5)
            assert state.agent_position == expected
            moved += free
    assert moved > 20


def test_bigfish_agent_follows_its_equation_of_motion():
    env = procgen.Procgen(env_id="bigfish", num_envs=1)
    for action in [7, 7, 5, 8, 4, 1, 0]:
        (before,) = _states(env)
        before = before.entities[0].copy()
        env.step(np.array([action]))
        (after,) = _states(env)
        push = np.array([action // 3 - 1, action % 3 - 1])
        velocity = 0.9 * (0.5 * np.array([before["vx"], before["vy"]]) + 0.25 * push)
        position = np.clip(
            np.array([before["x"], before["y"]]) + velocity, before["rx"], 19.0
        )
        np.testing.assert_allclose(after.agent_position, position, atol=1e-4)


def test_heist_shows_its_objects():
    env = procgen.Procgen(env_id="heist", num_envs=8)
    for state in _states(env):
        types = state.entities["type"].tolist()
        assert types.count(9) == 1  # the gem
        assert types.count(1) == types.count(2) == types.count(11)  # doors, keys
        assert state.grid.shape == (9, 9)


def test_with_timeout_changes_the_timeout_only():
    env = procgen.Procgen(env_id="maze", num_envs=1)
    (data,) = env.get_state()
    changed = procgen_state.ProcgenState(data).with_timeout(9)
    assert procgen_state.ProcgenState(changed).timeout == 9
    differing = [i for i in range(len(data)) if data[i] != changed[i]]
    assert len(data) == len(changed) and 1 <= len(differing) <= 4


def test_another_version_is_refused():
    with pytest.raises(ValueError, match="version 0 are known, got 3"):
        procgen_state.ProcgenState(struct.pack("<i", 3))
