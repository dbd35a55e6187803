"""`Procgen`, N copies of one of the 16 games of Cobbe et al. 2020 (1912.01588)."""

import contextlib
import io
from collections.abc import Sequence

import numpy as np

from pdtla import specs
from pdtla.environments import procgen_actions, procgen_state, vector_environment

# Procgen registers itself with gym, which prints an advertisement when imported.
with contextlib.redirect_stderr(io.StringIO()):
    import procgen

GAMES = tuple(procgen.env.ENV_NAMES)
NUM_ACTIONS = procgen_actions.NUM_ACTIONS
NO_ACTION = procgen_actions.NO_ACTION
# The easy and hard modes exist for every game, the other two for some.
DISTRIBUTION_MODES = {
    "easy": GAMES,
    "hard": GAMES,
    "extreme": ("chaser", "dodgeball", "leaper", "starpilot"),
    "memory": ("caveflyer", "dodgeball", "heist", "jumper", "maze", "miner"),
}
_MAX_SEED = 2**31 - 1
_RESET = -1  # the simulator takes no action, then begins a new episode


class Procgen(vector_environment.VectorEnvironment):
    """Real Procgen with raw rewards.

    Rewards are neither clipped nor normalised, and the reward of an episode's last
    action is the `reward` of the time step that begins the next one. The frame after an
    episode's last action does not exist in Procgen.

    Level seeds are drawn uniformly, with a generator of each environment's own, from
    `start_level` to `start_level + num_levels - 1`, so the same seed and the same
    episode count give the same levels whatever the actions were.

    Args:
      env_id: one of the 16 games.
      num_envs: number of environments N.
      start_level: the first level seed of the range.
      num_levels: the size of the range; 0 means all 2^31 - 1 seeds from 0.
      distribution_mode: difficulty: easy, hard, extreme or memory.
      use_backgrounds: draw the background images instead of black.
      restrict_themes: draw each kind of object with one image only.
      max_episode_steps: episodes end after so many steps, marked as truncated; None
        leaves the game's own limit (1000; maze 500, bigfish 6000), also marked. So is
        an episode that the game ends at that very step without its being completed.
      seed: seeds the order of levels.
      num_threads: threads of the simulator; 0 steps in the calling thread, which
        costs the least per frame.

    Raises:
      ValueError: an unknown game or mode, or a range that cannot be.
    """

    def __init__(
        self,
        *,
        env_id: str,
        num_envs: int,
        start_level: int = 0,
        num_levels: int = 0,
        distribution_mode: str = "easy",
        use_backgrounds: bool = True,
        restrict_themes: bool = False,
        max_episode_steps: int | None = None,
        seed: int = 0,
        num_threads: int = 0,
    ):
        check_game(env_id, distribution_mode)
        _check_range("num_envs", num_envs, 1)
        _check_range("seed", seed, 0)
        _check_levels(start_level, num_levels)
        self.env_id = env_id
        self.start_level = start_level
        self.num_levels = num_levels
        self.distribution_mode = distribution_mode
        self.use_backgrounds = use_backgrounds
        self.restrict_themes = restrict_themes
        self._num_envs = num_envs
        self._simulator = procgen.ProcgenGym3Env(
            num=num_envs,
            env_name=env_id,
            start_level=start_level,
            num_levels=num_levels,
            distribution_mode=distribution_mode,
            use_backgrounds=use_backgrounds,
            restrict_themes=restrict_themes,
            rand_seed=seed,
            num_threads=num_threads,
        )
        # Not the simulator's own get_state: it allocates a megabyte a call and reads
        # every environment.
        self._ffi = self._simulator._ffi
        self._buffer = self._ffi.new(f"char[{procgen.env.MAX_STATE_SIZE}]")
        self.max_episode_steps = self._limit_steps(max_episode_steps)
        self._lengths = np.zeros(num_envs, np.int64)
        self._timestep = self._observe(np.zeros(num_envs, bool))

    @property
    def num_envs(self) -> int:
        return self._num_envs

    @property
    def observation_spec(self) -> specs.ArraySpec:
        return specs.ArraySpec((64, 64, 3), "uint8", minimum=0, maximum=255)

    @property
    def action_spec(self) -> specs.ArraySpec:
        return specs.ArraySpec((), "int32", num_values=NUM_ACTIONS)

    def current(self) -> vector_environment.TimeStep:
        return self._timestep

    def step(self, actions: np.ndarray) -> vector_environment.TimeStep:
        """Takes one action an environment.

        Args:
          actions: integers `[N]`, 0 to 14.

        Returns:
          The next time step; all its arrays are fresh copies.

        Raises:
          ValueError: actions of another shape or out of range.
        """
        actions = np.asarray(actions)
        if actions.shape != (self._num_envs,):
            raise ValueError(
                f"Actions must have the shape ({self._num_envs},), got {actions.shape}."
            )
        if actions.min() < 0 or actions.max() >= NUM_ACTIONS:
            raise ValueError(f"Actions must be 0 to {NUM_ACTIONS - 1}, got {actions}.")
        return self._act(actions)

    def restart(self, mask: np.ndarray) -> vector_environment.TimeStep:
        mask = np.asarray(mask, bool)
        kept = np.flatnonzero(~mask)
        before = self._timestep
        # The simulator steps all environments or none: put the others back.
        states = self.get_state(kept)
        lengths = self._lengths[kept]
        after = self._act(np.where(mask, _RESET, NO_ACTION))
        for slot, state in zip(kept, states, strict=True):
            self._set_one_state(slot, state)
        self._lengths[kept] = lengths
        for old, new in zip(before, after, strict=True):
            if new is not None:  # Procgen does not tell of success
                new[kept] = old[kept]
        # Nobody chose the last step of the episodes that were given up.
        after.reward[mask] = 0.0
        after.truncated[mask] = True
        return after

    def get_state(self, slots: Sequence[int] | None = None) -> list[bytes]:
        """The serialised states of the environments, or of some of them, ~0.1 ms each.

        `procgen_state.ProcgenState` reads them.
        """
        slots = range(self._num_envs) if slots is None else slots
        return [self._get_one_state(int(slot)) for slot in slots]

    def set_state(self, states: Sequence[bytes]) -> vector_environment.TimeStep:
        """Puts every environment into a state that `get_state` gave.

        Level, options and step limit come with it.

        Raises:
          ValueError: not one state for each environment.
        """
        if len(states) != self._num_envs:
            raise ValueError(f"Needs {self._num_envs} states, got {len(states)}.")
        for slot, state in enumerate(states):
            self._set_one_state(slot, state)
            self._lengths[slot] = procgen_state.ProcgenState(state).time
        self.max_episode_steps = procgen_state.ProcgenState(states[0]).timeout
        self._timestep = self._observe(np.zeros(self._num_envs, bool))
        return self._timestep

    def close(self) -> None:
        """Frees the simulator."""
        self._simulator.close()

    def _act(self, actions: np.ndarray) -> vector_environment.TimeStep:
        self._simulator.act(actions)
        self._lengths += 1
        timed_out = self._lengths >= self.max_episode_steps
        self._timestep = self._observe(timed_out)
        self._lengths[self._timestep.first] = 0
        return self._timestep

    def _observe(self, timed_out: np.ndarray) -> vector_environment.TimeStep:
        reward, observation, first = self._simulator.observe()
        info = self._simulator.get_info()
        complete = np.array([slot["prev_level_complete"] for slot in info], bool)
        return vector_environment.TimeStep(
            observation=observation["rgb"],
            reward=reward,
            first=first,
            level=np.array([slot["level_seed"] for slot in info], np.int64),
            truncated=first & timed_out & ~complete,
        )

    def step_limit(self, limit: int | None) -> int:
        """What a `max_episode_steps` comes to in this game."""
        return self._own_limit if limit is None else min(limit, self._own_limit)

    def _limit_steps(self, limit: int | None) -> int:
        """Writes the step limit into the simulator, which then keeps it by itself."""
        states = self.get_state()
        self._own_limit = procgen_state.ProcgenState(states[0]).timeout
        if limit is None:
            return self._own_limit
        _check_range("max_episode_steps", limit, 1)
        limit = self.step_limit(limit)
        for slot, state in enumerate(states):
            state = procgen_state.ProcgenState(state).with_timeout(limit)
            self._set_one_state(slot, state)
        return limit

    def _get_one_state(self, slot: int) -> bytes:
        size = self._simulator.call_c_func(
            "get_state", slot, self._buffer, len(self._buffer)
        )
        return bytes(self._ffi.buffer(self._buffer, size))

    def _set_one_state(self, slot: int, state: bytes) -> None:
        self._simulator.call_c_func("set_state", int(slot), state, len(state))


