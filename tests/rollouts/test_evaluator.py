"""The evaluator: fixed levels, disjointness, sections of results.json."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla.analysis import results
from pdtla.environments.levels import LevelRange
from pdtla.environments.metaworld import MetaWorld
from pdtla.environments.procgen import Procgen
from pdtla.experts.maze_expert import MazeExpert
from pdtla.experts.metaworld_expert import MetaworldExpert
from pdtla.rollouts.evaluator import Evaluator, reference_scores
from pdtla.rollouts.trivial_policies import ActionMarginal, Constant
from pdtla.stage import Stage

REFERENCE = {"min": 4.0, "max": 10.0, "name": "measured"}


def make_evaluator(**kwargs):
    make_env = functools.partial(Procgen, env_id="maze", max_episode_steps=60)
    kwargs = {
        "levels": LevelRange(9000, 500),
        "train_levels": LevelRange(0, 9000),
        "seed": 1,
    } | kwargs
    return Evaluator(make_env, num_rollouts=6, **kwargs)


class TinyStage(Stage):
    """Prefers one action; sampled, it takes any of two."""

    def build(self, element_spec):
        self.logits = self.add_weight(shape=(15,), initializer="zeros")
        self.built = True

    def call(self, batch, training=False):
        return {}, {}

    def modules(self):
        return {}

    def policy(self, greedy=True):
        if greedy:
            return Constant(int(tf.argmax(self.logits)))
        return ActionMarginal([0.5] + 6 * [0.0] + [0.5] + 7 * [0.0])


def test_expert_and_stage_meet_the_same_levels():
    evaluator = make_evaluator(reference=REFERENCE, record=2)
    stage = TinyStage()
    stage.build({})
    expert = evaluator.evaluate_expert(MazeExpert())
    evaluation = evaluator(stage, 3)
    assert set(evaluation.rollouts) == {"greedy", "sampled"}
    for result in evaluation.rollouts.values():
        np.testing.assert_array_equal(result.levels, expert.rollouts["greedy"].levels)
        assert len(result.videos) == 2
    assert expert.scalars["greedy/return_mean"] == 10.0
    assert expert.scalars["greedy/return_normalized"] == 1.0
    again = evaluator(stage, 4)
    for mode, result in again.rollouts.items():
        np.testing.assert_array_equal(result.returns, evaluation.rollouts[mode].returns)


def test_section_follows_the_schema():
    evaluator = make_evaluator(reference=REFERENCE)
    stage = TinyStage()
    stage.build({})
    evaluation = evaluator(stage)
    section = evaluator.section(evaluation)
    greedy = evaluation.rollouts["greedy"].returns
    assert section["mode"] == "greedy"
    assert [other["mode"] for other in section["other_modes"]] == ["sampled"]
    np.testing.assert_array_equal(section["returns"], greedy)
    assert section["mean"] == greedy.mean()
    np.testing.assert_allclose(section["normalized_mean"], (greedy.mean() - 4.0) / 6.0)
    results.validate(
        {
            "stage": "bc",
            "env_id": "maze",
            "dataset": "",
            "seed": 0,
            "step": 0,
            "labels": None,
            "heldout": {},
            "wall_seconds": 1.0,
            "frames_per_second": 1.0,
            "rollouts": section,
        }
    )


def test_bare_policy_and_no_policy():
    evaluation = make_evaluator()(Constant(4))
    assert set(evaluation.rollouts) == {"greedy"}
    assert evaluation.scalars["greedy/truncated"] == 1.0

    class NoPolicy(TinyStage):
        def policy(self, greedy=True):
            return None

    with pytest.raises(ValueError, match="NoPolicy has no policy"):
        make_evaluator()(NoPolicy())


@pytest.mark.parametrize(
    ("levels", "train_levels"),
    [((0, 10), (9, 5)), ((9, 5), (0, 10)), ((0, 0), (9, 5)), ((5, 1), (0, 0))],
)
def test_levels_must_be_disjoint(levels, train_levels):
    with pytest.raises(ValueError, match="must be disjoint"):
        make_evaluator(
            levels=LevelRange(*levels), train_levels=LevelRange(*train_levels)
        )


def test_an_environment_that_ignores_the_range_is_caught():
    def make_env(num_envs, seed, start_level, num_levels):
        return Procgen(env_id="maze", num_envs=num_envs, max_episode_steps=5)

    evaluator = Evaluator(make_env, num_rollouts=4, levels=LevelRange(100, 10))
    with pytest.raises(ValueError, match="must play levels 100 to 109"):
        evaluator(Constant(4))


def test_reference_scores():
    reference = reference_scores("maze", "lapo")
    assert reference == {"min": 4.27, "max": 9.97, "name": "lapo"}
    with pytest.raises(ValueError, match="no 'tetris'"):
        reference_scores("tetris", "lapo")


@pytest.mark.parametrize(
    "kwargs", [{"episodes_per_slot": 4}, {"modes": ("best",)}, {"modes": ()}]
)
def test_wrong_arguments(kwargs):
    with pytest.raises(ValueError, match="must be"):
        make_evaluator(**kwargs)


def test_the_weights_of_the_moment_act():
    """On coinrun standing still never scores, running and jumping to the right does."""
    make_env = functools.partial(Procgen, env_id="coinrun", max_episode_steps=100)
    evaluator = Evaluator(make_env, num_rollouts=12, modes=("greedy",))
    stage = TinyStage()
    stage.build({})
    returns = []
    for action in (4, 8):
        stage.logits.assign(keras.ops.one_hot(action, 15))
        returns.append(evaluator(stage).scalars["greedy/return_mean"])
    assert returns[0] == 0.0 < returns[1]


def test_success_rate_is_in_the_scalars_and_in_the_section():
    make_env = functools.partial(MetaWorld, env_id="reach", max_episode_steps=100)
    evaluator = Evaluator(
        make_env, num_rollouts=3, levels=LevelRange(9000, 500), modes=("greedy",)
    )
    evaluation = evaluator.evaluate_expert(MetaworldExpert("reach"))
    section = evaluator.section(evaluation)
    solved = evaluation.rollouts["greedy"].successes.mean()
    assert evaluation.scalars["greedy/success_rate"] == section["success_rate"]
    assert section["success_rate"] == solved == 1.0
    assert section["success_ci95"] == [1.0, 1.0]
    still = evaluator.section(evaluator(Constant(np.zeros(4))))
    assert still["success_rate"] == 0.0
