"""The cases: each builds one `Task` under one dtype policy.

`python -m benchmarks.cases NAME PRECISION` serves the rounds of one case to
`benchmarks.measurement.Worker`.
"""

import pdtla  # isort: skip  # fixes the Keras backend before anything imports keras

import pathlib
import sys
import tempfile
from collections.abc import Callable

import gymnasium
import keras
import numpy as np
import tensorflow as tf

from benchmarks.flop_count import count_flop
from benchmarks.measurement import Task, serve
from benchmarks.reference_step import PlainUNet
from benchmarks.sequences import sequence_rollout, sequence_steps
from pdtla import specs
from pdtla.environments.mujoco import Mujoco
from pdtla.environments.procgen import NUM_ACTIONS, Procgen
from pdtla.latent_actions.labeller import Labeller
from pdtla.latent_actions.latent_action_model import LatentActionModel
from pdtla.layers.frame_stack import FrameStack
from pdtla.layers.impala_cnn import ImpalaCNN
from pdtla.layers.module_io import save_module
from pdtla.layers.space_time_decoder import SpaceTimeDecoder
from pdtla.layers.space_time_encoder import SpaceTimeEncoder
from pdtla.layers.unet import UNet
from pdtla.layers.vector_quantizer import VectorQuantizer
from pdtla.policies.behavioral_cloning import BehavioralCloning
from pdtla.rollouts.rollout import rollout
from pdtla.training.trainer import Trainer

assert pdtla

BATCH = 128
LABEL_BATCH = 512
WINDOW_BATCH = 4
NUM_ENVS = 64
ROLLOUT_STEPS = 100
_FRAME = specs.ArraySpec((64, 64, 3), "uint8")
_ACTION = specs.ArraySpec((1,), "int32", num_values=NUM_ACTIONS)


def machine_matmul() -> Task:
    """A product of square matrices, as a measure of the machine."""
    size = 2048
    matrix = tf.ones((size, size), keras.config.dtype_policy().compute_dtype)
    product = tf.function(lambda x: tf.linalg.matmul(x, x))
    return Task(lambda: product(matrix).numpy(), 1, "products", 2.0 * size**3)


def machine_convolution() -> Task:
    """A 3x3 convolution of 128 channels, as a measure of the machine."""
    dtype = keras.config.dtype_policy().compute_dtype
    inputs, kernel = tf.ones((BATCH, 16, 16, 128), dtype), tf.ones((3, 3, 128, 128))
    kernel = tf.cast(kernel, dtype)
    function = tf.function(lambda x: tf.nn.conv2d(x, kernel, 1, "SAME"))
    return Task(lambda: function(inputs).numpy(), 1, "convolutions", _conv_flop())


def _conv_flop() -> float:
    return 2.0 * BATCH * 16**2 * 128**2 * 9


def lam_step(scale: int, width: int, unet: type[UNet] = UNet) -> Task:
    """One update of a latent action model on windows of 3 frames."""
    stage = lam(scale, width, unet)
    return training_step(stage, {specs.OBSERVATION: _FRAME.with_time(3)})


def window_lam_step(attention: str) -> Task:
    """One update of a transformer LAM, the size for a CPU, on windows of 4 frames."""
    stage = _window_lam(64, 2, 4, 16, attention)
    return training_step(stage, {specs.OBSERVATION: _FRAME.with_time(4)})


def window_lam_forward(
    width: int, layers: int, heads: int, patch: int, attention: str
) -> Task:
    """The losses of a transformer LAM of published size on windows of 18 frames."""
    stage = _window_lam(width, layers, heads, patch, attention)
    stage.build({specs.OBSERVATION: _FRAME.with_time(18)})
    batch = {specs.OBSERVATION: _random(_FRAME.with_time(18), WINDOW_BATCH)}
    losses = tf.function(lambda: stage(batch)[0]["reconstruction"])
    flop = count_flop(losses.get_concrete_function())
    return Task(lambda: losses().numpy(), WINDOW_BATCH, "windows", flop)


