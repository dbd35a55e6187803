"""Who may see whom in a row of demonstrations followed by a trajectory."""

import numpy as np
from keras import ops

_NEVER = np.int32(2**30)  # steps ago


def sequence_mask(segment, step, valid, window: int, stacked: bool = False):
    """The mask of a whole sequence of tokens, in order of time within each segment.

    A token sees itself and what comes before it: of its own trajectory the tokens of
    the last `window` steps, the current one included; all tokens of the demonstrations;
    never one that is not valid. A demonstration sees itself alone, whole, or, stacked,
    the demonstrations before it as well.

    Args:
      segment: int32 `[B, L]`, 0 for the trajectory, 1.. for demonstrations.
      step: int32 `[B, L]`, step of the token within its segment.
      valid: bool `[B, L]`.
      window: steps W that a trajectory's token sees: step_i - step_j < W.
      stacked: demonstrations see those before them.

    Returns:
      bool `[B, 1, L, L]`, for `SelfAttention`.
    """
    length = segment.shape[1]
    order = np.arange(length)
    query, key = segment[:, :, None], segment[:, None, :]
    same = query == key
    near = step[:, :, None] - step[:, None, :] < window
    within = ops.where(query == 0, ~same | near, same | stacked)
    visible = (order[:, None] >= order) & within & valid[:, None, :]
    # A row of padding sees itself: a softmax needs something.
    return (visible | np.eye(length, dtype=bool))[:, None]


def cache_mask(slot, age, slots: int, late: tuple[bool, ...], window: int, limit=None):
    """What the tokens of the newest block of a cache see of its blocks.

    A block holds the tokens that one step of a rollout adds. Of these some, the action
    before, belong to the step before: they are late.

    Args:
      slot: int32 `[]`, the block's slot; the one before it came a step earlier, and the
        first is the successor of the last.
      age: int32 `[B]`, steps since the episode began.
      slots: slots S of the cache.
      late: for each of a block's k tokens, whether it is late.
      window: steps W that a token sees, as in `sequence_mask`.
      limit: int32 `[]`, blocks before the newest that are still there; None if an
        episode's age alone tells.

    Returns:
      bool `[B, 1, k, S * k]`.
    """
    late, order = np.asarray(late, "int32"), np.arange(len(late))
    # Of the ring that begins with the newest block.
    blocks = (-np.arange(slots, dtype="int32") % slots)[:, None]  # [S, 1], ago
    ago = (blocks + late)[None]  # [1, S, k], in steps
    sooner = (blocks > 0)[None] | (order[:, None, None] >= order)
    seen = (ago - late[:, None, None] < window) & sooner  # [k, S, k]
    itself = (blocks == 0)[None] & (order[:, None, None] == order)
    # All but the age is the same in all environments: one comparison an element.
    ago = np.where(itself, -1, np.where(seen, ago, _NEVER)).reshape(len(late), -1)
    ago = ops.roll(ops.convert_to_tensor(ago), slot * len(late), axis=1)
    last = age if limit is None else ops.minimum(age, limit)
    return ago <= last[:, None, None, None]
