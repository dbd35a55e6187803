"""The Decision Transformer's losses and what its policies are made of."""

import keras
import numpy as np
import pytest
import sequences
import tensorflow as tf

from pdtla import specs
from pdtla.layers.causal_transformer import CausalTransformer
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.mlp import MLP
from pdtla.policies.cached_memory import CachedMemory
from pdtla.policies.decision_transformer import DecisionTransformer
from pdtla.policies.window_memory import WindowMemory

STEPS, DEMOS = 6, 2
P = DEMOS * sequences.DEMO_STEPS


def element_spec(observation, action, steps=STEPS):
    spec = {
        specs.OBSERVATION: observation,
        specs.ACTION: action,
        specs.TIMESTEP: specs.ArraySpec((), "int32"),
        specs.VALID: specs.ArraySpec((), "bool"),
        specs.RETURN_TO_GO: specs.ArraySpec((), "float32"),
    }
    demo = spec | {specs.DEMO: specs.ArraySpec((), "int32")}
    spec = {name: field.with_time(steps) for name, field in spec.items()}
    spec[specs.PROMPT] = {name: field.with_time(P) for name, field in demo.items()}
    return spec


STATES = specs.ArraySpec((3,), "float32")
FRAMES = specs.ArraySpec((8, 8, 3), "uint8")
CONTINUOUS = specs.ArraySpec((2,), "float32", minimum=-1.0, maximum=1.0)
DISCRETE = specs.ArraySpec((), "int32", num_values=4)


def make(observation=STATES, action=CONTINUOUS, steps=STEPS, **kwargs):
    encoder = MLP((6,), 5)
    if observation.is_image:
        encoder = ImpalaCNN(channels=(4,), blocks=1, output_dim=5)
    transformer = CausalTransformer(16, 2, 2, dropout=0.0)
    stage = DecisionTransformer(
        encoder, transformer, context_window=4, dropout=0.0, **kwargs
    )
    stage.build(element_spec(observation, action, steps))
    return stage


def make_batch(stage, seed=0):
    """Sequences of which the second has two steps of padding."""
    prompt = sequences.random_prompt(stage.network, seed)
    own = {name: field[:, :STEPS] for name, field in prompt.items()}
    del own[specs.DEMO]
    valid = np.ones((sequences.BATCH, STEPS), bool)
    valid[1, -2:] = False
    own[specs.VALID] = tf.constant(valid)
    return own | {specs.PROMPT: prompt}


def run_network(stage, fields):
    names = (specs.OBSERVATION, specs.ACTION, specs.TIMESTEP, specs.VALID)
    given = {name: fields[name] for name in names}
    if stage.returns:
        given[specs.RETURN_TO_GO] = fields[specs.RETURN_TO_GO]
    return stage.network(**given).numpy()


def test_squared_error_is_a_mean_over_valid_steps():
    stage = make(returns=True)
    batch = make_batch(stage)
    losses, metrics = stage(batch, training=True)
    assert set(losses) == {"action"}
    error = run_network(stage, batch) - batch["action"].numpy()
    valid = batch["valid"].numpy()
    np.testing.assert_allclose(
        losses["action"], np.square(error[valid]).mean(), rtol=1e-5
    )
    spread = batch["action"].numpy()[valid].var(axis=0).mean()
    clipped = np.clip(run_network(stage, batch), -1, 1) - batch["action"].numpy()
    np.testing.assert_allclose(
        metrics["action_r2"], 1 - np.square(clipped[valid]).mean() / spread, rtol=1e-4
    )


def test_cross_entropy_is_a_mean_over_valid_steps():
    stage = make(action=DISCRETE)
    batch = make_batch(stage)
    losses, metrics = stage(batch, training=True)
    logits, action = run_network(stage, batch), batch["action"].numpy()
    picked = np.take_along_axis(logits, action[..., None], -1)[..., 0]
    entropy = np.log(np.exp(logits).sum(-1)) - picked
    valid = batch["valid"].numpy()
    np.testing.assert_allclose(losses["action"], entropy[valid].mean(), rtol=1e-5)
    right = (logits.argmax(-1) == action)[valid].mean()
    np.testing.assert_allclose(metrics["accuracy"], right, rtol=1e-5)


@pytest.mark.parametrize("head", ["deterministic", "gaussian"])
def test_what_is_padded_has_no_effect(head):
    stage = make(head=head)
    batch = make_batch(stage)
    changed = dict(batch)
    padded = ~batch["valid"].numpy()[..., None]
    for name in ("observation", "action"):
        changed[name] = tf.where(padded, 0.77, batch[name])
    for before, after in zip(stage(batch), stage(changed), strict=True):
        for name in before:
            np.testing.assert_allclose(before[name], after[name], rtol=1e-5)


