"""Latent actions as tokens: what they may tell, and where they come from."""

import shutil

import keras
import numpy as np
import pytest
import sequences
import tensorflow as tf

from pdtla import specs
from pdtla.latent_actions.labeller import Labeller
from pdtla.layers.action_distributions import Deterministic
from pdtla.layers.causal_transformer import CausalTransformer
from pdtla.layers.latent_decoder import LatentDecoder
from pdtla.layers.mlp import MLP
from pdtla.layers.module_io import save_module
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.layers.vector_quantizer import VectorQuantizer
from pdtla.policies.latent_decision_transformer import LatentDecisionTransformer
from pdtla.policies.latent_sequence_policy import label_prompt

STEPS, WINDOW, DEMOS, BATCH = 9, 4, 2, sequences.BATCH
P = DEMOS * sequences.DEMO_STEPS
LATENT, ACTIONS, FRAMES = 3, 2, 3
FIELDS = {
    specs.OBSERVATION: specs.ArraySpec((3,), "float32"),
    specs.LATENT_ACTION: specs.ArraySpec((LATENT,), "float32"),
    specs.TIMESTEP: specs.ArraySpec((), "int32"),
    specs.VALID: specs.ArraySpec((), "bool"),
}


@pytest.fixture(scope="module")
def lam(tmp_path_factory):
    """Workdir with an IDM over 3 frames and a decoder of its latents that sees o_t."""
    keras.utils.set_random_seed(0)
    idm = ObservationNetwork(MLP((8,), 6), LATENT, name="idm")
    idm.build((None, FRAMES, 3))
    decoder = LatentDecoder(Deterministic(ACTIONS), (8,), encoder=MLP((4,), 4))
    decoder.build((None, LATENT), (None, 1, 3))
    run = tmp_path_factory.mktemp("lam")
    for name, module in (("idm", idm), ("decoder", decoder)):
        save_module(module, run / "modules" / name)
    return str(run)


def element_spec(fields=FIELDS):
    spec = {name: field.with_time(STEPS) for name, field in fields.items()}
    shown = fields | {specs.DEMO: specs.ArraySpec((), "int32")}
    spec[specs.PROMPT] = {name: field.with_time(P) for name, field in shown.items()}
    return spec


def make(run=None, fields=FIELDS, **kwargs):
    keras.utils.set_random_seed(1)
    stage = LatentDecisionTransformer(
        MLP((6,), 5),
        CausalTransformer(16, 2, 2, dropout=0.0),
        context_window=WINDOW,
        dropout=0.0,
        demo_conditioning=True,
        max_demos=DEMOS,
        label_run=run,
        **kwargs,
    )
    stage.build(element_spec(fields))
    rng = np.random.default_rng(2)
    for variable in stage.network.trainable_variables:
        variable.assign(variable + 0.2 * rng.standard_normal(variable.shape))
    return stage


def make_prompt(seed=0):
    """Demonstrations without any action."""
    rng = np.random.default_rng(seed)
    demo = np.repeat(np.arange(1, DEMOS + 1), sequences.DEMO_STEPS)
    valid = np.ones((BATCH, P), bool)
    valid[0, -sequences.DEMO_STEPS :] = False  # a missing one
    valid[1, sequences.DEMO_STEPS - 2 : sequences.DEMO_STEPS] = False  # a shorter one
    return {
        specs.OBSERVATION: tf.constant(rng.standard_normal((BATCH, P, 3)), "float32"),
        specs.TIMESTEP: tf.tile([tf.range(sequences.DEMO_STEPS)], [BATCH, DEMOS]),
        specs.VALID: tf.constant(valid),
        specs.DEMO: tf.constant(np.tile(demo, (BATCH, 1)), "int32"),
    }


def make_batch(seed=0):
    rng = np.random.default_rng(seed)
    prompt = make_prompt(seed)
    prompt[specs.LATENT_ACTION] = tf.constant(rng.random((BATCH, P, LATENT)), "float32")
    return {
        specs.OBSERVATION: sequences.random_observations(seed, steps=STEPS),
        specs.LATENT_ACTION: tf.constant(rng.random((BATCH, STEPS, LATENT)), "float32"),
        specs.TIMESTEP: tf.tile([tf.range(STEPS)], [BATCH, 1]),
        specs.VALID: tf.ones((BATCH, STEPS), tf.bool),
        specs.PROMPT: prompt,
    }


