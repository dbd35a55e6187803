"""Exported policies act in a clean process as they do in this one."""

import os
import pathlib
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from pdtla import specs
from pdtla.export.policy_functions import policy_functions
from pdtla.export.saved_functions import save_functions
from pdtla.layers.action_distributions import Deterministic
from pdtla.layers.causal_transformer import CausalTransformer
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.latent_decoder import LatentDecoder
from pdtla.layers.mlp import MLP
from pdtla.layers.module_io import save_module
from pdtla.layers.observation_network import ObservationNetwork
from pdtla.layers.vector_quantizer import VectorQuantizer
from pdtla.policies.behavioral_cloning import BehavioralCloning
from pdtla.policies.decision_transformer import DecisionTransformer
from pdtla.policies.latent_behavioral_cloning import LatentBehavioralCloning
from pdtla.policies.latent_decision_transformer import LatentDecisionTransformer

BATCH, STEPS, WINDOW, DEMOS, DEMO_STEPS = 3, 14, 4, 2, 5
LATENT, FRAMES, SEED = 6, 3, 3
IMAGE = specs.ArraySpec((8, 8, 3), "uint8")
STATE = specs.ArraySpec((3,), "float32", mean=(0.5,) * 3, std=(2.0,) * 3)
FORCES = specs.ArraySpec((2,), "float32", minimum=-1.0, maximum=1.0)
BUTTONS = specs.ArraySpec((), "int32", num_values=5)


def image_encoder():
    return ImpalaCNN(channels=(4,), blocks=1, output_dim=6)


def element_spec(observation, steps, **fields):
    fields = {specs.OBSERVATION: observation, **fields}
    return {name: field.with_time(steps) for name, field in fields.items()}


def sequence_spec(observation, steps, demos=False, **fields):
    fields |= {
        specs.TIMESTEP: specs.ArraySpec((), "int32"),
        specs.VALID: specs.ArraySpec((), "bool"),
        specs.RETURN_TO_GO: specs.ArraySpec((), "float32"),
    }
    spec = element_spec(observation, steps, **fields)
    if demos:
        fields[specs.DEMO] = specs.ArraySpec((), "int32")
        spec[specs.PROMPT] = element_spec(observation, DEMOS * DEMO_STEPS, **fields)
    return spec