def test_demonstrations_are_seen_and_learnt_by_their_weight():
    with_prompt = {"demo_conditioning": True, "max_demos": DEMOS}
    stage = make(prompt_weight=0.5, **with_prompt)
    batch = make_batch(stage)
    losses, _ = stage(batch)
    other = batch | {"prompt": make_batch(stage, seed=3)["prompt"]}
    assert abs(float(losses["action"] - stage(other)[0]["action"])) > 1e-4
    # A demonstration is itself a sequence, seen from its own slot.
    prompt = batch["prompt"]
    stage.prompt_weight = 1.0
    np.testing.assert_allclose(
        stage(batch)[0]["prompt"], 2.0 * losses["prompt"], rtol=1e-5
    )
    stage.prompt_weight = 0.0
    assert set(stage(batch)[0]) == {"action"}
    # A missing demonstration is no target.
    prompt = batch["prompt"] | {"valid": tf.zeros_like(batch["prompt"]["valid"])}
    stage.prompt_weight = 1.0
    assert float(stage(batch | {"prompt": prompt})[0]["prompt"]) == 0.0


def test_without_conditioning_the_prompt_is_not_seen():
    stage = make()
    batch = make_batch(stage)
    other = batch | {"prompt": make_batch(stage, seed=3)["prompt"]}
    np.testing.assert_array_equal(stage(batch)[0]["action"], stage(other)[0]["action"])


@pytest.mark.parametrize("action", [CONTINUOUS, DISCRETE])
def test_it_learns_from_frames(action):
    stage = make(observation=FRAMES, action=action)
    batch = make_batch(stage)
    shape = (sequences.BATCH, STEPS, *FRAMES.shape)
    frames = np.random.default_rng(0).integers(0, 256, shape, "uint8")
    batch |= {"observation": tf.constant(frames)}
    optimizer = keras.optimizers.Adam(0.01)
    losses = []
    for _ in range(40):
        with tf.GradientTape() as tape:
            loss = stage(batch, training=True)[0]["action"]
        losses.append(float(loss))
        variables = stage.trainable_variables
        optimizer.apply(tape.gradient(loss, variables), variables)
    assert losses[-1] < 0.3 * losses[0]
    policy = stage.policy()
    state = policy.initial_state(sequences.BATCH)
    step = tf.function(policy.step)
    taken, _ = step(frames[:, 0], tf.fill([sequences.BATCH], True), state)
    assert taken.shape == batch["action"][:, 0].shape


@pytest.mark.parametrize(
    "steps, memory, kind, refresh",
    [
        (4, None, CachedMemory, True),
        (7, None, CachedMemory, True),
        (8, None, CachedMemory, False),
        (4, "ring", CachedMemory, False),
        (8, "refresh", CachedMemory, True),
        (8, "window", WindowMemory, None),
    ],
)
def test_rollouts_remember_as_training_saw(steps, memory, kind, refresh):
    """Sequences of twice the window know how a ring forgets."""
    made = make(steps=steps, memory=memory).make_memory()
    assert type(made) is kind
    assert getattr(made, "refresh", None) == refresh


def test_a_window_of_one_step_forgets_all_of_the_last():
    """Also a policy that reads its window anew has nothing to read then."""
    encoder, transformer = MLP((6,), 5), CausalTransformer(16, 2, 2, dropout=0.0)
    stage = DecisionTransformer(
        encoder, transformer, context_window=1, dropout=0.0, memory="refresh"
    )
    stage.build(element_spec(STATES, CONTINUOUS))
    played = []
    for warm in (3, 0):
        policy = stage.policy()
        state = policy.initial_state(2)
        for t in range(warm):
            observation = tf.fill([2, 3], float(t))
            _, state = policy.step(observation, tf.fill([2], t == 0), state)
        action, _ = policy.step(tf.ones([2, 3]), tf.fill([2], True), state)
        played.append(action.numpy())
    np.testing.assert_allclose(played[0], played[1], atol=1e-6)


def test_a_window_longer_than_what_training_sees_is_refused():
    with pytest.raises(ValueError, match="depend on 4 steps .* sequences of 3"):
        make(steps=3)


def test_errors():
    with pytest.raises(ValueError, match="memory must be one of .* got 'rings'"):
        make(memory="rings")
    spec = element_spec(STATES, CONTINUOUS)
    del spec[specs.RETURN_TO_GO], spec[specs.PROMPT]
    transformer = CausalTransformer(16, 2, 2)
    for kwargs, missing in (
        ({"returns": True}, specs.RETURN_TO_GO),
        ({"demo_conditioning": True}, specs.PROMPT),
    ):
        stage = DecisionTransformer(MLP(), transformer, **kwargs)
        with pytest.raises(ValueError, match=f"also needs .*{missing}"):
            stage.build(spec)
