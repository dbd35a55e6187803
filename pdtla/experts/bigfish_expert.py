"""`BigfishExpert`, rules on the true state of Procgen's bigfish."""

import numpy as np

from pdtla.environments import procgen, procgen_state, vector_environment
from pdtla.experts import expert

_FISH = 2  # entity type
_WORLD = 20.0  # width and height
# The agent's velocity: v <- _KEEP * v + _PUSH * u with u in {-1, 0, 1} on each axis.
_KEEP, _PUSH = 0.45, 0.225
_TOP_SPEED = _PUSH / (1.0 - _KEEP)
_COAST = _KEEP / (1.0 - _KEEP)  # how far v = 1 carries the agent after the last push
_FISH_SPEED = 0.275  # on average; each has its own, of 0.15 to 0.4
_PUSHES = np.array([(a // 3 - 1, a % 3 - 1) for a in range(9)], np.float64)


class BigfishExpert(expert.Expert):
    """Goes for the edible fish it can meet soonest and keeps clear of larger ones.

    A move is only made if, held for `horizon` steps, it touches no larger fish; of the
    safe ones it is the move nearest to the wanted one. Memoryless and deterministic.

    Args:
      horizon: steps that every move is simulated ahead.
      margin: room to leave around larger fish, in cells.
      dead_zone: a target so near on an axis needs no push along it, in cells.
      edge: distance to keep from the left and right ends, where fish of any size
        come in, in cells.
    """

    name = "bigfish_expert"

    def __init__(
        self,
        horizon: int = 20,
        margin: float = 0.25,
        dead_zone: float = 0.7,
        edge: float = 4.0,
        prey: float = 0.97,
        one_frame: bool = False,
    ):
        self.horizon = horizon
        self.margin = margin
        self.dead_zone = dead_zone
        self.edge = edge
        self.prey = prey
        self.one_frame = one_frame
        if one_frame:
            self.name = "bigfish_expert_one_frame"

    def act(
        self, env: procgen.Procgen, timestep: vector_environment.TimeStep
    ) -> np.ndarray:
        del timestep
        expert.check_plays(self, env, "bigfish")
        states = (procgen_state.ProcgenState(data) for data in env.get_state())
        return np.array([self._decide(state.entities) for state in states], np.int32)

    def _decide(self, entities: np.ndarray) -> int:
        agent = entities[0]
        fish = entities[entities["type"] == _FISH]
        if self.one_frame:
            agent, fish = agent.copy(), fish.copy()
            agent["vx"] = agent["vy"] = 0.0
            fish["vx"] = np.sign(fish["vx"]) * _FISH_SPEED
        edible = fish["rx"] <= self.prey * agent["rx"]
        wanted = self._wanted_push(agent, fish[edible])
        touched = self._first_touch(agent, fish[~edible])
        # Safest first, then nearest to the wanted push; ties go to the lowest action.
        distance = np.sum((_PUSHES - wanted) ** 2, axis=1)
        return int(np.lexsort((distance, -touched))[0])

    def _wanted_push(self, agent: np.void, prey: np.ndarray) -> np.ndarray:
        """The push towards where the soonest fish will be met, `[2]`."""
        position = np.array([agent["x"], agent["y"]], np.float64)
        coast = position + _COAST * np.array([agent["vx"], agent["vy"]])
        if len(prey) == 0:
            target = np.array([_WORLD / 2, _WORLD / 2])
        else:
            target = _meeting_point(coast, agent["rx"], prey, self.edge)
        offset = target - coast
        return np.where(np.abs(offset) > self.dead_zone, np.sign(offset), 0.0)

    def _first_touch(self, agent: np.void, danger: np.ndarray) -> np.ndarray:
        """Step at which each of the nine moves, held, touches a fish, `[9]`.

        `horizon` where it touches none.
        """
        if len(danger) == 0:
            return np.full(9, self.horizon)
        steps = np.arange(1, self.horizon + 1)
        agent_x = _held_motion(agent["x"], agent["vx"], _PUSHES[:, 0], agent, steps)
        agent_y = _held_motion(agent["y"], agent["vy"], _PUSHES[:, 1], agent, steps)
        fish_x = danger["x"][:, None] + danger["vx"][:, None] * steps
        gap_x = (
            np.abs(agent_x[:, None] - fish_x) - (danger["rx"] + agent["rx"])[:, None]
        )
        gap_y = (
            np.abs(agent_y[:, None] - danger["y"][:, None])
            - (danger["ry"] + agent["ry"])[:, None]
        )
        touch = (np.maximum(gap_x, gap_y) < self.margin).any(axis=1)
        return np.where(touch.any(axis=1), touch.argmax(axis=1), self.horizon)


def _held_motion(
    position: float,
    velocity: float,
    push: np.ndarray,
    agent: np.void,
    steps: np.ndarray,
) -> np.ndarray:
    """Positions on one axis `[moves, steps]` if each push is held throughout.

    Clipping the end positions ignores that a wall also stops the velocity, which
    matters only if a held push turned away from the wall later; it does not.
    """
    terminal = _TOP_SPEED * push[:, None]
    decay = _KEEP * (1.0 - _KEEP**steps) / (1.0 - _KEEP)
    path = position + terminal * steps + (velocity - terminal) * decay
    return np.clip(path, agent["rx"], _WORLD - agent["rx"])


def _meeting_point(
    coast: np.ndarray, radius: float, prey: np.ndarray, edge: float
) -> np.ndarray:
    """Where the prey that can be reached soonest will be then, `[2]`."""
    times = np.arange(1, 81)
    x = prey["x"][:, None] + prey["vx"][:, None] * times
    y = np.broadcast_to(prey["y"][:, None], x.shape)
    reach = _TOP_SPEED * times
    met = (
        (np.abs(x - coast[0]) - (prey["rx"] + radius)[:, None] <= reach)
        & (np.abs(y - coast[1]) - (prey["ry"] + radius)[:, None] <= reach)
        & (x > edge - radius)
        & (x < _WORLD - edge + radius)
    )
    when = np.where(met.any(axis=1), met.argmax(axis=1), len(times) - 1)
    soonest = int(when.argmin())
    return np.array(
        [
            np.clip(x[soonest, when[soonest]], edge, _WORLD - edge),
            np.clip(y[soonest, 0], radius, _WORLD - radius),
        ]
    )
