"""Reads the bytes in which Procgen 0.10.7 serialises the state of one environment.

Little-endian, four bytes a field; a string is its length and its characters. The layout
is that of `Game::serialize`, `BasicAbstractGame::serialize` and `Entity::serialize` in
the simulator's source (Cobbe et al. 2020, arXiv 1912.01588). Almost all of the bytes
are the text of random generators, which are skipped; entities and grid are views that
are made when asked for.
"""

import functools
import struct

import numpy as np

_INT = struct.Struct("<i")
_POSITION = struct.Struct("<2f")

_NUM_OPTION_FIELDS = 17
_NUM_GLOBAL_FIELDS_BEFORE_GENERATOR = 19
_NUM_GLOBAL_FIELDS_BEFORE_GRID = 9

# Byte offsets from the end of the second random generator.
_TIMEOUT = 16
_LEVEL_SEED = 20
_CURRENT_TIME = 52
_NUM_ENTITIES = 64
_ENTITIES = 68

ENTITY_DTYPE = np.dtype(
    [
        (name, "<f4" if kind == "f" else "<i4")
        for kind, name in (
            field.split(":")
            for field in (
                "f:x f:y f:vx f:vy f:rx f:ry i:type i:image_type i:image_theme "
                "i:render_z i:will_erase i:collides_with_entities f:collision_margin "
                "f:rotation f:vrot i:is_reflected i:fire_time i:spawn_time i:life_time "
                "i:expire_time i:use_abs_coords f:friction i:smart_step "
                "i:avoids_collisions i:auto_erase f:alpha f:health f:theta "
                "f:grow_rate f:alpha_decay f:climber_spawn_x"
            ).split()
        )
    ]
)

AGENT = 0  # entity type
SPACE = 100  # grid cell that anything may enter
WALL = 51  # grid cell that nothing may enter


class ProcgenState:
    """One environment's serialised state, parsed where it is asked for.

    Args:
      data: the bytes that `Procgen.get_state` gives.

    Raises:
      ValueError: the bytes are of another state version.
    """

    def __init__(self, data: bytes):
        (version,) = _INT.unpack_from(data)
        if version != 0:
            raise ValueError(f"Procgen states of version 0 are known, got {version}.")
        self._data = data
        offset = _skip_string(data, 4)
        offset = _skip_generator(data, offset + 4 * _NUM_OPTION_FIELDS)
        self._base = _skip_generator(data, offset)

    def _int(self, offset: int) -> int:
        return _INT.unpack_from(self._data, self._base + offset)[0]

    @property
    def game(self) -> str:
        """The name of the game."""
        (length,) = _INT.unpack_from(self._data, 4)
        return self._data[8 : 8 + length].decode()

    @property
    def timeout(self) -> int:
        """Steps after which the simulator ends an episode."""
        return self._int(_TIMEOUT)

    @property
    def level_seed(self) -> int:
        """The seed of the current level."""
        return self._int(_LEVEL_SEED)

    @property
    def time(self) -> int:
        """Steps taken in the current episode."""
        return self._int(_CURRENT_TIME)

    @property
    def agent_position(self) -> tuple[float, float]:
        """The agent's x and y in cells, y upwards: the first entity is the agent."""
        return _POSITION.unpack_from(self._data, self._base + _ENTITIES)

    @functools.cached_property
    def entities(self) -> np.ndarray:
        """All entities, a record array of `ENTITY_DTYPE`; the agent comes first."""
        return np.frombuffer(
            self._data,
            ENTITY_DTYPE,
            count=self._int(_NUM_ENTITIES),
            offset=self._base + _ENTITIES,
        )

    @functools.cached_property
    def grid(self) -> np.ndarray:
        """The grid of cell types, int32 `[height, width]`, indexed `[y, x]`."""
        data, offset = self._data, self._base + _ENTITIES
        offset += self._int(_NUM_ENTITIES) * ENTITY_DTYPE.itemsize
        offset += 4 * _NUM_GLOBAL_FIELDS_BEFORE_GENERATOR
        offset = _skip_generator(data, offset)
        offset += 4 * _NUM_GLOBAL_FIELDS_BEFORE_GRID
        width, height, count = struct.unpack_from("<3i", data, offset)
        cells = np.frombuffer(data, "<i4", count=count, offset=offset + 12)
        return cells.reshape(height, width)

    def with_timeout(self, timeout: int) -> bytes:
        """The same state, but with episodes that end after `timeout` steps."""
        offset = self._base + _TIMEOUT
        return self._data[:offset] + _INT.pack(timeout) + self._data[offset + 4 :]


def _skip_string(data: bytes, offset: int) -> int:
    return offset + 4 + _INT.unpack_from(data, offset)[0]


def _skip_generator(data: bytes, offset: int) -> int:
    """A random generator is a flag, then its state as text."""
    return _skip_string(data, offset + 4)