def policy_step(scale: int) -> Task:
    """One update of a cloned policy."""
    stage = BehavioralCloning(ImpalaCNN(scale=scale))
    spec = {specs.OBSERVATION: _FRAME.with_time(1), specs.ACTION: _ACTION}
    return training_step(stage, spec)


def idm_forward(scale: int) -> Task:
    """The bare forward pass that relabelling cannot do without."""
    stage = lam(scale, 8)
    stage.build({specs.OBSERVATION: _FRAME.with_time(3)})
    windows = _random(_FRAME.with_time(3), LABEL_BATCH)
    forward = tf.function(lambda x: stage.vq(stage.idm(x)))
    flop = count_flop(forward.get_concrete_function(windows))
    return Task(lambda: forward(windows)["codes"].numpy(), LABEL_BATCH, "frames", flop)


def relabel(scale: int) -> Task:
    """Labelling with the modules of a run, without reading and writing."""
    stage = lam(scale, 8)
    stage.build({specs.OBSERVATION: _FRAME.with_time(3)})
    with tempfile.TemporaryDirectory() as run:
        for name in ("idm", "vq"):
            directory = pathlib.Path(run) / "modules" / name
            save_module(stage.modules()[name], directory)
        labeller = Labeller(run)
    windows = _random(_FRAME.with_time(3), LABEL_BATCH)
    return Task(lambda: labeller.label(windows), LABEL_BATCH, "frames")


def select_actions(scale: int) -> Task:
    """One greedy action for each of 64 environments."""
    policy = cloned_policy(scale)
    observation = _random(_FRAME, NUM_ENVS)
    is_first = tf.zeros([NUM_ENVS], tf.bool)
    step = tf.function(policy.step)
    state = policy.initial_state(NUM_ENVS)
    flop = count_flop(step.get_concrete_function(observation, is_first, state))
    return Task(
        lambda: step(observation, is_first, state)[0].numpy(), NUM_ENVS, "frames", flop
    )


def rollout_steps(scale: int) -> Task:
    """Steps of 64 environments under a policy."""
    env, policy = _environment(), cloned_policy(scale)
    amount = NUM_ENVS * ROLLOUT_STEPS
    run = lambda: rollout(env, policy, max_steps=ROLLOUT_STEPS)  # noqa: E731
    return Task(run, amount, "steps")


def simulator_steps() -> Task:
    """Steps of the bare simulator."""
    env = _environment()
    actions = np.random.default_rng(0).integers(0, NUM_ACTIONS, (1000, NUM_ENVS))
    actions = actions.astype("int32")

    def run():
        for row in actions:
            env.step(row)

    return Task(run, actions.size, "steps")


def locomotion_steps(num_threads: int = 0) -> Task:
    """Steps of 16 HalfCheetahs, each from where the last round left it."""
    env = Mujoco(env_id="halfcheetah", num_envs=16, num_threads=num_threads)
    return _locomotion(env.step)


def gymnasium_steps() -> Task:
    """The same by Gymnasium's vector environment."""
    env = gymnasium.make_vec("HalfCheetah-v5", 16, vectorization_mode="sync")
    env.reset(seed=0)
    return _locomotion(env.step)


def _locomotion(step: Callable[[np.ndarray], object]) -> Task:
    actions = np.random.default_rng(0).uniform(-1.0, 1.0, (500, 16, 6))
    actions = actions.astype("float32")

    def run():
        for row in actions:
            step(row)

    return Task(run, actions.shape[0] * actions.shape[1], "steps")


def lam(scale: int, width: int, unet: type[UNet] = UNet) -> LatentActionModel:
    """A latent action model of windows of 3 frames."""
    return LatentActionModel(
        ImpalaCNN(scale=scale), unet(base=width), VectorQuantizer(), FrameStack()
    )


def _window_lam(
    width: int, layers: int, heads: int, patch: int, attention: str
) -> LatentActionModel:
    sizes = (width, layers, heads, patch, attention)
    return LatentActionModel(
        SpaceTimeEncoder(*sizes), SpaceTimeDecoder(*sizes), VectorQuantizer()
    )


