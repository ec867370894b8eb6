"""One tile of the recurrence (docs/microarchitecture.md, section 2): what `event` and `collapsed` step by.

The state is a vector of times and of the two stores still owed; every operation on times is a
maximum or a sum, so shifting all times by a constant shifts the result: what `collapsed` rests on.
"""

from __future__ import annotations

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
    FENCE,
    FLAGS,
    INPUT_BEATS,
    ISSUE,
    LOAD,
    LOAD_INPUT,
    LOAD_WEIGHT,
    NEW_OUTPUT,
    PSUM_BEATS,
    STORE,
    STORE_BEATS,
    SWITCH,
    WEIGHT_BEATS,
)

# The state. Times in cycles:
FREE = 0  # next grant of the port
LOADED = 1  # the latest load is in its buffer
END = 2  # end of issue
DONE, DONE_BEFORE = 3, 4  # results of the last tile, and of the one before, are visible
INPUT_RELEASE, WEIGHT_RELEASE = 5, 6  # done of the last tile that used the half to be overwritten next
STORED = 7  # last beat of the latest store
TIMES = 8
# and not times:
WRITING = 8  # 1 if the last transfer was a store
OWED, OWED_BEFORE = 9, 10  # beats of the store of the last tile, and of the one before; NOTHING for none
STATE = 11
NOTHING = -1


@compiled
def store(state, done, turnaround):
    """The store owed by the tile before the last one, whose results are visible at `done`."""
    grant = state[FREE]
    if not state[WRITING]:
        grant += turnaround
    state[FREE] = max(grant, done) + 1 + state[OWED_BEFORE]
    state[STORED] = state[FREE]
    state[WRITING] = True
    state[OWED_BEFORE] = NOTHING


@compiled
def start(state):
    """Set `state`, (STATE,) int64, to that before the first tile."""
    for i in range(STATE):
        state[i] = 0
    state[OWED] = state[OWED_BEFORE] = NOTHING


@compiled
def advance(state, tile, timing, out):
    """Run one tile.

    state: (STATE,) int64, changed; tile: (7,); timing: (4,) of PortTiming; out: (7,) classes, added to.
    """
    latency, turnaround, setup, reconfigure = timing[0], timing[1], timing[2], timing[3]
    flags = tile[FLAGS]
    # The load overwrites the half this store reads, or reads what it writes.
    if state[OWED_BEFORE] >= 0 and (tile[PSUM_BEATS] or flags & FENCE):
        store(state, state[DONE_BEFORE], turnaround)
    if state[OWED] >= 0 and flags & FENCE:
        state[OWED_BEFORE] = state[OWED]
        store(state, state[DONE], turnaround)
        state[OWED] = NOTHING
    if flags & LOAD or tile[PSUM_BEATS]:
        grant = state[FREE]
        if state[WRITING]:
            grant += turnaround
        if flags & LOAD_INPUT:
            grant = max(grant, state[INPUT_RELEASE])
        if flags & LOAD_WEIGHT:
            grant = max(grant, state[WEIGHT_RELEASE])
        state[FREE] = grant + 1 + tile[INPUT_BEATS] + tile[WEIGHT_BEATS] + tile[PSUM_BEATS]
        state[LOADED] = state[FREE] + latency
        state[WRITING] = False
    if state[OWED_BEFORE] >= 0:
        store(state, state[DONE_BEFORE], turnaround)
    done = state[DONE]
    # The half the *next* load overwrites was last used by the tile before this one.
    if flags & LOAD_INPUT:
        state[INPUT_RELEASE] = done
    if flags & LOAD_WEIGHT:
        state[WEIGHT_RELEASE] = done
    loaded = max(state[END], state[LOADED])
    out[C_WAIT_LOAD] += loaded - state[END]
    if flags & NEW_OUTPUT:
        clear = max(loaded, state[STORED])
        out[C_WAIT_STORE] += clear - loaded
    else:
        clear = max(loaded, done)
        out[C_HAZARD] += clear - loaded
    at = clear
    if flags & SWITCH:
        at = max(clear, done + reconfigure)
        out[C_SWITCH] += at - clear
    out[C_SETUP] += setup
    out[C_ISSUE] += tile[ISSUE]
    end = at + setup + tile[ISSUE]
    state[END] = end
    state[DONE] = max(done, end - 1 + tile[DRAIN])
    state[DONE_BEFORE] = done
    state[OWED_BEFORE] = state[OWED]
    state[OWED] = tile[STORE_BEATS] if flags & STORE else NOTHING


@compiled
def finish(state, timing, out):
    """After the last tile: the stores still owed, and the cycles until the last beat."""
    if state[OWED_BEFORE] >= 0:
        store(state, state[DONE_BEFORE], timing[1])
    if state[OWED] >= 0:
        state[OWED_BEFORE] = state[OWED]
        store(state, state[DONE], timing[1])
    visible = max(state[DONE], state[END])
    out[C_FILL_DRAIN] += visible - state[END]
    out[C_WAIT_STORE] += max(state[STORED] - visible, 0)
