"""The recurrence over a loop nest, whole periods jumped.

Within one run of a loop every iteration executes the same tiles.  When the state relative to the
end of issue is one it has had before in the same run, everything from there on repeats: the period
is jumped as often as it fits, times and classes advancing by what one period adds.  This happens at
every level of the nest by itself.  Where nothing repeats, it steps.  Integers only, so exact.
"""

from __future__ import annotations

import numpy as np

from bitsim.kernels.compile import allocating, compiled
from bitsim.kernels.recurrence import (
    DONE_BEFORE,
    END,
    FREE,
    INPUT_RELEASE,
    LOADED,
    STATE,
    STORED,
    TIMES,
    WEIGHT_RELEASE,
    advance,
    finish,
    start,
)

CLASSES = 7
# Columns of what is known of a level.  Its run and the iteration of that; by how many rows of the table runs are apart,
# and how many there are; of Brent's search for a cycle the state remembered, moved forward at doubling distances.
RUN, AT, WEIGHT, KINDS, REACH, SEEN_AT, SEEN_END, SEEN_OUT = range(8)
SEEN = SEEN_OUT + CLASSES
LEVEL = SEEN + STATE


@compiled
def relative(state, into):
    """The state relative to the end of issue; times too old to matter are brought up to where they start to."""
    for i in range(STATE):
        into[i] = state[i]
    # Only ever compared with the end of issue, or with the port's next grant, and both only grow.
    into[LOADED] = max(into[LOADED], into[END])
    into[STORED] = max(into[STORED], into[END])
    into[DONE_BEFORE] = max(into[DONE_BEFORE], into[FREE])
    into[INPUT_RELEASE] = max(into[INPUT_RELEASE], into[FREE])
    into[WEIGHT_RELEASE] = max(into[WEIGHT_RELEASE], into[FREE])
    end = into[END]
    for i in range(TIMES):
        into[i] -= end


@compiled
def alike(now, levels, level):
    """Whether a relative state is the one a level remembers."""
    same = True
    for i in range(STATE):
        same = same and now[i] == levels[level, SEEN + i]
    return same


@compiled
def advance_nest(state, rows, runs, timing, out, levels):
    """Run a whole nest from `state`, (STATE,) int64, which is changed; `out`, (7,) classes, is added to.

    levels: (more than the depth of the nest, LEVEL) int64 to work in.
    """
    depth = runs.shape[0]
    weight = 1
    for level in range(depth - 1, -1, -1):
        levels[level, RUN] = levels[level, AT] = levels[level, KINDS] = levels[level, REACH] = 0
        levels[level, WEIGHT] = weight
        while levels[level, KINDS] < runs.shape[1] and runs[level, levels[level, KINDS]]:
            levels[level, KINDS] += 1
        weight *= levels[level, KINDS]
    now = levels[depth]
    row = 0
    while True:
        advance(state, rows[row], timing, out)
        level, run = depth - 1, 0
        while level >= 0:
            run = levels[level, RUN]
            levels[level, AT] += 1
            if levels[level, AT] < runs[level, run]:
                break
            levels[level, AT] = 0
            levels[level, REACH] = 0  # what was remembered is of a run that is over
            run += 1
            row += levels[level, WEIGHT]
            levels[level, RUN] = run
            if run < levels[level, KINDS]:
                break
            row -= levels[level, WEIGHT] * run
            levels[level, RUN] = 0
            level -= 1
        if level < 0:
            break
        at, reach = levels[level, AT], levels[level, REACH]
        left = runs[level, run] - at - 1  # iterations after the one that begins here
        if not left:
            continue
        relative(state, now)
        since = at - levels[level, SEEN_AT]
        if reach and alike(now, levels, level):
            # What is left of the run after the jump is shorter than a period: nothing is found in it again.
            times = left // since
            levels[level, AT] += times * since
            passed = times * (state[END] - levels[level, SEEN_END])
            for i in range(TIMES):
                state[i] += passed
            for i in range(CLASSES):
                out[i] += times * (out[i] - levels[level, SEEN_OUT + i])
        elif not reach or since == reach:
            levels[level, REACH] = max(1, 2 * reach)
            levels[level, SEEN_AT], levels[level, SEEN_END] = at, state[END]
            for i in range(CLASSES):
                levels[level, SEEN_OUT + i] = out[i]
            for i in range(STATE):
                levels[level, SEEN + i] = now[i]


@compiled
def run_nest(state, rows, runs, timing, out, levels):
    """Add the cycles by class of a nest alone on the machine to `out`, (7,).

    state, (STATE,), is written over; levels: see advance_nest.
    """
    start(state)
    advance_nest(state, rows, runs, timing, out, levels)
    finish(state, timing, out)


@allocating
def collapsed_cycles(rows, runs, timing):
    """Cycles by class of a nest.

    rows, runs: of kernels.program.Nest; timing: (4,) int64 of PortTiming.
    Returns (7,) int64 in the order of CLASSES, equal to event_cycles of the flat program.
    """
    out = np.zeros(CLASSES, np.int64)
    run_nest(np.empty(STATE, np.int64), rows, runs, timing, out, np.empty((runs.shape[0] + 1, LEVEL), np.int64))
    return out