def one_pass(stage, observation, latent, prompt):
    """Predictions of the network for whole sequences, as in training."""
    steps = observation.shape[1]
    timestep = tf.tile([tf.range(steps)], [BATCH, 1])
    own = (observation, latent, timestep, tf.ones((BATCH, steps), tf.bool))
    names = (specs.OBSERVATION, specs.ACTION, specs.TIMESTEP, specs.VALID)
    fields = [tf.concat([prompt[n], x], 1) for n, x in zip(names, own, strict=True)]
    segment = tf.concat([prompt[specs.DEMO], tf.zeros_like(timestep)], 1)
    return stage.network(*fields, segment=segment)[:, -steps:].numpy()


def as_actions(batch):
    prompt = batch[specs.PROMPT]
    return dict(prompt) | {specs.ACTION: prompt[specs.LATENT_ACTION]}


def test_a_latent_is_not_seen_before_its_outcome():
    """z_t was inferred from o_{t+1}: nothing up to s_t may know it."""
    stage, batch = make(), make_batch()
    observation, latent = batch[specs.OBSERVATION], batch[specs.LATENT_ACTION].numpy()
    exact = one_pass(stage, observation, latent, as_actions(batch))
    for t in range(STEPS):
        changed = latent.copy()
        changed[:, t] += 1.0
        found = one_pass(stage, observation, changed, as_actions(batch))
        differs = np.any(found != exact, axis=(0, 2))
        assert not differs[: t + 1].any()
        assert differs[t + 1 : t + WINDOW].all()


def test_losses_are_squared_errors_of_latents():
    stage, batch = make(), make_batch()
    losses, _ = stage(batch, training=True)
    target = batch[specs.LATENT_ACTION].numpy()
    found = one_pass(stage, batch[specs.OBSERVATION], target, as_actions(batch))
    np.testing.assert_allclose(
        losses["action"], np.square(found - target).mean(), rtol=1e-5
    )
    assert np.abs(found).max() > 1.0  # latents have no bounds


def infer(labeller, windows):
    return labeller.label(tf.stack(windows, 1))[specs.LATENT_ACTION].numpy()


def test_demonstrations_are_labelled_by_what_follows_within_them(lam):
    labeller, prompt = Labeller(lam), make_prompt()
    labelled = label_prompt(prompt, labeller, specs.LATENT_ACTION)
    observation, valid = prompt[specs.OBSERVATION], prompt[specs.VALID].numpy()
    size = sequences.DEMO_STEPS
    for row in range(BATCH):
        for start in range(0, P, size):
            length = valid[row, start : start + size].sum()
            frames = observation[row, start : start + length]
            for t in range(length - 1):
                window = [frames[max(t - 1, 0)], frames[t], frames[t + 1]]
                expected = infer(labeller, [frame[None] for frame in window])[0]
                found = labelled[specs.ACTION][row, start + t]
                np.testing.assert_allclose(found, expected, atol=1e-6)
            known = labelled[specs.VALID].numpy()[row, start : start + size]
            expected = np.arange(size) < length - 1  # the last has no outcome
            np.testing.assert_array_equal(known, expected)


def test_steps_whose_past_is_not_shown_have_no_label(lam):
    """A demonstration that begins within its episode hides what came before."""
    prompt = make_prompt()
    late = prompt | {specs.TIMESTEP: prompt[specs.TIMESTEP] + 5}
    whole = label_prompt(prompt, Labeller(lam), specs.LATENT_ACTION)[specs.VALID]
    cut = label_prompt(late, Labeller(lam), specs.LATENT_ACTION)[specs.VALID]
    expected = whole.numpy()
    expected[:, :: sequences.DEMO_STEPS] = False
    np.testing.assert_array_equal(cut, expected)


def test_shuffled_steps_keep_what_followed_them(lam):
    """As the actions of an oracle's demonstrations do, to which it is compared."""
    labeller, prompt = Labeller(lam), make_prompt()
    expected = label_prompt(prompt, labeller, specs.LATENT_ACTION)
    size, order = sequences.DEMO_STEPS, np.tile(np.arange(P), (BATCH, 1))
    for row, valid in enumerate(prompt[specs.VALID].numpy()):
        for start in range(0, P, size):
            length = valid[start : start + size].sum()
            order[row, start : start + length] = start + np.arange(length)[::-1]
    frames = tf.gather(prompt[specs.OBSERVATION], order, batch_dims=1)
    shuffled = {specs.OBSERVATION: frames, specs.ORDER: tf.constant(order, tf.int32)}
    found = label_prompt(prompt | shuffled, labeller, specs.LATENT_ACTION)
    assert (order != np.arange(P)).any()
    for field in (specs.ACTION, specs.VALID):
        moved = tf.gather(expected[field], order, batch_dims=1).numpy()
        there = prompt[specs.VALID].numpy()
        np.testing.assert_allclose(found[field].numpy()[there], moved[there], atol=1e-6)


