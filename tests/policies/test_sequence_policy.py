"""What a rollout remembers step by step is what one pass computes."""

import numpy as np
import pytest
import sequences
import tensorflow as tf
from sequences import BATCH, LAYERS, STEPS, WINDOW

from pdtla.policies.cached_memory import CachedMemory
from pdtla.policies.sequence_policy import SequencePolicy
from pdtla.policies.window_memory import WindowMemory

ATOL = 1e-5
NETWORKS = {
    "plain": {},
    "discrete": {"discrete": True},
    "returns": {"returns": True},
    "rotary": {"rotary": True, "returns": True},
    "demos": {"demos": 2},
    "stacked_demos": {"demos": 2, "stacked": True, "returns": True},
    "rotary_demos": {"demos": 2, "rotary": True},
}
MEMORIES = {
    "ring": CachedMemory,
    "refresh": lambda network: CachedMemory(network, refresh=True),
    "window": WindowMemory,
}


def setting(name):
    network = sequences.make_network(**NETWORKS[name])
    prompt = sequences.random_prompt(network) if network.num_demos else None
    return network, sequences.random_observations(), sequences.random_rewards(), prompt


def assert_close(actual, expected):
    assert np.abs(expected).max() < 1.0 or expected.dtype == np.int32  # not clipped
    np.testing.assert_allclose(actual, expected, atol=ATOL)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_ring_computes_what_one_pass_over_the_episode_does(name):
    network, observations, rewards, prompt = setting(name)
    actions, _ = sequences.play(
        CachedMemory(network), observations, rewards, prompt=prompt, jit=False
    )
    expected = sequences.one_pass(network, observations, actions, rewards, prompt)
    assert_close(actions, expected)


@pytest.mark.parametrize("name", NETWORKS)
def test_a_window_is_a_pass_over_the_last_steps(name):
    network, observations, rewards, prompt = setting(name)
    actions, _ = sequences.play(
        WindowMemory(network), observations, rewards, prompt=prompt, jit=False
    )
    for t in range(STEPS):
        steps = slice(max(0, t + 1 - WINDOW), t + 1)
        seen = sequences.one_pass(
            network, observations, actions, rewards, prompt, steps
        )
        assert_close(actions[:, t], seen[:, -1])


@pytest.mark.parametrize("name", NETWORKS)
def test_refreshing_is_a_pass_over_the_newer_half_and_what_followed(name):
    network, observations, rewards, prompt = setting(name)
    actions, _ = sequences.play(
        CachedMemory(network, refresh=True),
        observations,
        rewards,
        prompt=prompt,
        jit=False,
    )
    known = 0
    for t in range(STEPS):
        known = WINDOW // 2 + 1 if known == WINDOW else known + 1
        steps = slice(t + 1 - known, t + 1)
        seen = sequences.one_pass(
            network, observations, actions, rewards, prompt, steps
        )
        assert_close(actions[:, t], seen[:, -1])


def test_recomputing_all_that_an_output_depends_on_is_the_ring():
    """The two differ where less is recomputed: old keys know of older steps."""
    network, observations, rewards, prompt = setting("stacked_demos")
    given = {"prompt": prompt, "jit": False}
    ring, _ = sequences.play(CachedMemory(network), observations, rewards, **given)
    memory = WindowMemory(network, history=LAYERS * WINDOW)
    whole, _ = sequences.play(memory, observations, rewards, **given)
    assert_close(whole, ring)
    bare, _ = sequences.play(WindowMemory(network), observations, rewards, **given)
    assert_close(bare[:, :WINDOW], ring[:, :WINDOW])
    assert np.abs(bare[:, WINDOW:] - ring[:, WINDOW:]).max() > 1e-3


@pytest.mark.parametrize("memory", ["ring", "window"])
def test_environments_that_begin_at_different_times_do_not_meet(memory):
    network, observations, rewards, prompt = setting("stacked_demos")
    first = np.zeros((BATCH, STEPS), bool)
    first[:, 0] = first[1, [3, 5]] = first[2, WINDOW + 2] = True
    together, _ = sequences.play(
        MEMORIES[memory](network),
        observations,
        rewards,
        first=first,
        prompt=prompt,
        jit=False,
    )
    for row in range(BATCH):
        (starts,) = np.nonzero(first[row])
        for start, end in zip(starts, [*starts[1:], STEPS], strict=True):
            alone, _ = sequences.play(
                MEMORIES[memory](network),
                observations[row : row + 1, start:end],
                rewards[row : row + 1, start:end],
                prompt={name: field[row : row + 1] for name, field in prompt.items()},
            )
            assert_close(together[row : row + 1, start:end], alone)


def test_refreshing_keeps_episodes_apart():
    """All refresh at once, so an episode that began late has seen fewer steps."""
    network, observations, rewards, _ = setting("returns")
    first = np.zeros((BATCH, STEPS), bool)
    first[:, 0] = first[1, [3, 5]] = first[2, WINDOW + 2] = True
    played = []
    for seed in (0, 1):
        # What came before the last start of each row differs.
        last = STEPS - 1 - np.argmax(first[:, ::-1], axis=1)
        old = np.arange(STEPS) < last[:, None]
        other = sequences.random_observations(seed)
        seen = tf.where(old[..., None], other, observations)
        actions, _ = sequences.play(
            MEMORIES["refresh"](network), seen, rewards, first=first, jit=False
        )
        played.append(np.where(old[..., None], 0.0, actions))
    assert np.any(played[0] != 0.0)
    np.testing.assert_array_equal(*played)