def save_lam(directory):
    """Modules of a latent action model of states, and a decoder that sees them."""
    keras.utils.set_random_seed(0)
    idm = ObservationNetwork(MLP((8,), 6), LATENT, name="idm")
    idm.build((None, FRAMES, *STATE.shape))
    vq = VectorQuantizer(7, num_codebooks=1, num_latents=2, code_dim=LATENT // 2)
    vq.build((None, LATENT))
    vq.codebook.assign(tf.random.normal(vq.codebook.shape, seed=1))
    decoder = LatentDecoder(Deterministic(2), (8,), encoder=MLP((4,), 4))
    decoder.build((None, LATENT), (None, 1, *STATE.shape))
    for name, module in {"idm": idm, "vq": vq, "decoder": decoder}.items():
        save_module(module, directory / "modules" / name)
    return str(directory)


def cloning(observation, action, encoder, chunk=1, **kwargs):
    spec = element_spec(observation, chunk, action=action)
    return BehavioralCloning(encoder, chunk=chunk, **kwargs), spec


def transformer(observation=STATE, action=FORCES, steps=2 * WINDOW, **kwargs):
    demos = kwargs.get("demo_conditioning", False)
    encoder = MLP((6,), 5) if observation is STATE else image_encoder()
    stage = DecisionTransformer(
        encoder,
        CausalTransformer(16, 2, 2, dropout=0.0),
        context_window=WINDOW,
        max_demos=DEMOS,
        num_timesteps=STEPS,
        **kwargs,
    )
    return stage, sequence_spec(observation, steps, demos, action=action)


def latent_transformer(lam, imitate, **kwargs):
    fields = {
        specs.ACTION: FORCES,
        specs.LATENT_ACTION: specs.ArraySpec((LATENT,), "float32"),
        specs.LATENT_CODE: specs.ArraySpec((2,), "int32", num_values=7),
    }
    stage = LatentDecisionTransformer(
        MLP((6,), 5),
        CausalTransformer(16, 2, 2, dropout=0.0),
        context_window=WINDOW,
        demo_conditioning=True,
        max_demos=DEMOS,
        label_run=lam,
        imitate=imitate,
        **kwargs,
    )
    return stage, sequence_spec(STATE, WINDOW, demos=True, **fields)


def latent_cloning(lam):
    latent = specs.ArraySpec((LATENT,), "float32")
    stage = LatentBehavioralCloning(MLP((6,), 5), decoder_run=lam)
    return stage, element_spec(STATE, 1, latent_action=latent)


RETURNS = {"returns": True, "return_scale": 4.0, "target_return": 2.0}
PROMPTED = {"demo_conditioning": True}
CASES = {
    "images": lambda lam: cloning(IMAGE, BUTTONS, image_encoder()),
    "gaussian": lambda lam: cloning(STATE, FORCES, MLP((6,), 5), head="gaussian"),
    "chunk": lambda lam: cloning(STATE, FORCES, MLP((6,), 5), chunk=4),
    "latent_cloning": latent_cloning,
    "ring": lambda lam: transformer(**RETURNS),
    "refresh": lambda lam: transformer(action=BUTTONS, steps=WINDOW, rotary=True),
    "window": lambda lam: transformer(head="gaussian", memory="window", **PROMPTED),
    "frames": lambda lam: transformer(IMAGE, BUTTONS, **RETURNS),
    "prompted_ring": lambda lam: transformer(**PROMPTED, stacked_demos=True),
    "prompted_refresh": lambda lam: transformer(steps=WINDOW, **PROMPTED, **RETURNS),
    "retrieval": lambda lam: transformer(retrieval=True, **PROMPTED),
    "latent": lambda lam: latent_transformer(lam, "latent_action"),
    "codes": lambda lam: latent_transformer(lam, "latent_code", hindsight=False),
}


def make(case, lam):
    """A stage whose every weight matters."""
    keras.utils.set_random_seed(1)
    stage, spec = CASES[case](lam)
    stage.build(spec)
    rng = np.random.default_rng(2)
    for variable in stage.trainable_variables:
        variable.assign(variable + 0.2 * rng.standard_normal(variable.shape))
    return stage, spec


def draw(rng, spec, *shape):
    if spec.dtype == "uint8":
        return rng.integers(0, 256, (*shape, *spec.shape), "uint8")
    if spec.is_discrete:
        return rng.integers(0, spec.num_values, (*shape, *spec.shape), "int32")
    return rng.uniform(-1, 1, (*shape, *spec.shape)).astype("float32")


def make_inputs(spec):
    """What a rollout sees; single environments begin anew in its course."""
    rng = np.random.default_rng(4)
    observation = specs.ArraySpec(
        spec[specs.OBSERVATION].shape[1:], spec[specs.OBSERVATION].dtype
    )
    is_first = np.zeros((STEPS, BATCH), bool)
    is_first[0], is_first[[3, 9], 1], is_first[6, 2] = True, True, True
    inputs = {
        specs.OBSERVATION: draw(rng, observation, STEPS, BATCH),
        specs.REWARD: rng.random((STEPS, BATCH)).astype("float32"),
        specs.IS_FIRST: is_first,
    }
    return inputs, make_prompt(rng, observation, spec.get(specs.PROMPT))


def make_prompt(rng, observation, spec):
    if spec is None:
        return {}
    shape = (BATCH, DEMOS * DEMO_STEPS)
    timestep = np.tile(np.arange(DEMO_STEPS, dtype="int32"), (BATCH, DEMOS))
    demo = np.repeat(np.arange(1, DEMOS + 1, dtype="int32"), DEMO_STEPS)
    valid = np.ones(shape, bool)
    valid[0, DEMO_STEPS:] = False  # the second is missing
    return {
        specs.OBSERVATION: draw(rng, observation, *shape),
        specs.ACTION: draw(rng, FORCES, *shape),
        specs.RETURN_TO_GO: rng.random(shape).astype("float32"),
        specs.TIMESTEP: timestep,
        specs.DEMO: np.tile(demo, (BATCH, 1)),
        specs.VALID: valid,
    }


def play(policy, inputs, prompt):
    """The actions of the policy itself."""
    state = policy.initial_state(BATCH, SEED)
    if prompt:
        shown = {name: tf.constant(value) for name, value in prompt.items()}
        state = policy.with_prompt(state, shown)
    step, actions = tf.function(policy.step), []
    for t in range(STEPS):
        seen = {name: tf.constant(value[t]) for name, value in inputs.items()}
        state = policy.receive(seen[specs.REWARD], state)
        action, state = step(seen[specs.OBSERVATION], seen[specs.IS_FIRST], state)
        actions.append(action)
    return np.stack(actions)


@pytest.fixture(scope="module")
def lam(tmp_path_factory):
    return save_lam(tmp_path_factory.mktemp("lam"))


@pytest.fixture(scope="module")
def outcomes(lam, tmp_path_factory):
    """For each case the actions here and those of another process."""
    expected, directories = {}, {}
    for case in CASES:
        directory = directories[case] = tmp_path_factory.mktemp(case)
        stage, spec = make(case, lam)
        inputs, prompt = make_inputs(spec)
        functions = policy_functions(stage, spec)
        save_functions(functions, directory / "saved")
        expected[case] = {
            "act": play(stage.policy(), inputs, prompt),
            "sample": play(stage.policy(greedy=False), inputs, prompt),
        }
        wanted = {}
        if prompt:
            names = functions["prompt"].structured_input_signature[1]
            wanted = {f"prompt_{n}": prompt[n] for n in prompt if n in names}
        np.savez(directory / "inputs.npz", **inputs, **wanted)
    script = pathlib.Path(__file__).with_name("plain_player.py")
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    done = subprocess.run(
        [sys.executable, script, *map(str, directories.values())],
        capture_output=True,
        text=True,
        env=environment,
        cwd=tmp_path_factory.getbasetemp(),
    )
    assert done.returncode == 0, done.stderr[-3000:]
    found = {}
    for case, directory in directories.items():
        with np.load(directory / "outputs.npz") as file:
            found[case] = dict(file)
    return expected, found


@pytest.mark.parametrize("case", CASES)
def test_actions_are_the_same(outcomes, case):
    expected, found = outcomes
    for way in ("act", "sample"):
        assert found[case][way].dtype == expected[case][way].dtype
        np.testing.assert_allclose(found[case][way], expected[case][way], atol=2e-5)
    assert np.unique(found[case]["act"]).size > 1
    draws = case in ("images", "gaussian", "refresh", "window", "frames", "codes")
    assert np.any(found[case]["act"] != found[case]["sample"]) == draws


def test_a_target_return_can_be_asked_for(lam):
    stage, spec = make("ring", lam)
    functions = policy_functions(stage, spec)
    inputs, _ = make_inputs(spec)
    given = {name: tf.constant(value[0]) for name, value in inputs.items()}
    state = functions["initial_state"](
        batch_size=tf.constant(BATCH), seed=tf.constant(0)
    )
    usual = functions["act"](**given, **state)
    np.testing.assert_array_equal(usual["state_return_to_go"], [2.0] * BATCH)
    state["state_target_return"] = tf.fill([BATCH], 9.0)
    ambitious = functions["act"](**given, **state)
    np.testing.assert_array_equal(ambitious["state_return_to_go"], [9.0] * BATCH)
    assert np.abs(ambitious["action"] - usual["action"]).max() > 1e-3


def test_a_prompt_that_is_not_given_is_not_seen(lam):
    stage, spec = make("prompted_ring", lam)
    functions = policy_functions(stage, spec)
    inputs, _ = make_inputs(spec)
    expected = play(stage.policy(), inputs, {})
    state = functions["initial_state"](
        batch_size=tf.constant(BATCH), seed=tf.constant(0)
    )
    for t in range(STEPS):
        seen = {name: tf.constant(value[t]) for name, value in inputs.items()}
        state = functions["act"](**seen, **state)
        action = state.pop("action")
        np.testing.assert_allclose(action, expected[t], atol=2e-5)


def test_what_cannot_act_is_refused(lam):
    stage = LatentBehavioralCloning(MLP((6,), 5))
    spec = latent_cloning(lam)[1]
    stage.build(spec)
    with pytest.raises(ValueError, match="without a policy does not act"):
        policy_functions(stage, spec)
    stage, spec = transformer(fine_tuning=2)
    stage.build(spec)
    with pytest.raises(ValueError, match="FINE_TUNING"):
        policy_functions(stage, spec)
