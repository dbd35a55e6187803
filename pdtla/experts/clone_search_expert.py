"""`CloneSearchExpert`, plans any Procgen game in copies of the true state."""

from collections.abc import Callable

import numpy as np

from pdtla.environments import (
    procgen,
    procgen_actions,
    procgen_state,
    vector_environment,
)
from pdtla.experts import expert

# What random plans are made of, where that is not all actions that differ in effect.
_ACTIONS = {
    "coinrun": (1, 2, procgen.NO_ACTION, 5, 7, 8),  # down is of no use
    "starpilot": (9, 9, 9, 9, 1, 3, 4, 5, 7),  # forward shots are mostly right
}
# Progress where the reward comes at the end only, from the agent's (x, y) in cells.
_PROGRESS: dict[str, Callable[[float, float], float]] = {
    "climber": lambda x, y: y,
    "coinrun": lambda x, y: x,
    "leaper": lambda x, y: y,
    "ninja": lambda x, y: x,
}


class CloneSearchExpert(expert.Expert):
    """Tries held-action plans in clones of the simulator and plays the best.

    Every few steps the true state is copied into `num_clones` environments. They play
    the rest of the last plan, each action held throughout, and random sequences of
    held actions; the best discounted return plays on. Ties go to the simpler plan.
    The clones share the simulator's random generator, so the expert foresees what is
    random to a player; its returns bound those of policies that act on frames.

    The random plans are seeded by (seed, level, step), so an episode is played the same
    way whenever and beside whatever it is played.

    Args:
      num_clones: plans to try.
      horizon: steps of a plan.
      hold: steps that each action of a random plan is held.
      replan_every: steps to play of a plan.
      discount: of rewards within a plan.
      death_penalty: taken off where an episode ends without a reward.
      progress_weight: reward per cell of progress in games with a direction.
      seed: seeds the random plans.

    Raises:
      ValueError: fewer clones than actions, or a plan shorter than what is played.
    """

    name = "clone_search_expert"

    def __init__(
        self,
        num_clones: int = 32,
        horizon: int = 24,
        hold: int = 4,
        replan_every: int = 4,
        discount: float = 0.99,
        death_penalty: float = 5.0,
        progress_weight: float = 0.05,
        seed: int = 0,
    ):
        if num_clones < procgen.NUM_ACTIONS:
            raise ValueError(
                f"num_clones must be at least {procgen.NUM_ACTIONS}, got {num_clones}."
            )
        if not 1 <= replan_every <= horizon:
            raise ValueError(
                f"replan_every must be 1 to the horizon {horizon}, got {replan_every}."
            )
        self.num_clones = num_clones
        self.horizon = horizon
        self.hold = hold
        self.replan_every = replan_every
        self.discount = discount
        self.death_penalty = death_penalty
        self.progress_weight = progress_weight
        self.seed = seed
        self._planner: procgen.Procgen | None = None
        self._plans: dict[int, np.ndarray] = {}

    def act(
        self, env: procgen.Procgen, timestep: vector_environment.TimeStep
    ) -> np.ndarray:
        actions = np.empty(env.num_envs, np.int32)
        for slot in range(env.num_envs):
            if timestep.first[slot]:
                self._plans.pop(slot, None)
            plan = self._plans.get(slot)
            if plan is None or len(plan) <= self.horizon - self.replan_every:
                (state,) = env.get_state([slot])
                plan = self._search(env.env_id, state, plan)
            actions[slot], self._plans[slot] = plan[0], plan[1:]
        return actions

    def _search(
        self, env_id: str, state: bytes, last_plan: np.ndarray | None
    ) -> np.ndarray:
        """The best plan `[horizon]` from a state."""
        planner = self._planner_for(env_id)
        parsed = procgen_state.ProcgenState(state)
        rng = np.random.default_rng((self.seed, parsed.level_seed, parsed.time))
        plans = self._candidates(env_id, rng, last_plan)
        planner.set_state([state] * self.num_clones)
        scores = np.zeros(self.num_clones)
        alive = np.ones(self.num_clones, bool)
        for step in range(self.horizon):
            timestep = planner.step(plans[:, step])
            scores += alive * self.discount**step * timestep.reward
            died = timestep.first & ~timestep.truncated & (timestep.reward <= 0)
            scores -= alive * died * self.death_penalty
            alive &= ~timestep.first
            if not alive.any():
                break
        scores += self._progress(planner, alive)
        return plans[scores.argmax()]

    def _candidates(
        self, env_id: str, rng: np.random.Generator, last_plan: np.ndarray | None
    ) -> np.ndarray:
        """Plans to try, `[num_clones, horizon]`, the simplest first."""
        choices = np.array(
            _ACTIONS.get(env_id, procgen_actions.distinct(env_id)), np.int32
        )
        constant = np.repeat(np.unique(choices)[:, None], self.horizon, axis=1)
        segments = -(-self.horizon // self.hold)
        random = rng.choice(choices, size=(self.num_clones, segments))
        random = np.repeat(random, self.hold, axis=1)[:, : self.horizon]
        plans = [constant]
        if last_plan is not None:
            missing = self.horizon - len(last_plan)
            plans.append(np.concatenate([last_plan, random[-1, :missing]])[None])
        return np.concatenate([*plans, random])[: self.num_clones]

    def _progress(self, planner: procgen.Procgen, alive: np.ndarray) -> np.ndarray:
        """What each clone that still plays has gained on its way, `[num_clones]`."""
        gained = np.zeros(self.num_clones)
        progress = _PROGRESS.get(planner.env_id)
        if progress is not None and self.progress_weight != 0.0:
            slots = np.flatnonzero(alive)
            for slot, data in zip(slots, planner.get_state(slots), strict=True):
                position = procgen_state.ProcgenState(data).agent_position
                gained[slot] = self.progress_weight * progress(*position)
        return gained

    def _planner_for(self, env_id: str) -> procgen.Procgen:
        """The clones; options and levels come with the states they are set to."""
        if self._planner is None or self._planner.env_id != env_id:
            self._planner = procgen.Procgen(env_id=env_id, num_envs=self.num_clones)
        return self._planner