@pytest.mark.parametrize("memory", MEMORIES)
@pytest.mark.parametrize("age", [2, WINDOW, 2 * WINDOW + 1])
def test_a_new_episode_reads_nothing_of_the_one_before(memory, age):
    network, observations, rewards, prompt = setting("demos")
    memory = MEMORIES[memory](network)
    policy = SequencePolicy(network, memory, greedy=True)
    state = policy.with_prompt(policy.initial_state(BATCH), prompt)
    pinned = 2 * sequences.DEMO_STEPS * network.tokens_per_step
    first = tf.ones(BATCH, tf.bool)
    for t in range(age):
        _, state = policy.step(observations[:, t], first & (t == 0), state)
    kept = state["memory"]
    if "cache" in kept:  # keys that are no numbers, values that drown all others
        kept["cache"] = tuple(
            (
                tf.concat([keys[..., :pinned], keys[..., pinned:] * np.nan], 3),
                tf.concat([values[:, :, :pinned], values[:, :, pinned:] + 1e30], 2),
            )
            for keys, values in kept["cache"]
        )
    actions = []
    for t in range(WINDOW):
        action, state = policy.step(observations[:, t], first & (t == 0), state)
        actions.append(action)
    fresh, _ = sequences.play(
        memory, observations[:, :WINDOW], rewards[:, :WINDOW], prompt=prompt
    )
    expected = fresh
    if memory.__class__ is CachedMemory and memory.refresh:
        expected = fresh[:, :1]  # the window may be refreshed in between
    assert_close(np.stack(actions, 1)[:, : expected.shape[1]], expected)


@pytest.mark.parametrize("memory", MEMORIES)
def test_demonstrations_are_never_forgotten(memory):
    network, observations, rewards, prompt = setting("demos")
    memory = MEMORIES[memory](network)
    other = sequences.random_prompt(network, seed=7)
    actions, state = sequences.play(memory, observations, rewards, prompt=prompt)
    others, _ = sequences.play(memory, observations, rewards, prompt=other)
    assert np.abs(actions[:, -1] - others[:, -1]).max() > 1e-3
    if "cache" in state["memory"]:
        policy = SequencePolicy(network, memory, greedy=True)
        begun = policy.with_prompt(policy.initial_state(BATCH), prompt)["memory"]
        length = begun["prompt_valid"].shape[1]
        for kept, first in zip(state["memory"]["cache"], begun["cache"], strict=True):
            for now, then, axis in zip(kept, first, (3, 2), strict=True):
                pinned = range(length)
                np.testing.assert_array_equal(
                    tf.gather(now, pinned, axis=axis),
                    tf.gather(then, pinned, axis=axis),
                )


def test_demonstrations_of_a_level_can_be_read_once_for_all_its_environments():
    network, observations, rewards, prompt = setting("stacked_demos")
    one = {name: field[1:2] for name, field in prompt.items()}
    all_alike = {name: tf.repeat(field, BATCH, axis=0) for name, field in one.items()}
    memory = CachedMemory(network)
    policy = SequencePolicy(network, memory, greedy=True)
    shared = policy.with_prompt(policy.initial_state(1), one)["memory"]
    apart = policy.with_prompt(policy.initial_state(BATCH), all_alike)["memory"]
    for once, each in zip(
        tf.nest.flatten(shared["cache"]), tf.nest.flatten(apart["cache"]), strict=True
    ):
        np.testing.assert_allclose(tf.repeat(once, BATCH, axis=0), each, atol=ATOL)


def test_new_demonstrations_take_the_place_of_the_old_and_leave_the_episode():
    network, observations, rewards, prompt = setting("demos")
    policy = SequencePolicy(network, CachedMemory(network), greedy=True)
    _, state = sequences.play(CachedMemory(network), observations, rewards)
    other = sequences.random_prompt(network, seed=7, demos=1)
    once = policy.with_prompt(state, other)["memory"]
    twice = policy.with_prompt(policy.with_prompt(state, prompt), other)["memory"]
    tf.nest.map_structure(np.testing.assert_array_equal, once, twice)


def test_more_demonstrations_than_were_taught_are_refused():
    network = sequences.make_network(demos=2)
    policy = SequencePolicy(network, CachedMemory(network), greedy=True)
    prompt = sequences.random_prompt(network, demos=3)
    with pytest.raises(ValueError, match=r"at most \(MAX_DEMOS\), got 3"):
        policy.with_prompt(policy.initial_state(BATCH), prompt)


@pytest.mark.parametrize("memory", MEMORIES)
def test_compiled_steps_compute_the_same(memory):
    network, observations, rewards, prompt = setting("stacked_demos")
    eager, compiled = (
        sequences.play(
            MEMORIES[memory](network), observations, rewards, prompt=prompt, jit=jit
        )[0]
        for jit in (None, True)
    )
    assert_close(compiled, eager)


def test_rewards_are_subtracted_from_the_return_to_go():
    network, observations, rewards, _ = setting("returns")
    _, state = sequences.play(CachedMemory(network), observations, rewards)
    left = sequences.TARGET - np.sum(rewards[:, :-1], axis=1)
    np.testing.assert_allclose(state["return_to_go"], left, atol=ATOL)


def test_sampled_actions_depend_on_the_seed_alone():
    network, observations, _, _ = setting("discrete")
    policy = SequencePolicy(network, CachedMemory(network), greedy=False)

    def act(seed):
        state, actions = policy.initial_state(BATCH, seed), []
        for t in range(STEPS):
            first = tf.fill([BATCH], t == 0)
            action, state = policy.step(observations[:, t], first, state)
            actions.append(action)
        return np.stack(actions)

    np.testing.assert_array_equal(act(1), act(1))
    assert np.any(act(1) != act(2))
