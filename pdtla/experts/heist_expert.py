"""`HeistExpert`, keys, doors and the gem of Procgen's heist by shortest paths."""

import numpy as np

from pdtla.environments import procgen, procgen_state, vector_environment
from pdtla.experts import expert, grid_search

_DOOR, _KEY, _EXIT = 1, 2, 9  # entity types; image_theme is the colour
# How far from the middle of a cell the agent may be without steering back, in cells.
# Its half width is .375 (.3675 for collisions with walls): between walls it is never
# off by more than .125, and beyond .1325 it would hang on a corner.
_CENTRED = 0.13


class HeistExpert(expert.Expert):
    """Walks to the gem, or while a door bars the way, to the nearest key in reach.

    Depends on the objects and on the agent's position, not on its velocity, so one
    frame tells all that it knows.
    """

    name = "heist_expert"

    def __init__(self):
        self._plans: dict[int, tuple[tuple, np.ndarray]] = {}

    def act(
        self, env: procgen.Procgen, timestep: vector_environment.TimeStep
    ) -> np.ndarray:
        expert.check_plays(self, env, "heist")
        actions = np.empty(env.num_envs, np.int32)
        for slot, data in enumerate(env.get_state()):
            state = procgen_state.ProcgenState(data)
            plan = self._plan(slot, int(timestep.level[slot]), state)
            actions[slot] = _steer(plan, *state.agent_position)
        return actions

    def _plan(
        self, slot: int, level: int, state: procgen_state.ProcgenState
    ) -> np.ndarray:
        """The move in every cell, searched again only when a key or door is gone."""
        key = (level, state.entities["type"].tobytes())
        planned_key, plan = self._plans.get(slot, (None, None))
        if planned_key != key:
            plan = _search(state)
            self._plans[slot] = (key, plan)
        return plan


def _search(state: procgen_state.ProcgenState) -> np.ndarray:
    entities = state.entities
    keys = entities[entities["type"] == _KEY]
    doors = entities[entities["type"] == _DOOR]
    # A key that is no longer in the maze is in the agent's hands.
    locked = doors[np.isin(doors["image_theme"], keys["image_theme"])]
    free = state.grid != procgen_state.WALL
    for x, y in _cells(locked):
        free[y, x] = False
    agent_x, agent_y = map(int, state.agent_position)
    distance = grid_search.distances(free, _cells(entities[entities["type"] == _EXIT]))
    if distance[agent_y, agent_x] == grid_search.UNREACHABLE:
        distance = grid_search.distances(free, _cells(keys))
    return grid_search.actions_towards(distance, procgen.NO_ACTION)


def _cells(entities: np.ndarray) -> list[tuple[int, int]]:
    return [(int(entity["x"]), int(entity["y"])) for entity in entities]


def _steer(plan: np.ndarray, x: float, y: float) -> int:
    """The planned move, with the other axis steered to the middle of the cell."""
    move = int(plan[int(y), int(x)])
    dx, dy = move // 3 - 1, move % 3 - 1
    if dx == 0:
        dx = _towards_middle(x)
    if dy == 0:
        dy = _towards_middle(y)
    return 3 * (dx + 1) + dy + 1


def _towards_middle(position: float) -> int:
    offset = position - int(position) - 0.5
    return int(offset < -_CENTRED) - int(offset > _CENTRED)
