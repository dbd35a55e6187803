"""`Mujoco`, N copies of one of the locomotion tasks on Gymnasium's MuJoCo models."""

from concurrent import futures

import mujoco
import numpy as np

from pdtla import specs
from pdtla.environments import level_sampler, locomotion, vector_environment

_STATE = mujoco.mjtState.mjSTATE_INTEGRATION


class Mujoco(vector_environment.VectorEnvironment):
    """HalfCheetah, Walker2d and Hopper, with the raw rewards of version 5.

    A level is the seed of the noise on an episode's first state. In the families
    halfcheetah-vel and halfcheetah-dir a level is a task, the goal that rewards are
    about, and every episode begins with a noise of its own. Each environment keeps
    its own simulator data, with the solver's warm start in it, so that trajectories
    equal those of Gymnasium to the last bit; batched `mujoco.rollout` starts the
    solver cold and drifts away within a hundred steps, and is no faster.

    Args:
      env_id: one of `locomotion.TASKS`, or a name that `names` resolves.
      num_envs: number of environments N.
      start_level: the first level of the range.
      num_levels: the size of the range; 0 means all 2^31 - 1 levels from 0.
      max_episode_steps: episodes end after so many steps, marked as truncated; None
        for the task's own number.
      show_goal: observe the goal of the level beside the state, as experts do.
      seed: seeds the order of levels.
      num_threads: threads that step; 0 steps in the calling thread.

    Raises:
      ValueError: an unknown task, or a number out of range.
    """

    def __init__(
        self,
        *,
        env_id: str,
        num_envs: int,
        start_level: int = 0,
        num_levels: int = 0,
        max_episode_steps: int | None = None,
        show_goal: bool = False,
        seed: int = 0,
        num_threads: int = 0,
    ):
        self.env_id = locomotion.task_name(env_id)
        self._task = locomotion.TASKS[self.env_id]
        if max_episode_steps is None:
            max_episode_steps = self._task.max_episode_steps
        if max_episode_steps < 1:
            raise ValueError(
                f"max_episode_steps must be at least 1, got {max_episode_steps}."
            )
        self.max_episode_steps = max_episode_steps
        if show_goal and self._task.goals is None:
            raise ValueError(f"show_goal needs a task with goals, got {self.env_id}.")
        self._show_goal = show_goal
        self._sampler = level_sampler.LevelSampler(
            num_envs, start_level, num_levels, seed
        )
        self._model = mujoco.MjModel.from_xml_path(str(self._task.model_path))
        self._seconds = self._model.opt.timestep * self._task.frame_skip
        self._data = [mujoco.MjData(self._model) for _ in range(num_envs)]
        # Views of the simulator's memory, which cost as much to look up as to read.
        self._controls = [data.ctrl for data in self._data]
        self._positions = [data.qpos for data in self._data]
        self._velocities = [data.qvel for data in self._data]
        self._start = self._positions[0].copy(), self._velocities[0].copy()
        self._chunks = np.array_split(np.arange(num_envs), max(num_threads, 1))
        self._pool = futures.ThreadPoolExecutor(num_threads) if num_threads else None
        self._lengths = np.zeros(num_envs, np.int64)
        self._levels = np.zeros(num_envs, np.int64)
        self._cameras = {}
        self._begin(range(num_envs))
        nothing = np.zeros(num_envs, bool)
        self._timestep = self._observe(np.zeros(num_envs), ~nothing, nothing)

    @property
    def num_envs(self) -> int:
        return len(self._data)

    @property
    def observation_spec(self) -> specs.ArraySpec:
        width = self._model.nq + self._model.nv - 1 + self._show_goal
        return specs.ArraySpec((width,), "float32")

    @property
    def action_spec(self) -> specs.ArraySpec:
        return specs.ArraySpec((self._model.nu,), "float32", minimum=-1.0, maximum=1.0)

    @property
    def can_render(self) -> bool:
        return True

    def current(self) -> vector_environment.TimeStep:
        return self._timestep

    def step(self, actions: np.ndarray) -> vector_environment.TimeStep:
        """Takes one action an environment.

        Args:
          actions: floats `[N, A]`, clipped to -1 to 1.

        Returns:
          The next time step; all its arrays are fresh copies.

        Raises:
          ValueError: actions of another shape, or not finite.
        """
        actions = vector_environment.clipped_actions(
            actions, self.action_spec, self.num_envs
        )
        before = self._distance()
        self._simulate(actions)
        self._lengths += 1
        positions, velocities = self._state()
        healthy = self._task.healthy(positions, velocities)
        speed = (positions[:, 0] - before) / self._seconds
        reward = self._task.reward(speed, actions, healthy, self._levels)
        last = self._lengths >= self.max_episode_steps
        ended = ~healthy | last
        self._begin(np.flatnonzero(ended))
        self._timestep = self._observe(reward, ended, last & healthy)
        return self._timestep

    def restart(self, mask: np.ndarray) -> vector_environment.TimeStep:
        mask = np.asarray(mask, bool)
        before = self._timestep
        self._begin(np.flatnonzero(mask))
        # Nobody chose the last step of the episodes that were given up.
        self._timestep = self._observe(
            np.where(mask, 0.0, before.reward),
            mask | before.first,
            mask | before.truncated,
        )
        return self._timestep

    def render(self, slot: int, height: int = 64, width: int = 64) -> np.ndarray:
        from pdtla.environments import mujoco_camera

        if (height, width) not in self._cameras:
            camera = mujoco_camera.MujocoCamera(self._model, height, width)
            self._cameras[height, width] = camera
        # Positions of bodies are those before the last simulator step.
        data = self._data[slot]
        mujoco.mj_kinematics(self._model, data)
        mujoco.mj_comPos(self._model, data)
        mujoco.mj_camlight(self._model, data)
        return self._cameras[height, width].render(data)

    def get_state(self) -> dict:
        """All that decides what the environments will do, for `set_state`."""
        size = mujoco.mj_stateSize(self._model, _STATE)
        states = np.empty((self.num_envs, size))
        for data, state in zip(self._data, states, strict=True):
            mujoco.mj_getState(self._model, data, state, _STATE)
        return {
            "simulators": states,
            "lengths": self._lengths.copy(),
            "levels": self._levels.copy(),
            "sampler": self._sampler.get_state(),
            "timestep": self._timestep,
        }

    def set_state(self, state: dict) -> vector_environment.TimeStep:
        """Puts the environments where they were when `get_state` gave `state`."""
        for data, values in zip(self._data, state["simulators"], strict=True):
            mujoco.mj_setState(self._model, data, values, _STATE)
        self._lengths = state["lengths"].copy()
        self._levels = state["levels"].copy()
        self._sampler.set_state(state["sampler"])
        self._timestep = state["timestep"]
        return self._timestep

    def close(self) -> None:
        """Ends the threads and frees the cameras."""
        if self._pool is not None:
            self._pool.shutdown()
        for camera in self._cameras.values():
            camera.close()
        self._cameras = {}

    def _simulate(self, actions: np.ndarray) -> None:
        if self._pool is None:
            self._step_slots(self._chunks[0], actions)
            return
        for job in [
            self._pool.submit(self._step_slots, chunk, actions)
            for chunk in self._chunks
        ]:
            job.result()

    def _step_slots(self, slots: np.ndarray, actions: np.ndarray) -> None:
        for slot in slots:
            self._controls[slot][:] = actions[slot]
            # Without the lock of the interpreter, so that threads run side by side.
            mujoco.mj_step(self._model, self._data[slot], nstep=self._task.frame_skip)

    def _begin(self, slots: np.ndarray | range) -> None:
        """Puts environments at the start of their next levels."""
        for slot in slots:
            level = self._sampler.draw(slot)
            mujoco.mj_resetData(self._model, self._data[slot])
            # Of a task there are many episodes, of a plain level one start.
            seed = self._sampler.noise(slot) if self._task.goals else level
            state = self._task.initial_state(seed, *self._start)
            self._positions[slot][:], self._velocities[slot][:] = state
            mujoco.mj_forward(self._model, self._data[slot])
            self._levels[slot] = level
            self._lengths[slot] = 0

    def _distance(self) -> np.ndarray:
        return np.array([position[0] for position in self._positions])

    def _state(self) -> tuple[np.ndarray, np.ndarray]:
        """Positions `[N, Q]` and velocities `[N, V]`, copied."""
        return np.stack(self._positions), np.stack(self._velocities)

    def _observe(
        self, reward: np.ndarray, first: np.ndarray, truncated: np.ndarray
    ) -> vector_environment.TimeStep:
        observation = self._task.observe(*self._state())
        if self._show_goal:
            observation = self._task.goals.beside(observation, self._levels)
        return vector_environment.TimeStep(
            observation=observation,
            reward=np.asarray(reward, np.float32),
            first=first,
            level=self._levels.copy(),
            truncated=truncated,
        )
