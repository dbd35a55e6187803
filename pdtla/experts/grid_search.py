"""Breadth-first search on the grids of Procgen's maze games."""

import collections
from collections.abc import Sequence

import numpy as np

UNREACHABLE = -1
# Moves as (dx, dy) and the action that makes them; y points up.
MOVES = (((-1, 0), 1), ((1, 0), 7), ((0, -1), 3), ((0, 1), 5))


def distances(free: np.ndarray, goals: Sequence[tuple[int, int]]) -> np.ndarray:
    """Steps from each cell to the nearest goal.

    Args:
      free: bool `[height, width]`, indexed `[y, x]`, cells that may be entered.
      goals: cells as (x, y); a goal counts as free.

    Returns:
      int32 `[height, width]`, `UNREACHABLE` where no path leads to a goal.
    """
    height, width = free.shape
    result = [[UNREACHABLE] * width for _ in range(height)]
    passable = free.tolist()
    queue = collections.deque(goals)
    for x, y in goals:
        result[y][x] = 0
    while queue:
        x, y = queue.popleft()
        for (dx, dy), _ in MOVES:
            nx, ny = x + dx, y + dy
            if not (0 <= nx < width and 0 <= ny < height and passable[ny][nx]):
                continue
            if result[ny][nx] == UNREACHABLE:
                result[ny][nx] = result[y][x] + 1
                queue.append((nx, ny))
    return np.array(result, np.int32)


def actions_towards(distance: np.ndarray, default: int) -> np.ndarray:
    """The action in each cell that leads one step closer to the goal.

    Ties go to the first of left, right, down, up, so that the answer depends on nothing
    but the map.

    Args:
      distance: int32 `[height, width]`, from `distances`.
      default: the action at a goal and where no goal can be reached.

    Returns:
      int32 `[height, width]`.
    """
    padded = np.pad(distance, 1, constant_values=UNREACHABLE)
    height, width = distance.shape
    actions = np.full(distance.shape, default, np.int32)
    for (dx, dy), action in reversed(MOVES):
        neighbour = padded[1 + dy : 1 + dy + height, 1 + dx : 1 + dx + width]
        closer = (neighbour != UNREACHABLE) & (neighbour == distance - 1)
        actions[closer & (distance > 0)] = action
    return actions
