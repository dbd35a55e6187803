"""Rollouts with demonstrations of the very tasks they play, on real HalfCheetah."""

import functools

import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.datasets import (
    build,
    mujoco_settings,
    prompt_settings,
    prompt_source,
    rlds_reader,
    window_dataset,
)
from pdtla.environments import levels
from pdtla.environments.mujoco import Mujoco
from pdtla.rollouts.evaluator import Evaluator
from pdtla.rollouts.trivial_policies import Constant
from pdtla.stage import Policy

STEPS = 15
TRAIN, TEST = levels.LevelRange(0, 5), levels.evaluation_levels(4)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    directory = tmp_path_factory.mktemp("data")
    build.build(
        env_id="halfcheetah-vel",
        data_dir=str(directory),
        settings=functools.partial(
            mujoco_settings.MujocoSettings,
            episodes_per_level=2,
            max_episode_steps=STEPS,
        ),
        num_trajs=10,
        num_test_trajs=8,
        num_workers=1,
    )
    return directory


def read(data_dir, split):
    return rlds_reader.RldsReader(
        dataset_name="mujoco_dataset/halfcheetah-vel-expert",
        data_dir=str(data_dir),
        split=split,
    )


def make_prompts(data_dir, num_demos=1, split="test"):
    pool = window_dataset.WindowDataset(
        source=read(data_dir, split),
        window="sequence",
        context_len=STEPS,
        fields=(specs.OBSERVATION, specs.ACTION),
        train_frac=1.0,
    )
    settings = prompt_settings.PromptSettings(
        num_demos=num_demos, demo_len=STEPS, segment="full"
    )
    return prompt_source.PromptSource(pool=pool, settings=settings)


def make_evaluator(**kwargs):
    return Evaluator(
        functools.partial(Mujoco, env_id="halfcheetah-vel", max_episode_steps=STEPS),
        num_rollouts=6,
        levels=TEST,
        train_levels=TRAIN,
        modes=("greedy",),
        **kwargs,
    )


class Repeating(Policy):
    """Takes the actions of its first demonstration one after the other."""

    def __init__(self):
        self.prompts = []

    def initial_state(self, batch_size, seed=0):
        return {"step": tf.zeros([batch_size], tf.int32)}

    def with_prompt(self, state, prompt):
        self.prompts.append(prompt)
        return state | {"actions": prompt[specs.ACTION]}

    def step(self, observation, is_first, state):
        step = tf.where(is_first, 0, state["step"])
        actions = tf.gather(state["actions"], step, batch_dims=1)
        return actions, state | {"step": step + 1}


def test_policies_are_shown_the_levels_they_play_once(data_dir):
    policy = Repeating()
    evaluator = make_evaluator(prompts=make_prompts(data_dir))
    evaluation = evaluator(policy)
    (prompt,) = policy.prompts
    source = read(data_dir, "test")
    played = evaluation.rollouts["greedy"].levels[:, 0]
    assert len(set(played)) > 1
    demonstrated = source.level_seeds[prompt[specs.EPISODE].numpy()[:, 0]]
    np.testing.assert_array_equal(demonstrated, played)
    assert prompt[specs.ACTION].shape == (6, STEPS, 6)
    assert evaluator.section(evaluation)["prompt"] == {
        "num_demos": 1,
        "demo_len": STEPS,
        "segment": "full",
        "control": None,
    }


def test_policies_without_a_memory_for_prompts_are_refused(data_dir):
    evaluator = make_evaluator(prompts=make_prompts(data_dir))
    with pytest.raises(ValueError, match="Constant takes no prompt"):
        evaluator(Constant(np.zeros(6)))


def test_demonstrations_on_levels_trained_on_are_refused(data_dir):
    with pytest.raises(ValueError, match="on other levels than those of training, got"):
        make_evaluator(prompts=make_prompts(data_dir, split="train"))


def test_slots_have_one_level_each(data_dir):
    evaluator = make_evaluator(prompts=make_prompts(data_dir), episodes_per_slot=2)
    with pytest.raises(ValueError, match="episodes_per_slot must be 1, got 2"):
        evaluator(Repeating())