@pytest.mark.parametrize("hindsight", [True, False])
def test_rollouts_equal_one_pass_over_what_is_remembered(lam, hindsight):
    stage = make(lam, hindsight=hindsight, memory="ring")
    policy, prompt = stage.policy(), make_prompt()
    observation = sequences.random_observations(steps=STEPS)
    first = np.zeros((BATCH, STEPS), bool)
    first[:, 0] = True
    state = policy.with_prompt(policy.initial_state(BATCH), prompt)
    # Rows have played before: nothing of that may remain.
    _, state = policy.step(observation[:, 5], tf.constant(first[:, 0]), state)
    actions, predicted = [], []
    for t in range(STEPS):
        action, state = policy.step(observation[:, t], tf.constant(first[:, t]), state)
        actions.append(action)
        predicted.append(state["action"])
    remembered = np.stack(predicted, 1)
    labeller = Labeller(lam)
    if hindsight:
        frames = [observation[:, max(t, 0)] for t in range(-1, STEPS)]
        inferred = [infer(labeller, frames[t : t + 3]) for t in range(STEPS - 1)]
        remembered = np.stack([*inferred, predicted[-1]], 1)
    shown = label_prompt(prompt, labeller, specs.LATENT_ACTION)
    expected = one_pass(stage, observation, tf.constant(remembered), shown)
    np.testing.assert_allclose(np.stack(predicted, 1), expected, atol=1e-5)
    for t in range(STEPS):
        decoded = stage.labeller.decoder(predicted[t], observation[:, t, None])
        np.testing.assert_allclose(actions[t], np.clip(decoded, -1, 1), atol=1e-6)


@pytest.mark.parametrize("memory", ["ring", "refresh"])
def test_the_compiled_step_takes_the_same_actions(lam, memory):
    policy = make(lam, memory=memory).policy()
    assert policy.jit_compile
    observation = sequences.random_observations(steps=STEPS)
    first = np.zeros((STEPS, BATCH), bool)
    first[0] = first[5, 1] = True
    played = []
    for jit_compile in (False, True):
        step = tf.function(policy.step, jit_compile=jit_compile)
        state = policy.with_prompt(policy.initial_state(BATCH), make_prompt())
        actions = []
        for t in range(STEPS):
            action, state = step(observation[:, t], tf.constant(first[t]), state)
            actions.append(action)
        played.append(np.stack(actions))
    assert np.ptp(played[0], axis=(0, 1)).min() > 1e-3
    np.testing.assert_allclose(*played, atol=1e-4)


def test_inferred_actions_are_imitated_without_a_decoder(lam):
    """The labels of a supervised inverse model (VPT)."""
    action = specs.ArraySpec((ACTIONS,), "float32", minimum=-1.0, maximum=1.0)
    fields = {n: f for n, f in FIELDS.items() if n != specs.LATENT_ACTION}
    stage = make(lam, fields | {specs.ACTION: action}, imitate="action")
    assert set(stage.modules()) == {"policy"}
    policy = stage.policy()
    state = policy.with_prompt(policy.initial_state(BATCH), make_prompt())
    observation = sequences.random_observations(steps=1)[:, 0]
    taken, state = policy.step(observation, tf.fill([BATCH], True), state)
    np.testing.assert_array_equal(taken, state["action"])
    assert taken.shape == (BATCH, ACTIONS)


