"""`MetaworldExpert`, the scripted policies that Meta-World brings along."""

import warnings

import numpy as np
from metaworld import policies

from pdtla.environments import metaworld, vector_environment
from pdtla.experts import expert

# Episodes solved of the first 10 levels of seed 0, 500 steps each, Meta-World 3.1.1 on
# MuJoCo 3.3.0; of all other tasks 10. tests/experts/test_metaworld_expert.py measures
# such numbers.
SOLVED_OF_TEN = dict.fromkeys(metaworld.TASKS, 10) | {
    "box-close": 7,
    "button-press-wall": 9,
    "peg-insert-side": 8,
    "soccer": 9,
    "stick-pull": 7,
    "sweep-into": 8,
}


class MetaworldExpert(expert.Expert):
    """Plays a task by its script, which reads the state before the action.

    The scripts ask for more than the bounds allow, and environments take that as the
    bound, so actions are clipped here.

    Args:
      env_id: a task, as `MetaWorld` takes it.

    Raises:
      ValueError: an unknown task.
    """

    def __init__(self, env_id: str):
        self.env_id = metaworld.task_name(env_id)
        self.name = f"{self.env_id}_script"
        self._script = policies.ENV_POLICY_MAP[f"{self.env_id}-v3"]()

    def act(
        self,
        env: vector_environment.VectorEnvironment,
        timestep: vector_environment.TimeStep,
    ) -> np.ndarray:
        del timestep
        if not isinstance(env, metaworld.MetaWorld) or env.env_id != self.env_id:
            raise ValueError(
                f"The {self.name} plays {self.env_id}, got "
                f"{getattr(env, 'env_id', type(env).__name__)}."
            )
        with warnings.catch_warnings():
            # The scripts say at every step that they ask for too much.
            warnings.simplefilter("ignore", UserWarning)
            actions = [
                self._script.get_action(state)
                for state in env.states().astype(np.float64)
            ]
        return np.clip(actions, -1.0, 1.0).astype(np.float32)