def _environment() -> Procgen:
    return Procgen(env_id="bigfish", num_envs=NUM_ENVS)


def cloned_policy(scale: int):
    """A cloned policy of frames."""
    stage = BehavioralCloning(ImpalaCNN(scale=scale))
    stage.build({specs.OBSERVATION: _FRAME.with_time(1), specs.ACTION: _ACTION})
    return stage.policy()


def _random(spec: specs.ArraySpec, batch: int) -> tf.Tensor:
    high = spec.num_values or 256
    values = np.random.default_rng(0).integers(0, high, (batch, *spec.shape))
    return tf.constant(values.astype(spec.dtype))


def training_step(stage, spec: specs.ElementSpec, batch_size: int = BATCH) -> Task:
    """One update of a stage on random windows."""
    stage.build(spec)
    trainer = Trainer(
        stage,
        keras.optimizers.AdamW(3e-4),
        strategy=tf.distribute.get_strategy(),
        clip_norm=2.0,
    )
    batch = {name: _random(array, batch_size) for name, array in spec.items()}

    @tf.function
    def gradients():
        with tf.GradientTape() as tape:
            losses, _ = stage(batch, training=True)
            loss = tf.add_n(list(losses.values()))
        return tape.gradient(loss, stage.trainable_variables)

    flop = count_flop(gradients.get_concrete_function())
    iterator = trainer.distribute(tf.data.Dataset.from_tensors(batch).repeat())
    return Task(lambda: trainer.train(iterator, 1), batch_size, "windows", flop)


LAPO, QUICKSTART = {"scale": 4, "width": 24}, {"scale": 1, "width": 8}
CASES = {
    "machine/matmul": machine_matmul,
    "machine/convolution": machine_convolution,
    "lam_step/lapo_plain": lambda: lam_step(**LAPO, unet=PlainUNet),
    "lam_step/lapo": lambda: lam_step(**LAPO),
    "lam_step/quickstart_plain": lambda: lam_step(**QUICKSTART, unet=PlainUNet),
    "lam_step/quickstart": lambda: lam_step(**QUICKSTART),
    "window_step/vit_cpu": lambda: window_lam_step("joint"),
    "window_step/space_time_cpu": lambda: window_lam_step("factorised"),
    "window_forward/vit": lambda: window_lam_forward(256, 6, 8, 8, "joint"),
    "window_forward/space_time": lambda: window_lam_forward(
        256, 3, 4, 16, "factorised"
    ),
    "policy_step/lapo": lambda: policy_step(4),
    "policy_step/quickstart": lambda: policy_step(1),
    "relabel/lapo_forward": lambda: idm_forward(4),
    "relabel/lapo": lambda: relabel(4),
    "relabel/quickstart_forward": lambda: idm_forward(1),
    "relabel/quickstart": lambda: relabel(1),
    "act/lapo": lambda: select_actions(4),
    "act/quickstart": lambda: select_actions(1),
    "locomotion/gymnasium": gymnasium_steps,
    "locomotion/pdtla": locomotion_steps,
    "locomotion/two_threads": lambda: locomotion_steps(num_threads=2),
    "sequence/window_128": lambda: sequence_steps(128, "window", steps=10),
    "sequence/cached_128": lambda: sequence_steps(128, "ring", steps=300),
    "sequence/one_thread_128": lambda: sequence_steps(128, "ring", 300, 1),
    "sequence/window_512": lambda: sequence_steps(512, "window", steps=2),
    "sequence/cached_512": lambda: sequence_steps(512, "ring", steps=50),
    "sequence/simulator": locomotion_steps,
    "sequence/rollout_128": lambda: sequence_rollout(128),
    "sequence/rollout_512": lambda: sequence_rollout(512),
    "rollout/simulator": simulator_steps,
    "rollout/quickstart": lambda: rollout_steps(1),
}


def main() -> None:
    """Serves the case named on the command line."""
    name, precision = sys.argv[1:]
    keras.config.set_dtype_policy(precision)
    serve(CASES[name]())


if __name__ == "__main__":
    main()