def test_codes_are_predicted_side_by_side_and_looked_up(lam, tmp_path):
    vq = VectorQuantizer(5, num_codebooks=1, num_latents=3, code_dim=1)
    vq.build((None, LATENT))
    vq.codebook.assign(tf.random.normal(vq.codebook.shape, seed=1))
    shutil.copytree(lam, tmp_path, dirs_exist_ok=True)
    save_module(vq, tmp_path / "modules" / "vq")
    codes = Labeller(str(tmp_path)).fields[specs.LATENT_CODE]
    assert (codes.shape, codes.num_values) == ((3,), 5)
    stage = make(
        str(tmp_path), FIELDS | {specs.LATENT_CODE: codes}, imitate="latent_code"
    )
    batch, rng = make_batch(), np.random.default_rng(0)
    for part in (batch, batch[specs.PROMPT]):
        shape = (*part[specs.VALID].shape, 3)
        part[specs.LATENT_CODE] = tf.constant(rng.integers(0, 5, shape), "int32")
    losses, metrics = stage(batch, training=True)
    prompt, own = batch[specs.PROMPT], batch[specs.LATENT_CODE]
    shown = dict(prompt) | {specs.ACTION: prompt[specs.LATENT_CODE]}
    logits = one_pass(stage, batch[specs.OBSERVATION], own, shown)
    logits = logits.reshape(BATCH, STEPS, 3, 5)
    picked = np.take_along_axis(logits, own.numpy()[..., None], -1)[..., 0]
    entropy = np.log(np.exp(logits).sum(-1)) - picked
    np.testing.assert_allclose(losses["action"], entropy.mean(), rtol=1e-5)
    right = (logits.argmax(-1) == own.numpy()).mean()
    np.testing.assert_allclose(metrics["accuracy"], right, rtol=1e-5)
    policy = stage.policy()
    state = policy.with_prompt(policy.initial_state(BATCH), make_prompt())
    observation = batch[specs.OBSERVATION][:, 0]
    action, state = policy.step(observation, tf.fill([BATCH], True), state)
    latent = vq.codebook.numpy()[0, state["action"], 0]
    decoded = stage.labeller.decoder(latent, observation[:, None])
    np.testing.assert_allclose(action, np.clip(decoded, -1, 1), atol=1e-6)


def test_demonstrations_may_show_observations_alone():
    seen, unseen = make(), make(prompt_actions=False)
    losses = []
    for stage in (seen, unseen):
        batch, other = make_batch(), make_batch()
        other[specs.PROMPT][specs.LATENT_ACTION] += 1.0
        losses.append([float(stage(each)[0]["action"]) for each in (batch, other)])
    assert losses[0][0] != losses[0][1] and losses[1][0] == losses[1][1]
    other[specs.PROMPT][specs.OBSERVATION] += 1.0
    assert float(unseen(other)[0]["action"]) != losses[1][1]


def test_the_decoder_stays_frozen(lam):
    stage = make(lam)
    trained = {v.path for v in stage.trainable_variables}
    assert trained == {v.path for v in stage.network.trainable_variables}
    assert set(stage.modules()) == {"policy", "decoder"}
    # A checkpoint does not bring back the decoder that it was trained beside.
    assert len(stage.variables) == len(stage.network.variables)


def with_vq(lam, directory):
    """A copy of the run with a quantizer."""
    vq = VectorQuantizer(5, num_codebooks=1, num_latents=3, code_dim=1)
    vq.build((None, LATENT))
    shutil.copytree(lam, directory, dirs_exist_ok=True)
    save_module(vq, directory / "modules" / "vq")
    return str(directory)


@pytest.mark.parametrize("latent", ["continuous", "quantized"])
def test_rollouts_infer_the_form_that_lies_beside_the_dataset(lam, tmp_path, latent):
    run = with_vq(lam, tmp_path)
    labeller = Labeller(run, latent=latent)
    stored = labeller.fields[specs.LATENT_ACTION]
    stage = make(run, FIELDS | {specs.LATENT_ACTION: stored})
    windows = tf.random.stateless_normal((4, FRAMES, 3), (0, 1))
    found = stage.labeller.label(windows)[specs.LATENT_ACTION]
    expected = labeller.label(windows)[specs.LATENT_ACTION]
    np.testing.assert_array_equal(found, expected)
    decoded = Labeller(run, lam, latent).fields[specs.LATENT_ACTION]
    assert decoded == stored  # whatever decodes it


def test_latents_of_another_model_are_refused(lam, tmp_path):
    other = Labeller(with_vq(lam, tmp_path)).fields[specs.LATENT_ACTION]
    with pytest.raises(ValueError, match="latent_action beside .* by another model"):
        make(lam, FIELDS | {specs.LATENT_ACTION: other})


def test_errors(lam):
    assert make().policy() is None
    with pytest.raises(ValueError, match="imitate must be one of .* got 'code'"):
        make(imitate="code")
    wide = FIELDS | {specs.LATENT_ACTION: specs.ArraySpec((7,), "float32")}
    with pytest.raises(ValueError, match=r"not the latent_action \(7,\) of the data"):
        make(lam, wide)
