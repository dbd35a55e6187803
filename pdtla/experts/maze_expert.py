"""`MazeExpert`, the shortest path through Procgen's maze."""

import numpy as np

from pdtla.environments import procgen, procgen_state, vector_environment
from pdtla.experts import expert, grid_search

_GOAL = 2  # grid cell


class MazeExpert(expert.Expert):
    """Walks the shortest path to the cheese, found by breadth-first search.

    The mazes are trees, so the path is unique. It is searched once a level; a step then
    reads the agent's cell only.
    """

    name = "maze_expert"

    def __init__(self):
        self._plans: dict[int, tuple[int, np.ndarray]] = {}

    def act(
        self, env: procgen.Procgen, timestep: vector_environment.TimeStep
    ) -> np.ndarray:
        expert.check_plays(self, env, "maze")
        actions = np.empty(env.num_envs, np.int32)
        for slot, data in enumerate(env.get_state()):
            state = procgen_state.ProcgenState(data)
            x, y = state.agent_position
            plan = self._plan(slot, int(timestep.level[slot]), state)
            actions[slot] = plan[int(y), int(x)]
        return actions

    def _plan(
        self, slot: int, level: int, state: procgen_state.ProcgenState
    ) -> np.ndarray:
        """The best action in every cell; a level seed fixes the maze."""
        planned_level, plan = self._plans.get(slot, (None, None))
        if planned_level != level:
            grid = state.grid
            goals = [(x, y) for y, x in np.argwhere(grid == _GOAL).tolist()]
            distance = grid_search.distances(grid != procgen_state.WALL, goals)
            plan = grid_search.actions_towards(distance, procgen.NO_ACTION)
            self._plans[slot] = (level, plan)
        return plan
