"""The per-tile event recurrence over a flat tile program."""

from __future__ import annotations

import numpy as np

from bitsim.kernels.compile import allocating, compiled
from bitsim.kernels.recurrence import STATE, advance, finish, start


@compiled
def advance_tiles(state, tiles, timing, out):
    """Run all tiles, (T, 7), from `state`, (STATE,) int64, which is changed; `out`, (7,) classes, is added to."""
    for j in range(tiles.shape[0]):
        advance(state, tiles[j], timing, out)


@allocating
def event_cycles(tiles, timing):
    """Cycles by class of a tile program.

    tiles: (T, 7) int64, columns of kernels.program; timing: (4,) int64 of PortTiming.
    Returns (7,) int64 in the order of CLASSES; their sum is the cycles of the program.
    """
    out = np.zeros(7, np.int64)
    state = np.zeros(STATE, np.int64)
    start(state)
    advance_tiles(state, tiles, timing, out)
    finish(state, timing, out)
    return out
