"""The per-tile event recurrence (docs/microarchitecture.md, section 2)."""

from __future__ import annotations

import numpy as np

from bitsim.kernels.compile import compiled
from bitsim.kernels.program import (
    C_FILL_DRAIN,
    C_HAZARD,
    C_ISSUE,
    C_SETUP,
    C_SWITCH,
    C_WAIT_LOAD,
    C_WAIT_STORE,
    DRAIN,
    FLAGS,
    INPUT_BEATS,
    ISSUE,
    LOAD_INPUT,
    LOAD_WEIGHT,
    NEW_OUTPUT,
    PSUM_BEATS,
    STORE,
    STORE_BEATS,
    SWITCH,
    WEIGHT_BEATS,
)


@compiled
def event_cycles(tiles, timing):  # type: ignore[no-untyped-def]
    """Cycles by class of a tile program.

    tiles: (T, 7) int64, columns of kernels.program; timing: (4,) int64 of PortTiming.
    Returns (7,) int64 in the order of CLASSES; their sum is the cycles of the program.
    """
    latency, turnaround, setup, reconfigure = timing[0], timing[1], timing[2], timing[3]
    out = np.zeros(7, np.int64)
    count = tiles.shape[0]
    free, reading = 0, True  # port: next grant, direction of the last transfer
    loaded = 0  # the latest load is in its buffer
    end, done, done_1, done_2 = 0, 0, 0, 0  # end of issue; done of tiles j-1, j-2
    input_release, weight_release = 0, 0  # done of the last tile that used the half to be overwritten next
    stored = 0  # last beat of the latest store; before tile j that is the visit whose half tile j takes over
    for j in range(count + 2):
        store_pending = j >= 2 and (tiles[j - 2, FLAGS] & STORE) != 0
        for slot in range(3):  # store first (partial sums come back), load, store
            if slot == 1:
                if j >= count:
                    continue
                flags = tiles[j, FLAGS]
                if flags & (LOAD_INPUT | LOAD_WEIGHT) == 0 and tiles[j, PSUM_BEATS] == 0:
                    continue
                grant = free
                if not reading:
                    grant += turnaround
                if flags & LOAD_INPUT:
                    grant = max(grant, input_release)
                if flags & LOAD_WEIGHT:
                    grant = max(grant, weight_release)
                if tiles[j, PSUM_BEATS] > 0:
                    grant = max(grant, stored)
                free = grant + 1 + tiles[j, INPUT_BEATS] + tiles[j, WEIGHT_BEATS] + tiles[j, PSUM_BEATS]
                loaded = free + latency
                reading = True
            elif store_pending:
                if slot == 0 and (j >= count or tiles[j, PSUM_BEATS] == 0):
                    continue
                grant = free
                if reading:
                    grant += turnaround
                grant = max(grant, done_2)
                free = grant + 1 + tiles[j - 2, STORE_BEATS]
                stored = free
                reading = False
                store_pending = False
        if j >= count:  # only the last two stores are left
            done_2 = done_1
            continue
        flags = tiles[j, FLAGS]
        # The half the *next* load overwrites was last used by tile j-1: this load takes over from it.
        if flags & LOAD_INPUT:
            input_release = done_1
        if flags & LOAD_WEIGHT:
            weight_release = done_1
        at = end
        if loaded > at:
            out[C_WAIT_LOAD] += loaded - at
            at = loaded
        if flags & NEW_OUTPUT:
            if stored > at:
                out[C_WAIT_STORE] += stored - at
                at = stored
        elif done_1 > at:
            out[C_HAZARD] += done_1 - at
            at = done_1
        if flags & SWITCH and done_1 + reconfigure > at:
            out[C_SWITCH] += done_1 + reconfigure - at
            at = done_1 + reconfigure
        out[C_SETUP] += setup
        out[C_ISSUE] += tiles[j, ISSUE]
        end = at + setup + tiles[j, ISSUE]
        done = max(done_1, end - 1 + tiles[j, DRAIN])
        done_2 = done_1
        done_1 = done
    out[C_FILL_DRAIN] += max(done - end, 0)
    out[C_WAIT_STORE] += max(stored - max(done, end), 0)
    return out