def check_game(env_id: str, distribution_mode: str = "easy") -> None:
    """Raises a one-line `ValueError` unless the game exists in that mode."""
    if env_id not in GAMES:
        raise ValueError(
            f"{env_id!r} is not a Procgen game; the games are {', '.join(GAMES)}."
        )
    if distribution_mode not in DISTRIBUTION_MODES:
        raise ValueError(
            f"{distribution_mode!r} is not a Procgen distribution mode; the modes are "
            f"{', '.join(DISTRIBUTION_MODES)}."
        )
    if env_id not in DISTRIBUTION_MODES[distribution_mode]:
        raise ValueError(
            f"Procgen has no {distribution_mode} mode of {env_id}; it exists for "
            f"{', '.join(DISTRIBUTION_MODES[distribution_mode])}."
        )


def _check_range(name: str, value: int, minimum: int) -> None:
    if not minimum <= value <= _MAX_SEED:
        raise ValueError(f"{name} must be {minimum} to 2^31 - 1, got {value}.")


def _check_levels(start_level: int, num_levels: int) -> None:
    _check_range("start_level", start_level, 0)
    _check_range("num_levels", num_levels, 0)
    if start_level + num_levels > _MAX_SEED:
        raise ValueError(
            "start_level + num_levels must be at most 2^31 - 1, "
            f"got {start_level} + {num_levels}."
        )
    if num_levels == 0 and start_level != 0:
        raise ValueError(
            "num_levels=0 means all levels and ignores start_level: "
            f"give a num_levels or start_level=0, got start_level={start_level}."
        )
