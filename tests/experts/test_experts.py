"""Returns of the experts on a few levels of the real games."""

import pickle

import numpy as np
import pytest

from pdtla.environments import procgen, procgen_state
from pdtla.experts import (
    bigfish_expert,
    checkpoint_expert,
    clone_search_expert,
    collect,
    constant_expert,
    default_expert,
    heist_expert,
    maze_expert,
    measure,
    random_expert,
)
from pdtla.layers import impala_cnn, module_io, observation_network


def _returns(env, expert, **settings):
    episodes = collect.collect_episodes(env, expert, **settings)
    return np.array([episode.episode_return for episode in episodes])


@pytest.mark.parametrize("mode", ["easy", "hard", "memory"])
def test_maze_expert_solves_every_maze(mode):
    env = procgen.Procgen(env_id="maze", num_envs=4, distribution_mode=mode)
    returns = _returns(env, maze_expert.MazeExpert(), episodes_per_slot=3)
    np.testing.assert_array_equal(returns, np.full(12, 10.0))


def test_maze_expert_finds_its_way_back_from_noise():
    env = procgen.Procgen(env_id="maze", num_envs=4)
    returns = _returns(env, maze_expert.MazeExpert(), episodes_per_slot=3, epsilon=0.5)
    np.testing.assert_array_equal(returns, np.full(12, 10.0))


@pytest.mark.parametrize("mode", ["easy", "hard"])
def test_heist_expert_opens_every_door(mode):
    env = procgen.Procgen(env_id="heist", num_envs=8, distribution_mode=mode)
    returns = _returns(env, heist_expert.HeistExpert(), episodes_per_slot=2)
    np.testing.assert_array_equal(returns, np.full(16, 10.0))


def test_scripted_experts_emit_moves_only():
    for game in ("maze", "heist", "bigfish"):
        env = procgen.Procgen(env_id=game, num_envs=4, max_episode_steps=30)
        episodes = collect.collect_episodes(
            env, default_expert.default_expert(game), episodes_per_slot=1
        )
        assert max(episode.action.max() for episode in episodes) <= 8


def test_bigfish_expert_grows_and_random_does_not():
    env = procgen.Procgen(env_id="bigfish", num_envs=8, seed=3, max_episode_steps=300)
    returns = _returns(env, bigfish_expert.BigfishExpert(), episodes_per_slot=1)
    assert returns.mean() > 10.0
    env = procgen.Procgen(env_id="bigfish", num_envs=8, seed=3, max_episode_steps=300)
    trivial = _returns(
        env, constant_expert.ConstantExpert(procgen.NO_ACTION), episodes_per_slot=1
    )
    assert trivial.mean() < 5.0


@pytest.mark.parametrize("one_frame", [False, True])
def test_bigfish_expert_of_one_frame_goes_by_no_velocity(one_frame):
    expert = bigfish_expert.BigfishExpert(one_frame=one_frame)
    env = procgen.Procgen(env_id="bigfish", num_envs=8, seed=3)
    agrees = []
    for _ in range(60):
        actions = expert.act(env, env.current())
        for state, action in zip(env.get_state(), actions, strict=True):
            entities = procgen_state.ProcgenState(state).entities.copy()
            entities["vx"] *= 0.5
            entities["vy"][0] = 0.3
            agrees.append(expert._decide(entities) == action)
        env.step(actions)
    assert all(agrees) == one_frame


def test_bigfish_expert_of_one_frame_grows():
    env = procgen.Procgen(env_id="bigfish", num_envs=8, seed=3, max_episode_steps=300)
    expert = bigfish_expert.BigfishExpert(one_frame=True, margin=0.5)
    assert _returns(env, expert, episodes_per_slot=1).mean() > 10.0


