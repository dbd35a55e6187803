"""Rollouts of a Decision Transformer: 16 HalfCheetahs, a window of 100 steps."""

import keras
import numpy as np
import tensorflow as tf

from benchmarks.measurement import Task
from pdtla import specs
from pdtla.environments.mujoco import Mujoco
from pdtla.environments.vector_environment import TimeStep
from pdtla.layers.causal_transformer import CausalTransformer
from pdtla.policies.decision_transformer import DecisionTransformer
from pdtla.rollouts.stepper import Stepper
from pdtla.stage import Policy

NUM_ENVS = 16
WINDOW = 100
_SHAPES = {128: (3, 4), 512: (6, 8)}  # layers and heads by the width


def sequence_steps(
    width: int, memory: str, steps: int, num_threads: int | None = None
) -> Task:
    """Actions alone, after the window is full.

    Args:
      width: of the transformer.
      memory: "ring", or "window" to pass the whole window through it at every step.
      steps: in one round.
      num_threads: of TensorFlow's operations, as TF_NUM_INTRAOP_THREADS sets them.
    """
    if num_threads is not None:
        tf.config.threading.set_intra_op_parallelism_threads(num_threads)
    policy = _policy(width, memory)
    rng = np.random.default_rng(0)
    timestep = TimeStep(
        observation=rng.standard_normal((NUM_ENVS, 17)).astype("float32"),
        reward=np.zeros(NUM_ENVS, "float32"),
        first=np.zeros(NUM_ENVS, bool),
        level=np.zeros(NUM_ENVS, "int64"),
        truncated=np.zeros(NUM_ENVS, bool),
    )
    state = policy.initial_state(NUM_ENVS)
    state["age"] += WINDOW
    step = Stepper(policy, state, timestep)

    def run():
        for _ in range(steps):
            step(timestep)

    return Task(run, NUM_ENVS * steps, "steps")


def sequence_rollout(width: int) -> Task:
    """The same in the simulator, with a cache."""
    env, policy = Mujoco(env_id="halfcheetah", num_envs=NUM_ENVS), _policy(width)
    step = Stepper(policy, policy.initial_state(NUM_ENVS), env.current())

    def run():
        for _ in range(WINDOW):
            env.step(step(env.current()))

    return Task(run, NUM_ENVS * WINDOW, "steps")


def decision_transformer(
    width: int, window: int, memory: str = "ring"
) -> tuple[DecisionTransformer, specs.ElementSpec]:
    """A model of states and actions, not built, and the spec of its sequences.

    Args:
      width: of the transformer.
      window: steps of a sequence, and those that an action depends on.
      memory: of its policy.
    """
    layers, heads = _SHAPES[width]
    stage = DecisionTransformer(
        keras.layers.Identity(),
        CausalTransformer(width, layers, heads),
        context_window=window,
        memory=memory,
    )
    action = specs.ArraySpec((6,), "float32", minimum=-1.0, maximum=1.0)
    fields = {
        specs.OBSERVATION: specs.ArraySpec((17,), "float32"),
        specs.ACTION: action,
        specs.TIMESTEP: specs.ArraySpec((), "int32"),
        specs.VALID: specs.ArraySpec((), "bool"),
    }
    return stage, {name: spec.with_time(window) for name, spec in fields.items()}


def _policy(width: int, memory: str = "ring") -> Policy:
    stage, spec = decision_transformer(width, WINDOW, memory)
    stage.build(spec)
    return stage.policy()
