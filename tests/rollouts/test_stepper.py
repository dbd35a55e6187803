"""Policies that remember, step by step in a real simulator."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla.environments.mujoco import Mujoco
from pdtla.layers.action_distributions import Deterministic
from pdtla.layers.causal_transformer import CausalTransformer
from pdtla.layers.mlp import MLP
from pdtla.layers.sequence_network import SequenceNetwork
from pdtla.policies.cached_memory import CachedMemory
from pdtla.policies.sequence_policy import SequencePolicy
from pdtla.rollouts.stepper import Stepper
from pdtla.stage import Policy

STEPS = 12


def make_env():
    return Mujoco(env_id="hopper", num_envs=3, max_episode_steps=5, seed=0)


class Accountant(Policy):
    """Acts by the rewards of its episode up to now."""

    def __init__(self, jit_compile):
        self.jit_compile = jit_compile

    def initial_state(self, batch_size, seed=0):
        return {"sum": tf.zeros(batch_size)}

    def receive(self, reward, state):
        return {"sum": state["sum"] + reward}

    def step(self, observation, is_first, state):
        total = tf.where(is_first, 0.0, state["sum"])
        return tf.stack([total / 100.0] * 3, axis=1), {"sum": total}


@pytest.mark.parametrize("jit_compile", [False, True])
def test_policies_receive_the_rewards_of_their_episode(jit_compile):
    env, policy = make_env(), Accountant(jit_compile)
    timestep = env.current()
    stepper = Stepper(policy, policy.initial_state(3), timestep)
    total = np.zeros(3)
    for _ in range(STEPS):
        total = np.where(timestep.first, 0.0, total + timestep.reward)
        actions = stepper(timestep)
        np.testing.assert_allclose(actions[:, 0], total / 100.0, rtol=1e-5)
        timestep = env.step(actions)
    assert total.max() > 0.5


@pytest.mark.parametrize("refresh", [False, True])
def test_a_cache_updated_in_place_computes_the_same(refresh):
    keras.utils.set_random_seed(0)
    network = SequenceNetwork(
        MLP((8,), 8),
        CausalTransformer(16, 2, 2, dropout=0.0),
        Deterministic(3),
        returns=True,
        return_scale=10.0,
        context_window=3,
    )
    network.build((None, None, 11), (None, None, 3))
    network.head.kernel.assign(network.head.kernel * 0.2)
    played = []
    for jit_compile in (False, True):
        policy = SequencePolicy(
            network,
            CachedMemory(network, refresh),
            greedy=True,
            target_return=20,
            jit_compile=jit_compile,
        )
        env = make_env()
        timestep = env.current()
        stepper = Stepper(policy, policy.initial_state(3), timestep)
        actions = []
        for step in range(STEPS):
            if step == 3:
                timestep = env.restart(np.array([False, True, False]))
            actions.append(stepper(timestep))
            timestep = env.step(actions[-1])
        played.append(np.stack(actions))
    assert np.ptp(played[0], axis=(0, 1)).min() > 1e-3
    np.testing.assert_allclose(*played, atol=1e-4)