def test_clone_search_solves_coinrun_and_leaves_it_untouched():
    settings = {"env_id": "coinrun", "num_envs": 2, "max_episode_steps": 150, "seed": 3}
    search = clone_search_expert.CloneSearchExpert(num_clones=16, horizon=20)
    env = procgen.Procgen(**settings)
    before = env.get_state()
    search.act(env, env.current())
    assert env.get_state() == before
    returns = _returns(env, search, episodes_per_slot=1)
    random = _returns(
        procgen.Procgen(**settings), constant_expert.ConstantExpert(procgen.NO_ACTION),
        episodes_per_slot=1,
    )  # fmt: skip
    assert returns.mean() == 10.0
    assert random.mean() == 0.0


def test_clone_search_repeats_and_plays_within_its_actions():
    def play():
        env = procgen.Procgen(env_id="starpilot", num_envs=2, max_episode_steps=12)
        search = clone_search_expert.CloneSearchExpert(num_clones=16, horizon=8)
        return list(collect.collect_episodes(env, search, episodes_per_slot=1))

    for first, second in zip(play(), play(), strict=True):
        np.testing.assert_array_equal(first.action, second.action)
        assert set(first.action.tolist()) <= {1, 3, 4, 5, 7, 9}


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"num_clones": 3}, "num_clones must be at least 15, got 3"),
        ({"horizon": 4, "replan_every": 5}, "1 to the horizon 4, got 5"),
    ],
)
def test_clone_search_refuses_impossible_settings(settings, message):
    with pytest.raises(ValueError, match=message):
        clone_search_expert.CloneSearchExpert(**settings)


def test_an_expert_refuses_another_game():
    env = procgen.Procgen(env_id="heist", num_envs=1)
    with pytest.raises(ValueError, match="The maze_expert plays maze, got heist"):
        maze_expert.MazeExpert().act(env, env.current())


def test_every_game_has_a_default_expert():
    names = {game: default_expert.default_expert(game).name for game in procgen.GAMES}
    assert names["maze"] == "maze_expert"
    assert names["coinrun"] == "clone_search_expert"
    with pytest.raises(ValueError, match="'pong' is not a Procgen game"):
        default_expert.default_expert("pong")


def test_checkpoint_expert_acts_like_the_modules_of_its_run(tmp_path):
    network = observation_network.ObservationNetwork(
        impala_cnn.ImpalaCNN(channels=(4, 4), output_dim=16), procgen.NUM_ACTIONS
    )
    network.build((None, 1, 64, 64, 3))
    module_io.save_module(network, tmp_path / "modules" / "policy")
    env = procgen.Procgen(env_id="maze", num_envs=3)
    expert = checkpoint_expert.CheckpointExpert(str(tmp_path))
    actions = expert.act(env, env.current())
    logits = network(env.current().observation[:, None])
    np.testing.assert_array_equal(actions, np.argmax(logits, axis=-1))
    # As when it plays in another process.
    copy = pickle.loads(pickle.dumps(expert))
    np.testing.assert_array_equal(copy.act(env, env.current()), actions)


def test_checkpoint_expert_needs_a_policy(tmp_path):
    with pytest.raises(ValueError, match="no saved module"):
        checkpoint_expert.CheckpointExpert(str(tmp_path))


def test_random_expert_plays_otherwise_once_reseeded():
    env = procgen.Procgen(env_id="maze", num_envs=64)
    first, second = random_expert.RandomExpert(0), random_expert.RandomExpert(0)
    second.reseed(1)
    assert (first.act(env, env.current()) != second.act(env, env.current())).any()


def test_measure_expert_sums_up():
    env = procgen.Procgen(env_id="maze", num_envs=2, max_episode_steps=5)
    score = measure.measure_expert(
        env, constant_expert.ConstantExpert(procgen.NO_ACTION), episodes_per_slot=3
    )
    assert score.episodes == 6
    assert score.return_mean == score.return_error == 0.0
    assert score.length_mean == score.length_median == 5.0
    assert score.truncated == 1.0
    assert score.frames_per_cpu_second > 0
