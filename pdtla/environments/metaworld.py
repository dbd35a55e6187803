"""`MetaWorld`, N copies of one task of Meta-World (Yu et al. 2019, 1910.10897)."""

import re

import metaworld.env_dict
import mujoco
import numpy as np

from pdtla import specs
from pdtla.environments import level_sampler, mujoco_camera, vector_environment

_VERSION = "-v3"
TASKS = tuple(name.removesuffix(_VERSION) for name in metaworld.env_dict.ENV_CLS_MAP)
# Those of the simulator's own that see the whole table.
CAMERAS = ("corner", "corner2", "corner3", "corner4", "topview")
STATE_SPEC = specs.ArraySpec((39,), "float32")
IMAGE_SPEC = specs.ArraySpec((64, 64, 3), "uint8", minimum=0, maximum=255)
ACTION_SPEC = specs.ArraySpec((4,), "float32", minimum=-1.0, maximum=1.0)


class MetaWorld(vector_environment.VectorEnvironment):
    """One of the 50 tasks with a Sawyer arm, its raw rewards and its success.

    Observations hold the hand, the gripper and the objects, now and a step before, and
    the position of the goal. A level seeds where objects and goal are, and with them
    all of an episode's first state.

    Args:
      env_id: a task, such as "window-open", "window-open-v2" or "window-open-v3".
      num_envs: number of environments N, which step one after the other.
      start_level: the first level of the range.
      num_levels: the size of the range; 0 means all 2^31 - 1 levels from 0.
      max_episode_steps: episodes end after so many steps, marked as truncated.
      end_on_success: the first success ends an episode too, which is its own end.
      images: observe pictures, uint8 `[64, 64, 3]`, instead of states.
      camera: one of `CAMERAS`, where pictures are taken from.
      seed: seeds the order of levels.

    Raises:
      ValueError: an unknown task or camera, or a number out of range.
    """

    def __init__(
        self,
        *,
        env_id: str,
        num_envs: int,
        start_level: int = 0,
        num_levels: int = 0,
        max_episode_steps: int = 500,
        end_on_success: bool = False,
        images: bool = False,
        camera: str = "corner",
        seed: int = 0,
    ):
        self.env_id = task_name(env_id)
        if max_episode_steps < 1:
            raise ValueError(
                f"max_episode_steps must be at least 1, got {max_episode_steps}."
            )
        check_camera(camera)
        self.max_episode_steps = max_episode_steps
        self.end_on_success = end_on_success
        self.images = images
        self.camera = camera
        self._cameras = {}
        self._sampler = level_sampler.LevelSampler(
            num_envs, start_level, num_levels, seed
        )
        self._tasks = [self._make_task() for _ in range(num_envs)]
        self._states = np.zeros((num_envs, *STATE_SPEC.shape), np.float32)
        self._lengths = np.zeros(num_envs, np.int64)
        self._levels = np.zeros(num_envs, np.int64)
        self._begin(range(num_envs))
        nothing = np.zeros(num_envs, bool)
        self._timestep = self._observe(
            np.zeros(num_envs), first=~nothing, truncated=nothing, success=nothing
        )

    @property
    def num_envs(self) -> int:
        return len(self._tasks)

    @property
    def observation_spec(self) -> specs.ArraySpec:
        return IMAGE_SPEC if self.images else STATE_SPEC

    @property
    def action_spec(self) -> specs.ArraySpec:
        return ACTION_SPEC

    @property
    def can_render(self) -> bool:
        return True

    def states(self) -> np.ndarray:
        """The states now, float32 `[N, 39]`, whatever is observed."""
        return self._states.copy()

    def current(self) -> vector_environment.TimeStep:
        return self._timestep

    def step(self, actions: np.ndarray) -> vector_environment.TimeStep:
        """Takes one action an environment.

        Args:
          actions: floats `[N, 4]`, motion of the hand in x, y and z and force of the
            gripper, clipped to -1 to 1.

        Returns:
          The next time step; all its arrays are fresh copies.

        Raises:
          ValueError: actions of another shape, or not finite.
        """
        actions = vector_environment.clipped_actions(
            actions, self.action_spec, self.num_envs
        )
        reward, success = np.zeros(self.num_envs), np.zeros(self.num_envs, bool)
        for slot, task in enumerate(self._tasks):
            state, reward[slot], _, _, info = task.step(actions[slot])
            self._states[slot] = state
            success[slot] = info["success"]
        self._lengths += 1
        solved = success & self.end_on_success
        ended = solved | (self._lengths >= self.max_episode_steps)
        self._begin(np.flatnonzero(ended))
        self._timestep = self._observe(
            reward, first=ended, truncated=ended & ~solved, success=success
        )
        return self._timestep

    def restart(self, mask: np.ndarray) -> vector_environment.TimeStep:
        mask = np.asarray(mask, bool)
        before = self._timestep
        self._begin(np.flatnonzero(mask))
        # Nobody chose the last step of the episodes that were given up.
        self._timestep = self._observe(
            np.where(mask, 0.0, before.reward),
            first=mask | before.first,
            truncated=mask | before.truncated,
            success=~mask & before.success,
        )
        return self._timestep

    def render(self, slot: int, height: int = 64, width: int = 64) -> np.ndarray:
        """A picture of one environment, uint8 `[H, W, 3]`."""
        if (height, width) not in self._cameras:
            # One for all environments: their models differ in positions alone, which
            # a picture takes from the data.
            self._cameras[height, width] = mujoco_camera.MujocoCamera(
                self._tasks[0].model, height, width, self.camera
            )
        picture = self._cameras[height, width].render(self._tasks[slot].data)
        # These cameras hang upside down in the model.
        return picture[::-1, ::-1].copy() if self._is_hung() else picture

    def close(self) -> None:
        """Frees the cameras."""
        for camera in self._cameras.values():
            camera.close()
        self._cameras = {}

    def _is_hung(self) -> bool:
        model = self._tasks[0].model
        axes = np.zeros(9)
        mujoco.mju_quat2Mat(axes, model.camera(self.camera).quat)
        return axes.reshape(3, 3)[2, 1] < 0  # where the top of the picture points

    def _make_task(self):
        # Constructed by itself: the benchmark classes make all tasks of a set.
        task = metaworld.env_dict.ENV_CLS_MAP[self.env_id + _VERSION]()
        task._partially_observable = False
        task.__dict__.pop("sawyer_observation_space", None)  # knew of no goal
        task._freeze_rand_vec, task.seeded_rand_vec = False, True
        task._set_task_called = True
        task.max_path_length = self.max_episode_steps + 1  # steps are counted here
        return task

    def _begin(self, slots: np.ndarray | range) -> None:
        """Puts environments at the start of their next levels."""
        for slot in slots:
            task, level = self._tasks[slot], self._sampler.draw(slot)
            task.seed(level)
            # Whatever the last episode left in the solver must not reach this one.
            mujoco.mj_resetData(task.model, task.data)
            self._states[slot], _ = task.reset()
            self._levels[slot] = level
            self._lengths[slot] = 0

    def _observe(
        self,
        reward: np.ndarray,
        *,
        first: np.ndarray,
        truncated: np.ndarray,
        success: np.ndarray,
    ) -> vector_environment.TimeStep:
        observation = self.states()
        if self.images:
            pictures = [self.render(slot) for slot in range(self.num_envs)]
            observation = np.stack(pictures)
        return vector_environment.TimeStep(
            observation=observation,
            reward=np.asarray(reward, np.float32),
            first=first,
            level=self._levels.copy(),
            truncated=truncated,
            success=success,
        )


def task_name(env_id: str) -> str:
    """The task of a name, which may end in -v2 or -v3.

    Raises:
      ValueError: there is no such task; says which there are.
    """
    task = re.sub(r"-v\d+$", "", env_id)
    if task not in TASKS:
        raise ValueError(
            f"{env_id!r} is not a Meta-World task; the tasks are {', '.join(TASKS)}."
        )
    return task


def check_camera(camera: str) -> None:
    """Raises a one-line `ValueError` unless the camera is one of `CAMERAS`."""
    if camera not in CAMERAS:
        raise ValueError(f"camera must be one of {', '.join(CAMERAS)}, got {camera}.")
